"""A worker that hangs, or takes too long, is ended; one that moves, or whose machine slept, is not."""

from __future__ import annotations

import os

import pytest

from agent.worker_vigil import Vigil, duration
from agent.worker_words import News, Note, Progress, Stage
from framehaul.contract.spec import Limits
from framehaul.contract.states import AttemptReason
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, order
from tests.agent.patience import eventually
from tests.agent.served import alive, workers_of

HOUR_S = 3600.0


def _vigil(**limits: float) -> Vigil:
    """Watch from the hour 0 on, over a worker that has told where it stands."""
    vigil = Vigil(Limits(**limits), 0.0)
    vigil.hear(Stage(name="upscale"), 0.0)
    vigil.hear(Progress(done=37, total=96), 0.0)
    return vigil


def _looks(vigil: Vigil, start: float, end: float, step_s: float = 5.0) -> bool:
    """Look as the keeper does, from one hour to the other."""
    hour = start
    while hour < end and not vigil.look(hour + step_s):
        hour += step_s
    return vigil.verdict is not None


def test_silence_is_ended_after_its_time() -> None:
    """Nothing told for ten minutes is a stall, and the sentence names the place; a second less is not."""
    vigil = _vigil()

    assert not _looks(vigil, 0, 595)
    assert _looks(vigil, 595, 600)

    assert vigil.verdict
    assert vigil.verdict.reason is AttemptReason.STALLED
    assert vigil.verdict.message.startswith("Nothing moved for 10 min 0 s at frame 37 of 96;")
    assert vigil.verdict.advice


@pytest.mark.parametrize("news", [Stage(name="mux"), Note(message="still here"), Progress(done=38, total=96)])
def test_news_end_the_silence(news: News) -> None:
    """A stage, a note and a count that moved each begin the ten minutes anew."""
    vigil = _vigil()
    _looks(vigil, 0, 595)

    vigil.hear(news, 599)

    assert not _looks(vigil, 595, 1195)
    assert _looks(vigil, 1195, 1200)


def test_count_that_is_told_again_is_silence() -> None:
    """A pipeline that repeats its last count, whatever it says of the total, hangs all the same."""
    vigil = _vigil()

    for second in range(1, 600):
        vigil.hear(Progress(done=37, total=96 + second), second)

    assert vigil.look(600)


def test_same_count_in_another_stage_is_news() -> None:
    """Counting begins anew with each stage."""
    vigil = _vigil()

    vigil.hear(Stage(name="mux"), 300)
    vigil.hear(Progress(done=37, total=40), 305)

    assert not _looks(vigil, 305, 900)


def test_long_run_is_ended_though_it_moves() -> None:
    """A worker that moves, but not fast enough, is ended by the order's longest run."""
    vigil = _vigil(max_run_s=2 * HOUR_S)

    hour = 0.0
    while not vigil.look(hour):
        hour += 5
        vigil.hear(Progress(done=int(hour), total=10**6), hour)

    assert hour == 2 * HOUR_S
    assert vigil.verdict
    assert vigil.verdict.reason is AttemptReason.OVERTIME
    assert vigil.verdict.message.startswith("Still at frame 7200 of 1000000 after the 2 h 0 min that the order allows;")


@pytest.mark.parametrize("jump_s", [8 * HOUR_S, -8 * HOUR_S], ids=["slept", "set-back"])
def test_sleep_of_the_machine_is_no_silence(jump_s: float) -> None:
    """A laptop that slept for eight hours, or whose clock was set, has a minute counted at most."""
    vigil = _vigil(max_run_s=HOUR_S)
    _looks(vigil, 0, 500)

    assert not vigil.look(500 + jump_s)
    assert not _looks(vigil, 500 + jump_s, 530 + jump_s)
    assert _looks(vigil, 530 + jump_s, 600 + jump_s)


def test_place_is_told_as_far_as_it_is_known() -> None:
    """Where a worker stood is named by its stage until something was counted, in the stage's own unit."""
    vigil = Vigil(Limits(), 0.0)
    told = [vigil.place]
    for news in (Stage(name="copy", unit="bytes"), Progress(done=5, total=None), Progress(done=6, total=9)):
        vigil.hear(news, 0.0)
        told.append(vigil.place)

    assert told == ["before its first stage", "in the stage copy", "at byte 5", "at byte 6 of 9"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (45, "45 s"), (600, "10 min 0 s"), (7199, "1 h 59 min"), (90_000, "25 h 0 min")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    """Times are told in two units."""
    assert duration(seconds) == words


async def _busy(inside: Inside, limits: Limits) -> int:
    """Bring a real worker to where it has done something, and give it; its own clock stands still from then on."""
    await inside.caller.ship(order(rate_bytes_s=1000, limits=limits))
    await inside.caller.until("job-1", "running")
    await inside.work(1)

    async def some() -> bool:
        return (await inside.caller.view("job-1")).status.done > 0

    await eventually(some)
    return (await eventually(lambda: workers_of(os.getpid())))[0]


async def _until_failed(inside: Inside, reason: str, *, works: bool) -> str:
    """Let minutes pass, in which the worker moves or does not, until the attempt has ended so."""

    async def failed() -> str | None:
        status = (await inside.caller.view("job-1")).status
        if status.state == "failed":
            assert status.reason == reason
            return status.message
        if works:
            inside.worker_clock.advance(1)
        inside.clock.advance(60)
        return None

    told = await eventually(failed)
    assert told
    return told


async def test_hanging_worker_is_killed_and_replaced(inside: Inside) -> None:
    """A worker that hangs costs one attempt: it is killed, half its output is gone, and a new one does the next job."""
    hanging = await _busy(inside, Limits())

    message = await _until_failed(inside, "stalled", works=False)

    assert message.startswith("Nothing moved for 10 min 0 s at byte 1000 of 10240; the worker was ended.")
    assert not alive(hanging)
    assert [*inside.folder().outputs.iterdir(), *inside.folder().parts.iterdir()] == []
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE
    assert workers_of(os.getpid()) != [hanging]


async def test_slow_worker_is_ended_by_the_orders_time(inside: Inside) -> None:
    """A worker that moves is ended all the same once it has run for as long as the order allows."""
    slow = await _busy(inside, Limits(max_run_s=120))

    message = await _until_failed(inside, "overtime", works=True)

    assert message.startswith("Still at byte ")
    assert "after the 2 min 0 s that the order allows" in message
    assert not alive(slow)
