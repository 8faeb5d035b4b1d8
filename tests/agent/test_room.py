"""The disk's budget: a job begins only if all that have begun can end beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.attempts.room import READY, Room
from agent.errors import AttemptFailed
from agent.jobs.job import Job
from framehaul.clock import ManualClock
from framehaul.contract.grants import FileIn
from framehaul.contract.jobdir import JobDir
from framehaul.contract.spec import Limits
from framehaul.contract.states import AttemptReason, AttemptState
from tests.agent.conftest import OpenAgent
from tests.agent.letters import MOVIE, grants, order, reading
from tests.agent.patience import eventually
from tests.emulators.files import FileServer

_FETCHING, _RUNNING, _DELIVERING = AttemptState.FETCHING, AttemptState.RUNNING, AttemptState.DELIVERING
_ROOM_S = 10


class Machine:
    """A disk of a size, and the jobs on it, in order of arrival."""

    def __init__(self, folder: Path, size: int) -> None:
        self.clock = ManualClock()
        self.jobs: list[Job] = []
        self.room = Room(lambda: self.jobs, self.clock, lambda _: self.size - self._used())
        self.size = size
        self._folder = folder

    def job(self, disk_bytes: int, *moves: AttemptState, written: int = 0, stage: str = "", data: int = 0) -> Job:
        """Accept a job that takes so much at its peak, of which a part is written, and bring it to a state."""
        number = len(self.jobs) + 1
        spec = order(f"job-{number}", bytes(data), limits=Limits(disk_bytes=disk_bytes))
        job = Job.create(JobDir.under(self._folder, spec.job_id), spec, self.clock, number)
        for state in moves:
            job.move(state, stage=stage)
        job.part_path("source").write_bytes(bytes(written))
        self.jobs.append(job)
        return job

    async def has(self, job: Job) -> bool:
        """Ask whether the job fits."""
        return await self.room.has(job, self.room.next_change())

    def _used(self) -> int:
        return sum(path.stat().st_size for path in self._folder.glob("jobs/*/parts/*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A disk of 100 bytes."""
    return Machine(tmp_path, 100)


async def test_first_job_that_fits_begins(machine: Machine) -> None:
    """Up to the last byte."""
    assert await machine.has(machine.job(100))
    assert not machine.room.blocked


async def test_what_others_will_write_is_not_free(machine: Machine) -> None:
    """A running job that wrote 20 of its 60 bytes leaves 40: 80 are free, and 40 of those are promised."""
    machine.job(60, _FETCHING, _RUNNING, written=20)

    assert await machine.has(machine.job(40))
    assert not await machine.has(machine.job(41))
    assert machine.room.blocked


async def test_job_that_is_delivered_writes_no_more(machine: Machine) -> None:
    """Only what lies there counts of it, and the one that waits is told to wait for it."""
    machine.job(90, _FETCHING, _RUNNING, _DELIVERING, written=30)

    assert await machine.has(machine.job(70))
    assert not await machine.has(machine.job(71))


async def test_alone_and_too_big_fails_with_the_figures(machine: Machine) -> None:
    """Nothing would make room, at a second look either: the sentence says how much is needed and how much there is."""
    job = machine.job(3_500_000_000)
    assert not await machine.has(job)

    with pytest.raises(AttemptFailed) as failed:
        await machine.has(job)

    assert failed.value.reason is AttemptReason.DISK_FULL
    assert str(failed.value) == "The job needs 3.5 GB more of the disk, and 0.0001 MB is free. Rent more disk."


async def test_files_that_go_a_moment_later_make_room(machine: Machine) -> None:
    """A job that was deleted is gone from the list before its files are gone from the disk."""
    deleted = machine.job(90, _FETCHING, written=60)
    job = machine.job(50)
    machine.jobs.remove(deleted)
    assert not await machine.has(job)

    deleted.part_path("source").unlink()

    assert await machine.has(job)


async def test_jobs_that_have_not_begun_take_no_room(machine: Machine) -> None:
    """A long queue that waits for its turn, or for grants, holds nothing."""
    for _ in range(5):
        machine.job(90, _FETCHING)

    assert await machine.has(machine.job(100))


async def test_unknown_need_is_at_least_the_inputs(machine: Machine) -> None:
    """Where the plan gave no figure, the input has to fit."""
    assert await machine.has(machine.job(0, data=100))
    assert not await machine.has(machine.job(0, data=101))


async def test_linked_inputs_take_no_room(machine: Machine) -> None:
    """A file that lies on this disk already is not brought once more."""
    job = machine.job(0, data=101)
    job.accept_grants(grants(job.spec, source=FileIn(path="/clip.mp4")))

    assert await machine.has(job)


async def test_folder_that_cannot_be_listed_counts_as_nothing(machine: Machine) -> None:
    """As one that another job's end removes in the moment of the look. This one's path is longer than paths may be."""
    other = machine.job(60, _FETCHING, written=20)
    here = os.open(other.folder.inputs, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)

    assert await machine.has(machine.job(40))
    assert not await machine.has(machine.job(41))


async def test_two_that_had_begun_do_not_wait_for_each_other(machine: Machine) -> None:
    """After a restart, of two half-fetched jobs that do not both fit, the earlier one goes on and the later waits."""
    first = machine.job(60, _FETCHING, written=20)
    second = machine.job(60, _FETCHING, written=20)

    assert await machine.has(first)
    assert not await machine.has(second)


async def test_input_that_waits_for_the_worker_is_waited_for(machine: Machine) -> None:
    """A job that is ready will be computed and delivered by itself, whatever this one does."""
    machine.job(90, _FETCHING, stage=READY)

    assert not await machine.has(machine.job(20))


@pytest.mark.parametrize("what", ["a-job-ends", "time-passes"])
async def test_waiting_is_told_and_ends(machine: Machine, what: str) -> None:
    """The status says what is waited for; whoever frees files ends the wait, or a look every ten seconds."""
    job = machine.job(50, _FETCHING)

    waiting = asyncio.create_task(machine.room.wait(job, machine.room.next_change()))
    await asyncio.sleep(0)
    assert job.status.reason is AttemptReason.WAITING_FOR_ROOM
    assert job.status.message == "The disk has no room for this job until others have been delivered."
    assert not waiting.done()

    def happens() -> bool:
        machine.room.changed() if what == "a-job-ends" else machine.clock.advance(_ROOM_S)
        return waiting.done()

    await eventually(happens)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileServer]:
    """A web server that holds the movie."""
    root = tmp_path / "store"
    root.mkdir()
    (root / "clip.mp4").write_bytes(MOVIE)
    with FileServer(root) as server:
        yield server


def _free_of(home: Path, size: int) -> Callable[[Path], int]:
    def free(_: Path) -> int:
        return size - sum(path.stat().st_size for path in home.glob("jobs/*/*/**/*") if path.is_file())

    return free


async def test_second_job_waits_until_the_first_is_gone(
    open_agent: OpenAgent, store: FileServer, tmp_path: Path
) -> None:
    """On a disk that holds one job, the next is not fetched before the first one's results have left."""
    need = 2 * len(MOVIE)
    free = _free_of(tmp_path / "home", need + len(MOVIE))
    changes: dict[str, Any] = {"limits": Limits(disk_bytes=need)}
    async with open_agent(free_bytes=free) as inside:
        for job_id in ("job-1", "job-2"):
            spec = order(job_id, **changes)
            await inside.caller.put_job(spec)
            await inside.caller.put_grants(grants(spec, source=reading(f"{store.url}/clip.mp4")))
        await inside.caller.receipt("job-1")
        waiting = await inside.caller.until("job-2", "fetching", "waiting-for-room")
        assert waiting.inputs["source"].received == 0
        assert len(store.log()) == 1
        assert not inside.agent.queue.busy()  # nobody but the controller can make room

        assert await inside.caller.pick_up("job-1") == MOVIE
        assert (await inside.caller.delete("job-1")).status_code == 204

        async def fetched() -> bool:
            inside.clock.advance(_ROOM_S)
            return (await inside.caller.view("job-2")).status.state != "fetching"

        await eventually(fetched)
        assert await inside.caller.pick_up("job-2") == MOVIE


async def test_job_that_never_fits_fails_before_a_byte_comes(
    open_agent: OpenAgent, store: FileServer, tmp_path: Path
) -> None:
    """It is told at the beginning, not when the disk is full."""
    async with open_agent(free_bytes=_free_of(tmp_path / "home", 1000)) as inside:
        spec = order()
        await inside.caller.put_job(spec)
        await inside.caller.put_grants(grants(spec, source=reading(f"{store.url}/clip.mp4")))

        await inside.caller.until("job-1", "fetching", "waiting-for-room")
        failed = await inside.in_time("failed", "disk-full")

    assert failed.status.message.startswith("The job needs 0.0102 MB more of the disk, and ")
    assert store.log() == []
