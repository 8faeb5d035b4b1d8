"""Walk every job through its life; fetching, computing and delivering of different jobs overlap.

queued → fetching → running → delivering → delivered | failed | stopped
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from agent.attempts.compute import compute
from agent.attempts.delivery import clear_leftovers, deliver, drop_placed
from agent.attempts.inputs import WAITS_FOR_ITS_TURN, Inputs
from agent.attempts.outbox import Outbox
from agent.attempts.turnstile import Turnstile
from agent.errors import AttemptFailed, is_disk_full
from agent.jobs.job import Job
from agent.worker import WorkerKeeper
from framehaul.clock import Clock
from framehaul.contract.states import AttemptReason, AttemptState

_log = logging.getLogger(__name__)

# Between the tries of a delivery that broke off.
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# In real seconds, as cancelling has nothing to do with the clock. A stopped worker is given its grace first.
_STOP_AGAIN_S = 30.0
_CLOSE_AGAIN_S = 1.0
_CANCELS = 30

# What an unforeseen error of the agent itself is called, by where it struck.
_REASON_BY_STATE = {
    AttemptState.QUEUED: AttemptReason.FETCH_FAILED,
    AttemptState.FETCHING: AttemptReason.FETCH_FAILED,
    AttemptState.RUNNING: AttemptReason.PIPELINE_FAILED,
    AttemptState.DELIVERING: AttemptReason.DELIVERY_FAILED,
}
_NEEDS_THE_CONTROLLER = frozenset(
    {
        AttemptReason.WAITING_FOR_GRANTS,
        AttemptReason.WAITING_FOR_INPUT,
        AttemptReason.WAITING_FOR_PICKUP,
        AttemptReason.GRANTS_EXPIRED,
    }
)


class Queue:
    """One task per attempt. The worker goes to the earliest arrival among those whose inputs are there."""

    def __init__(
        self, inputs: Inputs, worker: WorkerKeeper, outbox: Outbox, clock: Clock, receipt_copy: Path | None = None
    ) -> None:
        self._inputs = inputs
        self._worker = worker
        self._outbox = outbox
        self._clock = clock
        self._receipt_copy = receipt_copy
        self._computing = Turnstile()
        self._walks: dict[Job, asyncio.Task[None]] = {}

    def take_up(self, jobs: Iterable[Job]) -> None:
        """Go on with what an earlier agent left; outputs that its journal vouches for are not made again."""
        for job in jobs:
            state = job.status.state
            if state is AttemptState.RUNNING and job.computed():
                job.move(AttemptState.DELIVERING, stage="hash")
            elif state in {AttemptState.FETCHING, AttemptState.RUNNING}:
                job.move(AttemptState.QUEUED, AttemptReason.AGENT_RESTARTED)
            if job.status.state is AttemptState.DELIVERING:
                job.explain()  # what hindered an earlier agent is heard of again if it still does
            if not job.final:
                self.submit(job)
            elif state is AttemptState.DELIVERED:
                drop_placed(job)  # the agent may have died between the last word and the clearing up

    def submit(self, job: Job) -> None:
        """Start an attempt's walk."""
        task = asyncio.create_task(self._walk(job), name=f"job {job.spec.job_id}")
        self._walks[job] = task
        # Not in the walk itself: a task that is cancelled before its first step never runs a line of it.
        task.add_done_callback(lambda _: self._leave(job))

    def stop(self, job: Job, reason: AttemptReason) -> asyncio.Task[None] | None:
        """Ask an attempt to stop; gives the task to wait for. Asked again it cancels again, in case once was not heard.

        Not where the worker computes: it has a grace of its own to stop in, and stays warm.
        """
        walk = self._walks.get(job)
        if walk and (job.stopping is None or job.status.state is not AttemptState.RUNNING):
            job.stopping = job.stopping or reason
            walk.cancel()
        return walk

    async def stop_all(self, jobs: Iterable[Job], reason: AttemptReason) -> None:
        """Stop these attempts and wait until they have."""
        walks = {walk for job in jobs if (walk := self.stop(job, reason))}
        await _ended(walks, again_after_s=_STOP_AGAIN_S)

    def busy(self) -> bool:
        """Say whether some attempt can go on without hearing from the controller."""
        going = [job for job in self._walks if not job.final and job.status.reason not in _NEEDS_THE_CONTROLLER]
        if self._inputs.room.blocked:  # who waits for the disk goes on only when one of the others has
            going = [job for job in going if not _waits_for_others(job)]
        return bool(going)

    async def close(self) -> None:
        """Leave everything as the disk tells it; the next agent goes on from there."""
        walks = set(self._walks.values())
        self._worker.hurry()
        for walk in walks:
            walk.cancel()
        await _ended(walks, again_after_s=_CLOSE_AGAIN_S)
        await self._worker.close()

    async def _walk(self, job: Job) -> None:
        try:
            await self._steps(job)
        except AttemptFailed as exc:
            _fail(job, exc.reason, str(exc))
        except Exception as exc:  # noqa: BLE001 - a fault of ours ends this attempt, not the agent
            _log.exception("job %s: unforeseen", job.spec.job_id)
            _fail(job, _reason(job, exc), f"The agent failed: {type(exc).__name__}: {exc}")

    def _leave(self, job: Job) -> None:
        self._walks.pop(job, None)
        if job.stopping and not job.final:
            _clear(job)
            job.move(AttemptState.STOPPED, job.stopping)
        self._inputs.room.changed()

    async def _steps(self, job: Job) -> None:
        if job.status.state is not AttemptState.DELIVERING:
            async with AsyncExitStack() as ahead:
                await self._inputs.bring(job, ahead)
                async with self._computing.turn(job.number):
                    await ahead.aclose()
                    await compute(job, self._worker, self._clock)
        await self._deliver(job)

    async def _deliver(self, job: Job) -> None:
        """Deliver, and begin anew after whatever goes wrong with it: the result is there, and trouble passes.

        Only what says itself that nothing can be delivered any more (AttemptFailed) ends the attempt.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await deliver(job, self._clock, self._outbox, self._receipt_copy)
            except AttemptFailed:
                raise
            except Exception as exc:  # noqa: BLE001 - see above
                if not is_disk_full(exc):
                    _log.exception("job %s: the delivery broke off", job.spec.job_id)
                if job.final:  # all has arrived; what was not cleared up is left to the next agent
                    return None
                job.explain(AttemptReason.STORE_UNAVAILABLE, _hindrance(exc))
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def _ended(walks: set[asyncio.Task[None]], *, again_after_s: float) -> None:
    """Wait until these have ended, and cancel again whatever has not: no cancel that got lost may hold up an agent."""
    for _ in range(_CANCELS):
        if not walks:
            return
        _, walks = await asyncio.wait(walks, timeout=again_after_s)
        for walk in walks:
            walk.cancel()
    _log.error("left behind, for they do not end: %s", ", ".join(walk.get_name() for walk in walks))


def _waits_for_others(job: Job) -> bool:
    status = job.status
    return status.reason is AttemptReason.WAITING_FOR_ROOM or (
        status.state is AttemptState.FETCHING and status.stage == WAITS_FOR_ITS_TURN
    )


def _fail(job: Job, reason: AttemptReason, message: str) -> None:
    # First the disk, then the word: who reads "failed" finds nothing half made.
    _clear(job)
    if not job.final:
        job.move(AttemptState.FAILED, reason, message)


def _clear(job: Job) -> None:
    """Free what is left; the word that the attempt has ended is said all the same."""
    try:
        clear_leftovers(job)
    except OSError as exc:
        _log.warning("job %s: its leftovers cannot be removed: %s", job.spec.job_id, exc)


def _hindrance(exc: Exception) -> str:
    if is_disk_full(exc):
        return "The machine's disk is full; the result is kept, and its delivery goes on once there is room."
    # Not in the exception's words, which may name an address.
    return f"The delivery broke off ({type(exc).__name__}); the result is kept, and it is tried again until it works."


def _reason(job: Job, exc: Exception) -> AttemptReason:
    return AttemptReason.DISK_FULL if is_disk_full(exc) else _REASON_BY_STATE[job.status.state]
