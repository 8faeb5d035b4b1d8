"""Time as an argument: the clock that a test moves, and the one that processes share."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from framehaul.clock import CLOCK_URL, Clock, ManualClock, SharedClock, SystemClock, clock_from, wait_for_event
from framehaul.errors import InputError
from tests.emulators.clock import ClockServer
from tests.loopback import loopback

START = 1_800_000_000.0


@pytest.fixture
def server() -> Iterator[ClockServer]:
    """Run the shared hour in a thread."""
    with ClockServer(START) as running:
        yield running


async def all_asleep() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


# ManualClock


async def test_a_manual_clock_wakes_those_whose_hour_has_come() -> None:
    """In any order of falling asleep, at the hour and not before."""
    clock = ManualClock(START)
    woken: list[int] = []

    async def sleep(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20)]
    await all_asleep()
    for moved, expected in ((9, []), (1, [10]), (19, [10, 20]), (1, [10, 20, 30])):
        clock.advance(moved)
        await all_asleep()
        assert woken == expected

    assert all(task.done() for task in tasks)
    assert clock.now() == START + 30


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_manual_clock_does_not_wait_for_the_past(seconds: float) -> None:
    """Nobody has to advance for that; it still lets others run."""
    clock, ran = ManualClock(), asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)

    await clock.sleep(seconds)
    clock.wait(seconds)

    assert ran.is_set()


async def test_a_manual_clock_is_moved_from_another_thread() -> None:
    """The sleeper's loop is woken, not only its future marked."""
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(10))
    await all_asleep()

    threading.Thread(target=clock.advance, args=(10,)).start()

    await sleeping


def test_a_manual_clock_blocks_a_thread_until_it_is_moved() -> None:
    """`wait` ends when the hour has come, by however many steps."""
    clock = ManualClock(START)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(clock.wait, 10)
        while not waiting.done():
            clock.advance(1)

    assert clock.now() >= START + 10


def test_a_manual_clock_forgets_who_was_cancelled() -> None:
    """A sleeper whose loop is closed by now is not woken: that would be an error in whoever advances."""
    clock = ManualClock(START)

    async def give_up() -> None:
        sleeping = asyncio.create_task(clock.sleep(10))
        await all_asleep()
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)

    asyncio.run(give_up())
    clock.advance(20)

    assert clock.now() == START + 20


# SharedClock


def test_the_shared_hour_is_the_servers(server: ClockServer) -> None:
    """It stands still until somebody moves it."""
    clock = SharedClock(server.url + "/")
    assert clock.now() == START

    server.advance(90.5)

    assert clock.now() == START + 90.5


WAITER = """
import asyncio, json, sys
from framehaul.clock import clock_from

clock = clock_from()
before = clock.now()
if sys.argv[1] == "wait":
    clock.wait(3600)
else:
    asyncio.run(clock.sleep(3600))
print(json.dumps(clock.now() - before))
"""


def test_two_processes_share_an_hour_with_a_third() -> None:
    """The server is a program, two others wait by it, one blocking and one not; moving the hour frees both."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.emulators.clock", "--start", str(START)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        waiters = [
            subprocess.Popen(
                [sys.executable, "-c", WAITER, how], stdout=subprocess.PIPE, text=True, env={CLOCK_URL: url}
            )
            for how in ("wait", "sleep")
        ]
        post(url, "/advance", {"seconds": 3599, "waiting": 2})
        post(url, "/advance", {"seconds": 1, "waiting": 2})
        waited = [json.loads(waiter.communicate(timeout=60)[0]) for waiter in waiters]
        program.terminate()

    assert waited == [3600, 3600]
    assert [waiter.returncode for waiter in waiters] == [0, 0]


def post(url: str, path: str, words: dict[str, float]) -> None:
    """Ask the control route, past every proxy."""
    with httpx.Client(transport=loopback(), timeout=60) as client:
        client.post(url + path, json=words).raise_for_status()


def test_no_proxy_stands_before_the_shared_clock(server: ClockServer) -> None:
    """Loopback is asked directly, whatever proxy the environment names."""
    told = subprocess.run(
        [sys.executable, "-c", "from framehaul.clock import clock_from; print(clock_from().now())"],
        env={CLOCK_URL: server.url, "http_proxy": "http://127.0.0.1:9"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert float(told.stdout) == START


@pytest.mark.parametrize("url", ["http://clock.example:80", "http://10.0.0.1:80", "nonsense"])
def test_a_shared_clock_is_never_far_away(url: str) -> None:
    """A stranger must not be able to set our hour."""
    with pytest.raises(InputError, match=CLOCK_URL):
        SharedClock(url)


def test_the_environment_chooses_the_clock(server: ClockServer) -> None:
    """The machine's own, unless one to share is named."""
    assert isinstance(clock_from({}), SystemClock)
    assert isinstance(clock_from({CLOCK_URL: ""}), SystemClock)
    assert clock_from({CLOCK_URL: server.url}).now() == START


# wait_for_event


@pytest.fixture(params=["manual", "shared"])
def moved(request: pytest.FixtureRequest, server: ClockServer) -> tuple[Clock, ClockServer | ManualClock]:
    """Give a clock, and what moves it."""
    if request.param == "shared":
        return SharedClock(server.url), server
    clock = ManualClock()
    return clock, clock


async def test_an_event_that_comes_ends_the_wait(moved: tuple[Clock, ClockServer | ManualClock]) -> None:
    """True, without any time passing."""
    clock, _ = moved
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_for_event(clock, event, 3600))
    await all_asleep()

    event.set()

    assert await waiting is True


async def test_an_hour_that_comes_ends_the_wait(moved: tuple[Clock, ClockServer | ManualClock]) -> None:
    """False, once the clock has passed it."""
    clock, mover = moved
    waiting = asyncio.create_task(wait_for_event(clock, asyncio.Event(), 3600))
    await all_asleep()

    if isinstance(mover, ClockServer):
        await asyncio.to_thread(mover.advance, 3600, waiting=1)
    else:
        mover.advance(3600)

    assert await waiting is False


async def test_an_event_that_is_set_already_needs_no_wait() -> None:
    """Also with no time at all."""
    event = asyncio.Event()
    event.set()

    assert await wait_for_event(ManualClock(), event, 0) is True


async def test_a_cancelled_wait_leaves_no_task_behind() -> None:
    """Neither the event's nor the clock's."""
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(wait_for_event(ManualClock(), asyncio.Event(), 10))
    await all_asleep()

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert asyncio.all_tasks() == before


async def test_a_clock_that_cannot_be_asked_is_not_an_hour_that_has_come(server: ClockServer) -> None:
    """Else a loop would run hot when the clock's program has ended."""
    clock = SharedClock(server.url)
    server.close()

    with pytest.raises(urllib.error.URLError):
        await wait_for_event(clock, asyncio.Event(), 10)
