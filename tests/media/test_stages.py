"""Three stages, two bounded queues, one error: whatever dies, whenever, the others end and nothing is left running."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from framehaul.media.stages import ByteQueue, LineBroken, LineReport, run_line
from tests.media.patience import PATIENCE_S, threads_of_ours, within

ITEMS = 50
WEIGHT = 10
Stage = Callable[[Iterator[int]], Iterator[int]]


def passing(items: Iterator[int]) -> Iterator[int]:
    """Hand every item on."""
    yield from items


def raising_at(position: int) -> Stage:
    """Hand items on until `position`, and raise there (or at the end, if there are fewer)."""

    def stage(items: Iterator[int]) -> Iterator[int]:
        for index, item in enumerate(items):
            if index == position:
                break
            yield item
        raise ArithmeticError("died")

    return stage


def run(stages: dict[str, Stage], *, limit_bytes: int = 3 * WEIGHT) -> tuple[list[int], LineReport]:
    """Run numbers 0…49 through the stages; those that are not named hand on. Gives what arrived, and the report."""
    arrived: list[int] = []

    def encode(items: Iterator[int]) -> None:
        arrived.extend(stages.get("encode", passing)(items))

    report = run_line(
        lambda: stages.get("decode", passing)(iter(range(ITEMS))),
        stages.get("compute", passing),
        encode,
        weigh_decoded=lambda _: WEIGHT,
        weigh_computed=lambda _: WEIGHT,
        limit_bytes=limit_bytes,
    )
    return arrived, report


def test_everything_arrives_in_order() -> None:
    """All items pass all stages, once, in order."""
    arrived, report = within(lambda: run({}))

    assert arrived == list(range(ITEMS))
    assert max(report.peak_bytes.values()) <= 3 * WEIGHT


@pytest.mark.parametrize("position", [0, ITEMS // 2, ITEMS - 1, ITEMS], ids=["first", "middle", "last", "after-last"])
@pytest.mark.parametrize("stage", ["decode", "compute", "encode"])
def test_the_first_error_ends_the_line(stage: str, position: int) -> None:
    """Its own error comes out, with a note that names the stage; no thread is left, nobody waits for ever."""
    with pytest.raises(ArithmeticError, match="died") as caught:
        within(lambda: run({stage: raising_at(position)}))

    assert caught.value.__notes__ == [f"raised in the {stage} stage"]
    assert threads_of_ours() == []


@pytest.mark.parametrize("stage", ["compute", "encode"])
def test_a_stage_that_leaves_early_is_an_error(stage: str) -> None:
    """Returning before the input has ended would lose items, or leave the writer waiting for room."""

    def leaving(items: Iterator[int]) -> Iterator[int]:
        yield next(items)

    with pytest.raises(RuntimeError, match="before its input had ended"):
        within(lambda: run({stage: leaving}))
    assert threads_of_ours() == []


def test_an_error_in_one_stage_is_not_hidden_by_its_echo() -> None:
    """The stages that were woken because another failed do not overwrite its error."""

    def complaining(items: Iterator[int]) -> Iterator[int]:
        try:
            yield from items
        except LineBroken as exc:
            raise LineBroken from exc

    with pytest.raises(ArithmeticError):
        within(lambda: run({"decode": raising_at(5), "compute": complaining, "encode": complaining}))


def test_a_fast_writer_is_held_at_the_bound() -> None:
    """With a reader that is slower than any writer, the queue fills to its limit, and never beyond."""
    written = threading.Semaphore(0)

    def counting(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            written.release()  # about to be put
            yield item

    def slow(items: Iterator[int]) -> Iterator[int]:
        for index, item in enumerate(items):
            # Take the next only when the writer holds its next one in hand: 1 taken + 3 queued + 1 in hand.
            for _ in range(min(5, ITEMS) if index == 0 else int(index + 4 < ITEMS)):
                assert written.acquire(timeout=PATIENCE_S)
            yield item

    _, report = within(lambda: run({"decode": counting, "compute": slow}))

    assert report.peak_bytes["decode"] == 3 * WEIGHT


def test_an_item_heavier_than_the_bound_passes_alone() -> None:
    """A bound below one picture slows the line down to one picture at a time; it does not stop it."""
    arrived, report = within(lambda: run({}, limit_bytes=1))

    assert arrived == list(range(ITEMS))
    assert set(report.peak_bytes.values()) == {WEIGHT}


@pytest.fixture
def interrupted() -> Iterator[threading.Event]:
    """Give an event that is set when Ctrl-C reaches the main thread, which then raises as always, but only once."""
    seen = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    yield seen
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_the_encoder_finishes_waits_for_its_end(interrupted: threading.Event) -> None:
    """The calling thread has nothing left to do but wait; Ctrl-C there does not leave a thread behind that writes."""
    ended = []

    def encode(items: Iterator[int]) -> None:
        deque(items, 0).clear()
        for _ in range(300):  # a signal that comes just before a lock is waited for is only seen with the next one
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if interrupted.wait(PATIENCE_S / 300):
                break
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_line(
            lambda: range(ITEMS),
            passing,
            encode,
            weigh_decoded=lambda _: WEIGHT,
            weigh_computed=lambda _: WEIGHT,
            limit_bytes=WEIGHT,
        )

    assert ended == [True]
    assert threads_of_ours() == []


class Hourglass:
    """A timer that a test turns, and that notices when the encoder begins to wait.

    The encoder's thread reads it when it starts, then before and after each wait: each second reading begins one.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.encoder_waits = threading.Semaphore(0)
        self._readings = 0

    def read(self) -> float:
        """Give the time in seconds."""
        if threading.current_thread().name == "framehaul drain":
            self._readings += 1
            if self._readings % 2 == 0:
                self.encoder_waits.release()
        return self.now_s


def test_waiting_is_not_counted_as_work() -> None:
    """Busy seconds are a stage's own: here only the decoder works, and only while the encoder waits."""
    clock = Hourglass()

    def working() -> Iterator[int]:
        for item in range(ITEMS):
            assert clock.encoder_waits.acquire(timeout=PATIENCE_S)
            clock.now_s += 1
            yield item

    report = within(
        lambda: run_line(
            working,
            passing,
            lambda items: deque(items, 0).clear(),
            weigh_decoded=lambda _: WEIGHT,
            weigh_computed=lambda _: WEIGHT,
            limit_bytes=WEIGHT,
            timer=clock.read,
        )
    )

    assert report.busy_s["decode"] == ITEMS
    assert report.busy_s["encode"] == 0


def test_a_broken_queue_refuses_both_sides() -> None:
    """After the break nothing can be put or taken, and what was held is let go."""
    queue: ByteQueue[int] = ByteQueue(lambda _: WEIGHT, 100)
    queue.put(1)
    queue.break_off()

    with pytest.raises(LineBroken):
        queue.put(2)
    with pytest.raises(LineBroken):
        next(iter(queue))
