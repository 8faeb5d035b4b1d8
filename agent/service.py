"""The agent as a whole: what it is made of, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from agent.attempts.inputs import Inputs
from agent.attempts.outbox import Outbox
from agent.attempts.queue import Queue
from agent.attempts.room import FreeBytes, Room, free_bytes
from agent.attempts.storeline import StoreClient
from agent.errors import HomeInUse, Refusal
from agent.jobs.job import Job
from agent.jobs.store import JobStore
from agent.lease import Lease, LeaseWatch
from agent.machine import Machine
from agent.orders import SERVED, SERVED_ON_OWN_DISK
from agent.worker import WorkerKeeper
from framehaul.clock import Clock
from framehaul.contract.states import AttemptState

RECEIPT_COPY_VARIABLE = "UPLOAD_RESULT_JSON"
_CONNECT_S = 20.0


@dataclass(frozen=True)
class Setup:
    """What an agent is told at its start."""

    home: Path
    clock: Clock
    allow_file_grants: bool = False
    # How inputs are fetched; a test passes its own.
    transport: httpx.BaseTransport | None = None
    # For how long a store may be silent in the middle of a reply, or take no byte, before the line counts as broken.
    stall_s: float = 60.0
    # How much room the disk of a folder has; a test makes it small.
    free_bytes: FreeBytes = free_bytes


class Agent:
    """One home folder, one queue, one worker, one lease."""

    def __init__(self, setup: Setup, environment: Mapping[str, str] = os.environ) -> None:
        self.clock = setup.clock
        self.grant_kinds = SERVED + (SERVED_ON_OWN_DISK if setup.allow_file_grants else ())
        # Set when the lease is over: whoever runs the process then ends it.
        self.ended = asyncio.Event()
        self.started = False
        self._home = setup.home
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(self._home)
        self.store = JobStore(self._home, self.clock)
        self.lease = Lease(self._home, self.clock)
        self.machine = Machine(self._home, self.grant_kinds)
        timeout = httpx.Timeout(setup.stall_s, connect=_CONNECT_S)
        trust = httpx.create_ssl_context()
        self._fetching = httpx.Client(transport=setup.transport, timeout=timeout, follow_redirects=True, verify=trust)
        self._client = httpx.AsyncClient(timeout=timeout, verify=trust)
        copy = environment.get(RECEIPT_COPY_VARIABLE)
        self.queue = Queue(
            Inputs(self._fetching, self.clock, Room(self.store.all, self.clock, setup.free_bytes)),
            WorkerKeeper(self.clock, environment),
            Outbox(StoreClient(self._client, self.clock, setup.stall_s), self.clock),
            self.clock,
            Path(copy) if copy else None,
        )
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what lies in the home folder."""
        self.store.scan()
        self.queue.take_up(self.store.all())
        watch = LeaseWatch(self.lease, self.store, self.queue, self.clock, self.ended.set)
        self._watch = asyncio.create_task(watch.run(), name="lease")
        self.started = True

    async def close(self) -> None:
        """End the worker and every walk; the disk tells the next agent where to go on."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.queue.close()
        await self._client.aclose()
        self._fetching.close()
        self._lock.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start, and close at the end of the block."""
        await self.start()
        try:
            yield
        finally:
            await self.close()

    def job(self, job_id: str) -> Job:
        """Find a job, or answer that there is none."""
        job = self.store.find(job_id)
        if job is None:
            raise Refusal(404, "unknown-job", f"There is no job {job_id!r} here.")
        return job

    def undelivered(self) -> tuple[str, ...]:
        """Name the jobs whose results lie here and nowhere else yet."""
        return tuple(job.spec.job_id for job in self.store.all() if job.status.state is AttemptState.DELIVERING)


def _lock(home: Path) -> IO[str]:
    """Hold the home folder: two agents in one would run every job twice. The kernel lets go when we die."""
    file = (home / "agent.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.close()
        raise HomeInUse(f"Another agent serves {home}.", advice="Stop it, or name another --home.") from exc
    return file
