"""Logs: found by whatever a person calls a job, read from the copy once the machine is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.desk import Desk
from controller.errors import ConfigError
from controller.keepsakes import kept_log
from controller.logs import LogReader, find_jobs, judge_attempt
from framehaul.contract.states import JobState
from tests.controller.agents import Agents
from tests.controller.clouds import Cloud
from tests.controller.desks import SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours, ended, everybody_waits


def keep(desk: Desk, text: bytes, stream: str = "progress", attempt: int = 1) -> Path:
    """Keep a log as a finished shipment does."""
    path = kept_log(desk.state, "b-1-00001", attempt, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


async def read(
    desk: Desk,
    cloud: Cloud,
    *,
    stream: str = "progress",
    keep_on: bool = False,
    offset: int = 0,
    attempt: int | None = None,
    agents: Agents | None = None,
) -> bytes:
    """Read a log to its end."""
    pieces = reader(desk, cloud, stream, agents).follow(keep_on=keep_on, offset=offset, attempt=attempt)
    return b"".join([piece.data async for piece in pieces])


def reader(desk: Desk, cloud: Cloud, stream: str = "progress", agents: Agents | None = None) -> LogReader:
    """Read the only job's log, from machines in memory where there are any."""
    open_channel = (agents or Agents()).open_channel
    return LogReader(desk, cloud, desk.ledger.job("b-1-00001"), stream, open_channel)


@pytest.mark.parametrize("text", ["b-1-00002", "00002", "2", "clip2.mp4"])
def test_a_job_is_found_by_what_a_person_calls_it(desk: Desk, text: str) -> None:
    """Its id, the end of it, its input's name."""
    desk.ledger.add_batch(a_batch(), [a_job_row(number=1), a_job_row(number=2)])

    assert find_jobs(desk.ledger, text)[-1].id == "b-1-00002"


def test_of_several_the_latest_comes_last(desk: Desk) -> None:
    """A file that was worked on twice: whoever asks can be told of both."""
    for number in (1, 2):
        desk.ledger.add_batch(a_batch(f"b-{number}", created_at=number), [a_job_row(f"b-{number}", created_at=number)])

    assert [job.id for job in find_jobs(desk.ledger, "clip1.mp4")] == ["b-1-00001", "b-2-00001"]


def test_a_job_that_is_unknown_is_a_mistake_of_the_command(desk: Desk) -> None:
    """It says where the names can be seen, and which comes nearest."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])

    with pytest.raises(ConfigError, match=r"knows no job 'clip9\.mp4'") as told:
        find_jobs(desk.ledger, "clip9.mp4")

    assert told.value.advice == "Did you mean clip1.mp4? List them: framehaul ps --all."


@pytest.mark.parametrize("keep_on", [False, True])
async def test_the_copy_is_read_when_the_machine_is_gone(desk: Desk, cloud: Cloud, keep_on: bool) -> None:
    """The stream that was asked for, whole, once; following it ends there."""
    desk.ledger.add_batch(a_batch(), [a_job_row(state=JobState.PUBLISHED, attempt=1)])
    keep(desk, b"one\ntwo\n")
    keep(desk, b"printed\n", "stdout")

    assert await read(desk, cloud, keep_on=keep_on) == b"one\ntwo\n"
    assert await read(desk, cloud, stream="stdout", keep_on=keep_on) == b"printed\n"


async def test_a_job_without_a_log_has_none(desk: Desk, cloud: Cloud) -> None:
    """Whoever does not follow it gets nothing, at once."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])

    assert await read(desk, cloud) == b""


async def test_following_waits_for_a_job_that_waits(desk: Desk, cloud: Cloud, clock: Hours) -> None:
    """Until it has left its machine: then the copy is there."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    working = desk.state.lock()
    working.acquire()
    reading = asyncio.create_task(read(desk, cloud, keep_on=True))
    await clock.pass_by(30.0)
    await everybody_waits()
    assert not reading.done()

    job = desk.ledger.begin_attempt(desk.ledger.job("b-1-00001"), a_lease(), SPEC)
    desk.ledger.intend_lease(a_lease())
    await clock.pass_by(5.0)
    keep(desk, b"the whole story\n")
    desk.ledger.move_job(job.id, JobState.DELIVERED)
    await clock.pass_by(5.0)

    assert reading.done()
    assert reading.result() == b"the whole story\n"
    await ended(reading)
    working.release()


@pytest.mark.parametrize(("made", "told"), [(0, "none was made yet"), (1, "there is 1 alone"), (3, "there are 1 to 3")])
def test_an_attempt_that_was_never_made_is_a_mistake_of_the_command(desk: Desk, made: int, told: str) -> None:
    """It names those that were; one that was made, and none in particular, are no mistake."""
    desk.ledger.add_batch(a_batch(), [a_job_row(attempt=made)])
    job = desk.ledger.job("b-1-00001")

    with pytest.raises(ConfigError, match=rf"clip1\.mp4 has no attempt 9: {told}\."):
        judge_attempt(job, 9)
    judge_attempt(job, None)
    judge_attempt(job, made or None)


@pytest.mark.parametrize(("offset", "text"), [(10**24, b""), (1 << 62, b""), (-(10**24), b"one\n"), (2, b"e\n")])
async def test_no_offset_is_too_far(desk: Desk, cloud: Cloud, offset: int, text: bytes) -> None:
    """Beyond the end there is nothing; before the beginning is the beginning."""
    desk.ledger.add_batch(a_batch(), [a_job_row(state=JobState.PUBLISHED, attempt=1)])
    keep(desk, b"one\n")

    assert await read(desk, cloud, offset=offset) == text


async def test_following_ends_when_nobody_works_any_more(desk: Desk, cloud: Cloud) -> None:
    """A job that waits in the ledger, with no framehaul at work, will write no log."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])

    assert await read(desk, cloud, keep_on=True) == b""
