"""Keep one worker process: started with the first job, warm between jobs, replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping

from agent.errors import WorkerDied
from agent.worker_child import Child
from agent.worker_vigil import LOOK_EVERY_S, Vigil
from agent.worker_words import Done, Ending, Failed, Halted, News, Ready, Run, Stop
from framehaul.clock import Clock

STOP_GRACE_S = 5.0

_log = logging.getLogger(__name__)


class WorkerKeeper:
    """Run attempts one at a time in a child; no crash of it harms the server."""

    def __init__(self, clock: Clock, environment: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._environment = environment
        self._child: Child | None = None
        self._grace_s = STOP_GRACE_S

    async def run(self, order: Run, hear: Callable[[News], None]) -> Ending:
        """Have one attempt computed. Cancelling asks the worker to stop, and kills it after a grace.

        WorkerDied when the process ends first, WorkerOverdue when it was ended over the order's limits; the next
        attempt gets a new one.
        """
        child = await self._living()
        vigil = Vigil(order.limits, self._clock.now())
        guard = asyncio.create_task(self._guard(child, vigil))
        try:
            ending = await self._dialogue(child, order, hear, vigil)
        except asyncio.CancelledError:
            await self._halt(child)
            raise
        except WorkerDied as exc:
            _log.warning("worker %d: %s", child.pid, vigil.verdict or exc)
            await self.close()
            if vigil.verdict:
                raise vigil.verdict from exc
            raise WorkerDied(f"{exc.message} It was {vigil.place}.") from exc
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)
        # Struck in the very moment when it ended: the work is whole, the process is not.
        if vigil.verdict or (isinstance(ending, Failed) and ending.spoiled):
            await self.close()
        return ending

    def hurry(self) -> None:
        """Give no grace any more: the agent itself is about to end."""
        self._grace_s = 0.0

    async def close(self) -> None:
        """Kill the worker, if there is one."""
        child, self._child = self._child, None
        if child:
            await child.kill()

    async def _living(self) -> Child:
        if self._child and not self._child.alive:
            _log.warning("worker %d: died between two jobs", self._child.pid)
            await self.close()
        if self._child is None:
            self._child = await Child.start(self._environment)
            _log.info("worker %d: started", self._child.pid)
        return self._child

    async def _dialogue(self, child: Child, order: Run, hear: Callable[[News], None], vigil: Vigil) -> Ending:
        def told(news: News) -> None:
            vigil.hear(news, self._clock.now())
            hear(news)

        await child.tell(order)
        return await _listen(child, told)

    async def _guard(self, child: Child, vigil: Vigil) -> None:
        while not vigil.look(self._clock.now()):
            await self._clock.sleep(LOOK_EVERY_S)
        child.strike()

    async def _halt(self, child: Child) -> None:
        """Let it stop by itself so that it stays warm; a runner that does not listen is killed."""
        listening = asyncio.create_task(self._last_words(child))
        grace = asyncio.create_task(self._clock.sleep(self._grace_s))
        try:
            await asyncio.wait({listening, grace}, return_when=asyncio.FIRST_COMPLETED)
            obeyed = listening.done() and listening.result()
        except asyncio.CancelledError:  # asked twice: there is no time for grace
            obeyed = False
        for task in (listening, grace):
            task.cancel()
        await asyncio.gather(listening, grace, return_exceptions=True)
        if not obeyed:
            _log.info("worker %d: did not stop in time, killed", child.pid)
            await self.close()

    async def _last_words(self, child: Child) -> bool:
        with contextlib.suppress(WorkerDied):
            await child.tell(Stop())
            return not isinstance(await _listen(child, lambda news: None), Failed)
        return False


async def _listen(child: Child, hear: Callable[[News], None]) -> Ending:
    while True:
        report = await child.hear()
        match report:
            case Done() | Failed() | Halted():
                return report
            case Ready():
                continue
            case _:
                hear(report)
