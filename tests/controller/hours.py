"""Drive asyncio code by a clock that a test moves, on one thread, so that every run takes the same course."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from framehaul.clock import ManualClock

P = ParamSpec("P")
T = TypeVar("T")

_ROUNDS = 60
_MOST_ROUNDS = 10_000


class SameThread(ThreadPoolExecutor):
    """Run what is handed to a thread at once and here; asyncio takes no executor of another family."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call, and give the outcome."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - handed on
            future.set_exception(exc)
        return future


class Hours(ManualClock):
    """A clock that jumps to the next hour that somebody waits for, once everybody waits."""

    async def until(self, true: Callable[[], object], *, within_s: float = 3600.0) -> None:
        """Let time pass until the question is answered by yes."""
        end = self.now() + within_s
        while True:
            await everybody_waits()
            if true():
                return
            assert self.now() < end, f"did not come true within {within_s:g} s"
            self._to_next_hour(end)

    async def carry(self, work: Coroutine[Any, Any, T], *, within_s: float = 3600.0) -> T:
        """Run to the end, and give what comes of it."""
        return await self.finish(asyncio.create_task(work), within_s=within_s)

    async def finish(self, task: asyncio.Task[T], *, within_s: float = 3600.0) -> T:
        """Let time pass until the task is done."""
        try:
            await self.until(task.done, within_s=within_s)
        finally:
            await ended(task)
        return task.result()

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass, with all that falls due in it."""
        end = self.now() + seconds
        await everybody_waits()
        while self.now() < end:
            self._to_next_hour(end)
            await everybody_waits()

    def _to_next_hour(self, end: float) -> None:
        hours = [sleeper[0] for sleeper in self._sleepers]
        self.advance(max(0.0, min([*hours, end]) - self.now()))


async def everybody_waits() -> None:
    """Let every task run until it waits for the clock, or for somebody else."""
    ready = vars(asyncio.get_running_loop())["_ready"]  # no public question tells whether a loop has work left
    for number in range(_MOST_ROUNDS):
        await asyncio.sleep(0)
        if number >= _ROUNDS and not ready:
            return


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel what still runs; what it raised is for `result` to tell."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
