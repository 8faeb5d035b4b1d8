"""Read a job's log: from its machine while that lives, from the copy on the laptop afterwards.

Whoever follows one holds an attempt and an offset in it. Agents restart, connections break, machines are replaced;
each byte of what can be had is given once, in its order.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable, ConfigError, ProviderError
from controller.fleet import OpenChannel
from controller.keepsakes import kept_log
from controller.ledger import Job, Ledger
from controller.providers.base import Provider
from framehaul.contract.states import JobState

_LONG_POLL_S = 20.0
_LOOK_AGAIN_S = 1.0
# Whoever does not follow asks a machine that does not answer this often in all.
_TRIES = 3
# Beyond every log's end: an agent answers at once, and with where the end is.
_FAR = 1 << 62


@dataclass(frozen=True)
class Place:
    """How far a reader is: in which attempt's log, at which byte."""

    attempt: int
    offset: int


@dataclass(frozen=True)
class Piece:
    """Some bytes of one attempt's log, and where they began."""

    attempt: int
    offset: int
    data: bytes


def find_jobs(ledger: Ledger, text: str) -> list[Job]:
    """Find jobs by an id, the end of one, or an input's name; the latest comes last. ConfigError where none is."""
    jobs = ledger.jobs()
    found = [job for job in jobs if text in (job.id, job.name)] or [job for job in jobs if job.id.endswith(text)]
    if not found:
        near = get_close_matches(text, {name for job in jobs for name in (job.name, job.id)}, 3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(f"The ledger knows no job {text!r}.", advice=f"{hint}List them: framehaul ps --all.")
    return found


def judge_attempt(job: Job, attempt: int | None) -> None:
    """Refuse an attempt that was never made. ConfigError names those that were."""
    if attempt is None or attempt <= job.attempt:
        return
    made = {0: "none was made yet", 1: "there is 1 alone"}.get(job.attempt, f"there are 1 to {job.attempt}")
    raise ConfigError(f"{job.name} has no attempt {attempt}: {made}.", advice="Without --attempt, the latest is read.")


class LogReader:
    """One stream of one job's log."""

    def __init__(
        self, desk: Desk, provider: Provider, job: Job, stream: str, open_channel: OpenChannel = AgentChannel
    ) -> None:
        self._desk = desk
        self._provider = provider
        self._id = job.id
        self._stream = stream
        self._open_channel = open_channel

    async def follow(self, *, keep_on: bool, offset: int = 0, attempt: int | None = None) -> AsyncIterator[Piece]:
        """Give the log from an offset on (a negative one counts back from its end so far).

        With `keep_on` until the job is over, or nobody works on it any more, through every later attempt; else what
        there is. A named `attempt` is read alone. AgentUnreachable when what is there cannot be fetched.
        """
        job = self._job
        place = Place(attempt or job.attempt, 0)
        offset = max(-_FAR, min(offset, _FAR))
        place = replace(place, offset=offset if offset >= 0 else max(0, await self._end(place) + offset))
        tries = _TRIES
        while True:
            # Both asked before reading: what is written until then is still read, and the kept copy to its end.
            more = keep_on and self._may_grow(self._job, place, alone=attempt is not None)
            at_a_machine = self._at_a_machine(place)
            try:
                data = await self._next(place, wait_s=_LONG_POLL_S if more else 0.0)
            except AgentUnreachable:
                tries -= 1
                if not more and tries <= 0 and self._at_a_machine(place):
                    raise
                await self._desk.clock.sleep(_LOOK_AGAIN_S)
                continue
            if data:
                yield Piece(place.attempt, place.offset, data)
                tries, place = _TRIES, replace(place, offset=place.offset + len(data))
            elif attempt is None and not at_a_machine and self._job.attempt > place.attempt:
                place = Place(place.attempt + 1, 0)
            elif at_a_machine and not self._at_a_machine(place):
                continue  # it left while we read: the rest lies in the kept copy
            elif not more:
                return
            else:
                await self._desk.clock.sleep(_LOOK_AGAIN_S)

    @property
    def _job(self) -> Job:
        return self._desk.ledger.job(self._id)

    def _may_grow(self, job: Job, place: Place, *, alone: bool) -> bool:
        """Say whether somebody works who may still write to it: after that, one more look finds all there is."""
        if alone and job.attempt != place.attempt:
            return False
        return job.state in {JobState.ASSIGNED, JobState.PLANNED} and self._desk.state.is_locked()

    def _at_a_machine(self, place: Place) -> bool:
        job = self._job
        return job.state is JobState.ASSIGNED and job.attempt == place.attempt

    async def _next(self, place: Place, *, wait_s: float) -> bytes:
        """Read on: from the machine while this attempt is there, else from the kept copy."""
        if self._at_a_machine(place):
            return (await self._from_agent(place.offset, wait_s))[0]
        return self._kept(place)

    def _kept(self, place: Place) -> bytes:
        path = kept_log(self._desk.state, self._id, place.attempt, self._stream)
        return _tail(path, place.offset) if path.exists() else b""

    async def _end(self, place: Place) -> int:
        """Say how long the log is now."""
        if self._at_a_machine(place):
            return (await self._from_agent(_FAR, 0.0))[1]
        path = kept_log(self._desk.state, self._id, place.attempt, self._stream)
        return path.stat().st_size if path.exists() else 0

    async def _from_agent(self, offset: int, wait_s: float) -> tuple[bytes, int]:
        """Ask the machine, wherever it answers now: an agent that was started again has another address."""
        job = self._job
        if job.lease_id is None:
            return b"", offset
        lease = self._desk.ledger.lease(job.lease_id)
        try:
            instances = await self._provider.instances()
        except ProviderError as exc:
            raise AgentUnreachable(f"Where the machine is cannot be told: {exc}") from exc
        for instance in instances:
            if instance.label == lease.label and instance.address is not None:
                async with self._open_channel(instance.address, lease.secret) as channel:
                    return await self._ask(channel, offset, wait_s)
        raise AgentUnreachable(f"The machine of {job.name} does not answer now.")

    async def _ask(self, channel: AgentChannel, offset: int, wait_s: float) -> tuple[bytes, int]:
        try:
            return await channel.log(self._id, self._stream, offset, wait_s=wait_s)
        except AgentError as exc:
            if exc.problem.name == "unknown-job":
                return b"", offset  # not shipped yet, or cleared away since: the next look tells
            raise AgentUnreachable(str(exc)) from exc


def _tail(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        # Disks refuse to look farther than their largest file could reach.
        file.seek(min(offset, file.seek(0, os.SEEK_END)))
        return file.read()
