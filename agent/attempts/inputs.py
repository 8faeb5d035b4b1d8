"""Bring every input of a job: fetched, received or linked, whatever its grant says."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from agent.attempts.fetch import HttpFetch
from agent.attempts.fingerprint import matches
from agent.attempts.partfile import PartFile
from agent.attempts.patience import until_renewed
from agent.attempts.room import READY, Room, has_begun
from agent.attempts.turnstile import Turnstile
from agent.errors import AttemptFailed, GrantsExpired, is_disk_full
from agent.jobs.job import Job
from framehaul.clock import Clock
from framehaul.contract.grants import FileIn, HttpGet, RelayIn
from framehaul.contract.spec import InputSpec
from framehaul.contract.states import AttemptReason, AttemptState

WAITS_FOR_ITS_TURN = "waits-for-its-turn"

_FETCHING = AttemptState.FETCHING


class Inputs:
    """Fetch for one job at a time, at most one job ahead of the worker, and only while the disk has room for it."""

    def __init__(self, client: httpx.Client, clock: Clock, room: Room) -> None:
        self.room = room
        self._client = client
        self._clock = clock
        self._ahead = Turnstile()

    async def bring(self, job: Job, ahead: AsyncExitStack) -> None:
        """Return when every input is in place. `ahead` holds the fetching turn until the computation begins."""
        while True:
            rung = job.bell.next()
            missing = [entry for entry in job.spec.inputs if not job.input_path(entry.slot).exists()]
            if job.grants is None:
                job.move(_FETCHING, AttemptReason.WAITING_FOR_GRANTS)
            elif not missing:
                return job.move(_FETCHING, stage=READY, message="waits for the worker")
            elif not await self._fetch_some(job, missing, ahead):
                job.move(_FETCHING, AttemptReason.WAITING_FOR_INPUT)
            else:
                continue
            await rung.wait()

    async def _fetch_some(self, job: Job, missing: list[InputSpec], ahead: AsyncExitStack) -> bool:
        """Fetch what can be fetched from here; False when all that is missing must be sent by somebody."""
        assert job.grants is not None
        mine = [entry for entry in missing if not isinstance(job.grants.inputs[entry.slot], RelayIn)]
        if len(mine) < len(missing) or not mine:
            return False  # relayed ones first: who waits for a laptop must not hold the turn
        await self._take_turn(job, ahead)
        if any(isinstance(job.grants.inputs[entry.slot], HttpGet) for entry in mine):
            await self._find_room(job, ahead)
        job.move(_FETCHING, stage="fetch")
        job.begin_stage("fetch", "bytes")
        for entry in mine:
            try:
                await self._fetch(job, entry)
            except GrantsExpired as exc:
                await ahead.aclose()
                job.move(_FETCHING, AttemptReason.GRANTS_EXPIRED, exc.message)
                await until_renewed(self._clock, job, exc.generation)
                return True
        return True

    async def _take_turn(self, job: Job, ahead: AsyncExitStack) -> None:
        """Wait for the turn; what has begun goes first, for it holds a part of the disk that others wait for."""
        if job.status.reason is not AttemptReason.WAITING_FOR_ROOM:
            job.move(_FETCHING, stage=WAITS_FOR_ITS_TURN)
        if first := has_begun(job):
            self.room.changed()
        await ahead.enter_async_context(self._ahead.turn(job.number, first=first))

    async def _find_room(self, job: Job, ahead: AsyncExitStack) -> None:
        """Hold the turn until the job fits, and let others have it meanwhile that go before this one."""
        while not await self.room.has(job, changed := self.room.next_change()):
            await self.room.wait(job, changed)
            if self._ahead.awaited(job.number, first=has_begun(job)):
                await ahead.aclose()
                await self._take_turn(job, ahead)

    async def _fetch(self, job: Job, entry: InputSpec) -> None:
        assert job.grants is not None
        grant = job.grants.inputs[entry.slot]
        try:
            if isinstance(grant, FileIn):
                await asyncio.to_thread(_link, job, entry, grant)
            elif isinstance(grant, HttpGet):
                await self._download(job, entry)
        except OSError as exc:
            if is_disk_full(exc):
                raise AttemptFailed(
                    AttemptReason.DISK_FULL,
                    f"The disk filled up while {entry.name} was fetched.",
                    advice="Rent more disk.",
                ) from exc
            raise

    async def _download(self, job: Job, entry: InputSpec) -> None:
        limit = job.spec.limits.max_input_bytes
        if entry.size is not None and entry.size > limit:
            raise AttemptFailed(AttemptReason.BAD_INPUT, f"{entry.name} has {entry.size} bytes; the limit is {limit}.")
        part = PartFile(job.part_path(entry.slot))
        await HttpFetch(self._client, self._clock, job, entry, part).run()
        if not await part.place(job.input_path(entry.slot), entry.fingerprint):
            raise _differs(entry)


def _link(job: Job, entry: InputSpec, grant: FileIn) -> None:
    target = job.input_path(entry.slot)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = Path(grant.path)
    if not source.is_absolute() or not source.is_file():
        raise AttemptFailed(AttemptReason.INPUT_MISMATCH, f"There is no file {grant.path}.")
    size = source.stat().st_size
    if (entry.size is not None and size != entry.size) or not matches(source, entry.fingerprint):
        raise _differs(entry)
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _differs(entry: InputSpec) -> AttemptFailed:
    return AttemptFailed(AttemptReason.INPUT_MISMATCH, f"{entry.name} is not the file that was planned.")
