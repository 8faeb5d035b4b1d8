"""The lease as the agent knows it: when its controller was last heard, and what to do about silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agent.attempts.queue import Queue
from agent.jobs.job import Job
from agent.jobs.store import JobStore
from framehaul.atomic import write_atomic
from framehaul.clock import Clock
from framehaul.contract.states import AttemptReason, AttemptState
from framehaul.contract.status import LeaseOrder, LeaseView, OnSilence
from framehaul.contract.wire import Epoch, Wire

_TICK_S = 1.0

_log = logging.getLogger(__name__)


class LeaseRecord(Wire):
    """The content of lease.json; every hour is an epoch, so that a reboot does not stop the clock."""

    order: LeaseOrder | None = None
    heard_at: Epoch | None = None
    draining: bool = False


class Lease:
    """Heartbeats in, one question out: may this agent go on?"""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._path = home / "lease.json"
        self._clock = clock
        self._record = _read(self._path)
        if self._record.order:
            # An agent that restarts gives its controller the whole TTL again to find it.
            self._record = self._record.model_copy(update={"heard_at": clock.now()})

    def hear(self, order: LeaseOrder) -> None:
        """Take a heartbeat: the TTL begins anew; the deadline moves only to a later one."""
        known = self._record.order
        deadline = max(order.deadline, known.deadline) if known else order.deadline
        self._write(order=order.model_copy(update={"deadline": deadline}), heard_at=self._clock.now())

    def drain(self) -> None:
        """Take no new jobs, ever; also not after a restart. Idempotent."""
        self._write(draining=True)

    @property
    def order(self) -> LeaseOrder | None:
        """The last heartbeat's order, with the latest deadline ever named."""
        return self._record.order

    @property
    def silent_after(self) -> float | None:
        """The hour from which on the controller counts as silent; None before the first heartbeat."""
        order, heard_at = self._record.order, self._record.heard_at
        return None if order is None or heard_at is None else heard_at + order.ttl_s + order.grace_s

    def silent(self) -> bool:
        """Say whether the controller was heard once and has been quiet for too long."""
        hour = self.silent_after
        return hour is not None and self._clock.now() > hour

    def over(self) -> bool:
        """Say whether the hard deadline has passed."""
        return self._record.order is not None and self._clock.now() > self._record.order.deadline

    @property
    def draining(self) -> bool:
        """Say whether no new jobs are taken: on order, or because nobody is there who could."""
        return self._record.draining or self.silent() or self.over()

    def view(self, undelivered: tuple[str, ...]) -> LeaseView:
        """Describe the lease, as POST /lease answers."""
        order = self._record.order
        return LeaseView(
            deadline=order.deadline if order else None,
            silent_after=self.silent_after,
            on_silence=order.on_silence if order else OnSilence.QUEUE,
            draining=self.draining,
            undelivered=undelivered,
        )

    def _write(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)
        try:
            write_atomic(self._path, self._record.canonical())
        except OSError as exc:
            # A full disk must not make a controller silent that is there.
            _log.warning("lease: lease.json cannot be written: %s", exc)


class LeaseWatch:
    """Act on silence and on the deadline: stop what must stop, then end the process.

    Results that nobody has fetched stay `delivering` whatever happens: an agent that is started
    on the same home serves them again.
    """

    def __init__(self, lease: Lease, store: JobStore, queue: Queue, clock: Clock, end: Callable[[], None]) -> None:
        self._lease = lease
        self._store = store
        self._queue = queue
        self._clock = clock
        self._end = end

    async def run(self) -> None:
        """Look once a second, until the lease has ended. A fault of one look must not end the looking."""
        while True:
            try:
                if await self.look():
                    return
            except Exception:  # noqa: BLE001 - see above
                _log.exception("lease: the look failed")
            await self._clock.sleep(_TICK_S)

    async def look(self) -> bool:
        """Do what the hour asks for; True when the agent has been ended."""
        if self._lease.over():
            return await self._finish("the deadline has passed", self._unfinished())
        if not self._lease.silent():
            return False
        order = self._lease.order
        policy = order.on_silence if order else OnSilence.QUEUE
        if policy is OnSilence.NOW:
            return await self._finish("the controller is silent", self._unfinished())
        if policy is OnSilence.CURRENT:
            await self._queue.stop_all(self._waiting(), AttemptReason.LEASE_ENDED)
        if self._queue.busy():
            return False
        return await self._finish("the controller is silent and nothing is left to do", self._unfinished())

    async def _finish(self, why: str, jobs: list[Job]) -> bool:
        _log.info("lease: %s; the agent ends", why)
        await self._queue.stop_all(jobs, AttemptReason.LEASE_ENDED)
        self._end()
        return True

    def _unfinished(self) -> list[Job]:
        return [job for job in self._store.all() if not job.final and job.status.state is not AttemptState.DELIVERING]

    def _waiting(self) -> list[Job]:
        return [job for job in self._unfinished() if job.status.state is not AttemptState.RUNNING]


def _read(path: Path) -> LeaseRecord:
    return LeaseRecord.model_validate_json(path.read_bytes()) if path.exists() else LeaseRecord()
