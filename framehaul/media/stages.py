"""Run three stages side by side, joined by queues that are bounded in bytes.

`decode` and `encode` run in threads, `compute` in the calling thread (where a GPU context and signals live).
The first error wins: it ends the other two stages, whatever they are waiting for, and is raised unchanged with a note
that names its stage. When `run_line` returns or raises, its threads are gone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
Timer = Callable[[], float]

STAGES = ("decode", "compute", "encode")


class LineBroken(Exception):
    """Raised out of a queue when another stage has failed; nobody's error."""


class ByteQueue(Generic[A]):
    """Hand items from one thread to one other, holding at most `limit_bytes`.

    An item that is heavier than the limit passes when the queue is empty, so that a line never stands still.
    `put_wait_s` and `get_wait_s` are the seconds that either side spent waiting; `peak_bytes` the most ever held.
    """

    def __init__(self, weigh: Callable[[A], int], limit_bytes: int, timer: Timer = time.perf_counter) -> None:
        self.peak_bytes = 0
        self.put_wait_s = 0.0
        self.get_wait_s = 0.0
        self._weigh = weigh
        self._limit_bytes = limit_bytes
        self._timer = timer
        self._items: deque[A] = deque()
        self._held_bytes = 0
        self._ended = False
        self._broken = False
        self._changed = threading.Condition()

    def put(self, item: A) -> None:
        """Append an item; blocks while there is no room. Raises LineBroken."""
        weight = self._weigh(item)
        with self._changed:
            self.put_wait_s += self._wait(lambda: not self._items or self._held_bytes + weight <= self._limit_bytes)
            self._items.append(item)
            self._held_bytes += weight
            self.peak_bytes = max(self.peak_bytes, self._held_bytes)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no item will follow; the reader gets those that are left."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Wake both sides with LineBroken, and let go of what is held."""
        with self._changed:
            self._broken = True
            self._items.clear()
            self._changed.notify_all()

    def drained(self) -> bool:
        """Say whether the writer has ended and the reader has taken all."""
        with self._changed:
            return self._ended and not self._items

    def __iter__(self) -> Iterator[A]:
        """Take items until the end; blocks while there is none. Raises LineBroken."""
        while True:
            with self._changed:
                self.get_wait_s += self._wait(lambda: bool(self._items) or self._ended)
                if not self._items:
                    return
                item = self._items.popleft()
                self._held_bytes -= self._weigh(item)
                self._changed.notify_all()
            yield item

    def _wait(self, ready: Callable[[], bool]) -> float:
        """Wait for `ready` with the lock held, and give the seconds it took."""
        if self._broken:
            raise LineBroken
        if ready():
            return 0.0
        began = self._timer()
        self._changed.wait_for(lambda: self._broken or ready())
        if self._broken:
            raise LineBroken
        return self._timer() - began


@dataclass(frozen=True)
class LineReport:
    """Tell, a stage, the seconds it was busy (not waiting for a neighbour) and its own thread's CPU seconds.

    The codecs' and the network's own threads do not count into `cpu_s`. `peak_bytes` is a queue's, by its writer.
    """

    busy_s: Mapping[str, float]
    cpu_s: Mapping[str, float]
    peak_bytes: Mapping[str, int]


def run_line(
    decode: Callable[[], Iterable[A]],
    compute: Callable[[Iterator[A]], Iterable[B]],
    encode: Callable[[Iterator[B]], None],
    *,
    weigh_decoded: Callable[[A], int],
    weigh_computed: Callable[[B], int],
    limit_bytes: int,
    timer: Timer = time.perf_counter,
    cpu_timer: Timer = time.thread_time,
) -> LineReport:
    """Run the stages to the end of `decode`'s items; each queue holds at most `limit_bytes`.

    Each stage's iterator ends when the one before has ended; a stage that returns before that is an error.
    """
    decoded = ByteQueue(weigh_decoded, limit_bytes, timer)
    computed = ByteQueue(weigh_computed, limit_bytes, timer)
    line = _Line((decoded, computed), timer, cpu_timer)

    def fill() -> None:
        with line.stage("decode"):
            for item in decode():
                decoded.put(item)
            decoded.end()

    def drain() -> None:
        with line.stage("encode"):
            encode(iter(computed))
            _require_drained(computed)

    sides = (_Side(fill), _Side(drain))
    try:
        with line.stage("compute"):
            for side in sides:
                side.start()
            for result in compute(iter(decoded)):
                computed.put(result)
            _require_drained(decoded)
            computed.end()
    finally:
        for side in sides:
            while side.ident and not side.ended.is_set():
                with line.stage("last"):  # Ctrl-C while waiting here breaks the line too, and then is waited out
                    side.ended.wait()
            if side.ident:
                side.join()
    if line.error is not None:
        raise line.error
    waited = dict(
        zip(STAGES, (decoded.put_wait_s, decoded.get_wait_s + computed.put_wait_s, computed.get_wait_s), strict=True)
    )
    return LineReport(
        busy_s={stage: line.wall_s[stage] - waited[stage] for stage in STAGES},
        cpu_s={stage: line.cpu_s[stage] for stage in STAGES},
        peak_bytes={"decode": decoded.peak_bytes, "compute": computed.peak_bytes},
    )


class _Side(threading.Thread):
    """Run a stage beside the calling thread, and tell when it has ended.

    `is_alive` does not: after a join that Ctrl-C interrupts, CPython 3.11 calls a running thread ended.
    """

    def __init__(self, body: Callable[[], None]) -> None:
        super().__init__(name=f"framehaul {body.__name__}", daemon=True)
        self.ended = threading.Event()
        self._body = body

    def run(self) -> None:
        """Run the stage, whose errors go to the line."""
        try:
            self._body()
        finally:
            self.ended.set()


def _require_drained(queue: ByteQueue[A]) -> None:
    if not queue.drained():
        raise RuntimeError("the stage returned before its input had ended")


class _Line:
    """Keep what the stages share: the first error, and their clocks."""

    def __init__(self, queues: tuple[ByteQueue[A], ByteQueue[B]], timer: Timer, cpu_timer: Timer) -> None:
        self.error: BaseException | None = None
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self.timer = timer
        self.cpu_timer = cpu_timer
        self._queues = queues
        self._lock = threading.Lock()

    def stage(self, name: str) -> _Stage:
        return _Stage(self, name)

    def fail(self, name: str, error: BaseException) -> None:
        """Keep the first error, then wake everybody; a LineBroken is only ever the echo of one that is kept."""
        with self._lock:
            if self.error is None:
                error.add_note(f"raised in the {name} stage")
                self.error = error
        for queue in self._queues:
            queue.break_off()


class _Stage:
    """Time a stage, and hand whatever it raises to the line: an error ends up in one place, in whichever thread."""

    def __init__(self, line: _Line, name: str) -> None:
        self._line = line
        self._name = name

    def __enter__(self) -> None:
        self._wall, self._cpu = self._line.timer(), self._line.cpu_timer()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._line.wall_s[self._name] = self._line.timer() - self._wall
        self._line.cpu_s[self._name] = self._line.cpu_timer() - self._cpu
        if error is not None:
            self._line.fail(self._name, error)
        return True
