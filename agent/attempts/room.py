"""Share the disk among the jobs of this machine: none begins unless all that have begun can end beside it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.errors import AttemptFailed
from agent.jobs.bell import Bell
from agent.jobs.job import Job
from framehaul.clock import Clock, wait_for_event
from framehaul.contract.grants import FileIn
from framehaul.contract.states import AttemptReason, AttemptState

READY = "ready"

_FETCHING, _RUNNING, _DELIVERING = AttemptState.FETCHING, AttemptState.RUNNING, AttemptState.DELIVERING
_WAITING = AttemptReason.WAITING_FOR_ROOM
# Besides the bell: a finished job that is deleted, or another program, frees room and rings nothing.
_LOOK_EVERY_S = 10.0

FreeBytes = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """Say how much room the disk has for us."""
    return shutil.disk_usage(folder).free


class Room:
    """The disk's budget, asked by one job at a time: the one whose turn it is to fetch."""

    def __init__(self, jobs: Callable[[], Iterable[Job]], clock: Clock, free: FreeBytes = free_bytes) -> None:
        self._jobs = jobs
        self._clock = clock
        self._free = free
        self._bell = Bell()
        # True from the moment when a job was told to wait for others until something changes.
        self.blocked = False
        # Who found neither room nor anybody to wait for, once.
        self._hopeless: Job | None = None

    def changed(self) -> None:
        """Say that a job has ended, has freed files, or wants its turn before others."""
        self.blocked = False
        self._bell.ring()

    def next_change(self) -> asyncio.Event:
        """Give the event of the next change; taken before `has` looks, none is missed."""
        return self._bell.next()

    async def has(self, job: Job, changed: asyncio.Event) -> bool:
        """Say whether the job fits now; AttemptFailed where it does not and nobody's end would make room for it.

        That is believed at the second look: the files of a job that was just deleted go a moment after it.
        """
        others = [other for other in self._jobs() if other is not job]
        missing, left, hope = await asyncio.to_thread(self._reckon, job, others)
        fits = missing <= left
        self.blocked = not fits and hope and not changed.is_set()
        if fits or hope:
            self._hopeless = None
        elif self._hopeless is job:
            sentence = f"The job needs {_size_of(missing)} more of the disk, and {_size_of(left)} is free."
            raise AttemptFailed(AttemptReason.DISK_FULL, sentence, advice="Rent more disk.")
        else:
            self._hopeless = job
        return fits

    async def wait(self, job: Job, changed: asyncio.Event) -> None:
        """Tell what the job waits for, and return when there may be room."""
        job.move(_FETCHING, _WAITING, "The disk has no room for this job until others have been delivered.")
        await wait_for_event(self._clock, changed, _LOOK_EVERY_S)

    def _reckon(self, job: Job, others: list[Job]) -> tuple[int, int, bool]:
        """Give what the job will write, what is free and promised to nobody, and whether somebody will free more."""
        reserved = sum(_still_to_write(other) for other in others if _goes_before(other, job))
        left = max(0, self._free(job.folder.root) - reserved)
        return _still_to_write(job), left, any(_will_free(other, job) for other in others)


def has_begun(job: Job) -> bool:
    """Say whether the job holds a part of the disk already."""
    return job.status.state in {_RUNNING, _DELIVERING} or job.status.stage == READY or _written(job) > 0


def _still_to_write(job: Job) -> int:
    """Reckon what a job may still add to the disk: its announced peak, or at least its inputs, less what is there."""
    if job.final or job.status.state is _DELIVERING:
        return 0
    granted = job.grants.inputs if job.grants else {}
    linked = {slot for slot, grant in granted.items() if isinstance(grant, FileIn)}
    inputs = sum(entry.size or 0 for entry in job.spec.inputs if entry.slot not in linked)
    return max(0, max(job.spec.limits.disk_bytes, inputs) - _written(job))


def _goes_before(other: Job, job: Job) -> bool:
    """Say whether the other one's room is taken: who has begun comes before who has not, then the earlier arrival.

    The turn to fetch goes by the same order, so no two jobs wait for each other.
    """
    if other.final or not has_begun(other):
        return False
    return not has_begun(job) or other.number < job.number


def _will_free(other: Job, job: Job) -> bool:
    """Say whether room can be hoped for from the other one, without this job's having moved first."""
    if other.final:  # results that were picked up lie here until the controller deletes the job
        return other.status.state is AttemptState.DELIVERED and _written(other) > 0
    if other.status.state in {_RUNNING, _DELIVERING} or other.status.stage == READY:
        return True
    return _goes_before(other, job)


def _written(job: Job) -> int:
    folders = (job.folder.inputs, job.folder.parts, job.folder.outputs)
    # Not rglob: on Python 3.11 it stumbles over a folder that another job's end removes meanwhile.
    return sum(_size(Path(place, name)) for folder in folders for place, _, files in os.walk(folder) for name in files)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    except OSError:  # removed in this moment
        return 0


def _size_of(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
