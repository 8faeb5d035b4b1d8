"""The worker: warm between jobs, stopped politely or for certain, and replaced when it dies."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from agent.worker import STOP_GRACE_S
from agent.worker_child import harmless
from agent.worker_main import failure
from framehaul.contract.states import AttemptReason
from framehaul.errors import BadParams, BadUri, ModelError, NotAVideo, StoreFull
from tests.agent.caller import Caller
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, grants, order
from tests.agent.patience import eventually
from tests.agent.served import alive, workers_of


async def _worker() -> int:
    return (await eventually(lambda: workers_of(os.getpid())))[0]


async def _running(inside: Inside, job_id: str = "job-1", rate_bytes_s: int = 1000) -> int:
    """Ship a job that stands still, wait until the worker is in the middle of it, and give the worker."""
    await inside.caller.ship(order(job_id, rate_bytes_s=rate_bytes_s))
    await inside.caller.until(job_id, "running")
    await inside.work(1)
    await eventually(lambda: _has_done(inside.caller, job_id))
    return await _worker()


async def _has_done(caller: Caller, job_id: str) -> bool:
    return (await caller.view(job_id)).status.done > 0


async def test_worker_starts_with_the_first_job_and_stays(inside: Inside) -> None:
    """A machine without work loads nothing; a second job finds the process of the first one."""
    assert workers_of(os.getpid()) == []
    await inside.caller.ship(order("job-1"))
    await inside.caller.receipt("job-1")
    first = await _worker()

    await inside.caller.ship(order("job-2"))
    await inside.caller.receipt("job-2")

    assert workers_of(os.getpid()) == [first]


async def test_killed_worker_fails_its_attempt_alone(inside: Inside) -> None:
    """A worker that is killed ends one attempt, with the signal's name; the next job gets a new worker."""
    killed = await _running(inside)
    inside.folder().stdout_log.write_text("loading\nframe 7 of 90\n")

    os.kill(killed, signal.SIGKILL)

    failed = await inside.caller.until("job-1", "failed", "worker-died")
    assert failed.status.message.startswith("The worker was killed by SIGKILL.")
    assert failed.status.message.endswith("Its last words: loading / frame 7 of 90")
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE
    assert workers_of(os.getpid()) != [killed]


async def test_worker_that_dies_while_idle_is_replaced(inside: Inside) -> None:
    """A worker that died between two jobs costs the second one nothing but the start of another."""
    await inside.caller.ship(order("job-1"))
    await inside.caller.receipt("job-1")
    idle = await _worker()

    os.kill(idle, signal.SIGKILL)
    await eventually(lambda: not alive(idle))
    await inside.caller.ship(order("job-2"))

    assert await inside.caller.pick_up("job-2") == MOVIE


async def test_asked_to_stop_and_stops(inside: Inside) -> None:
    """A runner that looks up stops at its next chance, and the process stays warm for the next job."""
    worker = await _running(inside)

    asked = await inside.caller.delete("job-1")
    await inside.work_until("job-1", "stopped", "asked-to-stop")

    assert asked.status_code == 202
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE
    assert workers_of(os.getpid()) == [worker]


async def test_asked_to_stop_and_does_not(inside: Inside) -> None:
    """A runner that never looks up is killed after the grace; the agent goes on."""
    worker = await _running(inside)
    await inside.caller.delete("job-1")
    assert alive(worker)

    def killed() -> bool:
        inside.clock.advance(STOP_GRACE_S)
        return not alive(worker)

    await eventually(killed)
    await inside.caller.until("job-1", "stopped", "asked-to-stop")
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE


async def test_unforeseen_failure_retires_the_process(inside: Inside) -> None:
    """An error that no pipeline foresaw may have broken the GPU's context: the next job gets a new process."""
    spoiled = await _running(inside)
    folder = inside.folder()
    for path in folder.parts.iterdir():
        path.unlink()

    failed = await inside.work_until("job-1", "failed", "pipeline-failed")

    assert "FileNotFoundError" in failed.status.message
    assert "Traceback" in folder.stdout_log.read_text()
    await eventually(lambda: not alive(spoiled))
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE


async def test_progress_is_told_with_its_unit_and_end(inside: Inside) -> None:
    """While it computes, the view counts, and status.json on disk follows; bytes have no frames per second."""
    await _running(inside, rate_bytes_s=10)
    before = (await inside.caller.view("job-1")).status.done

    async def moved() -> bool:
        inside.worker_clock.advance(1)
        return (await inside.caller.view("job-1")).status.done > before

    inside.clock.advance(2)
    await eventually(moved)
    status = (await inside.caller.view("job-1")).status
    assert (status.stage, status.total) == ("copy", len(MOVIE))
    assert (status.unit, status.fps) == ("bytes", None)
    assert status.eta_s == pytest.approx((len(MOVIE) - status.done) / (status.done / 2), rel=0.5)
    await eventually(lambda: f'"done":{status.done}' in inside.folder().status.read_text())


async def test_one_computes_at_a_time_in_order_of_arrival(inside: Inside) -> None:
    """Of those whose inputs are there the earliest goes first; one that still waits for its input holds up nobody."""
    await _running(inside, "job-1")
    for job_id in ("job-2", "job-3", "job-4"):
        await inside.caller.put_job(order(job_id))
        await inside.caller.put_grants(grants(order(job_id)))
    for job_id in ("job-4", "job-3"):
        await inside.caller.put_input(job_id, MOVIE)
    await inside.caller.until("job-3", "fetching", "none")

    await inside.work_until("job-4", "delivering", "waiting-for-pickup")

    ends = [inside.folder(job_id).manifest.stat().st_mtime_ns for job_id in ("job-1", "job-3", "job-4")]
    assert ends == sorted(ends)
    assert (await inside.caller.view("job-2")).status.reason == "waiting-for-input"


async def test_fault_of_the_agents_own_ends_one_attempt(inside: Inside) -> None:
    """An error that the agent itself did not foresee fails the attempt with its name; the next job goes through."""
    await inside.caller.put_job(order("job-1"))
    inside.folder("job-1").outputs.rmdir()

    await inside.caller.ship(order("job-1"))

    failed = await inside.caller.until("job-1", "failed", "fetch-failed")
    assert "FileNotFoundError" in failed.status.message
    await inside.caller.ship(order("job-2"))
    assert await inside.caller.pick_up("job-2") == MOVIE


@pytest.mark.parametrize(
    ("exc", "reason", "spoiled"),
    [
        (BadParams("no"), AttemptReason.BAD_PARAMS, False),
        (BadUri("no"), AttemptReason.BAD_INPUT, False),
        (NotAVideo("no"), AttemptReason.BAD_INPUT, False),
        (StoreFull("no"), AttemptReason.DISK_FULL, False),
        (OSError(errno.ENOSPC, "full"), AttemptReason.DISK_FULL, False),
        (ModelError("no"), AttemptReason.PIPELINE_FAILED, False),
        (RuntimeError("CUDA error"), AttemptReason.PIPELINE_FAILED, True),
        (OSError(errno.EIO, "broken"), AttemptReason.PIPELINE_FAILED, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_failures_have_reasons(exc: Exception, reason: AttemptReason, spoiled: bool) -> None:
    """Each family of errors is one reason, by which the controller decides whether another machine may do better."""
    failed = failure(exc)

    assert (failed.reason, failed.spoiled) == (reason, spoiled)


def test_failure_names_its_advice_apart() -> None:
    """What to do next travels beside what went wrong."""
    failed = failure(BadParams("crf: too big.", advice="At most 51."))

    assert (failed.message, failed.advice) == ("crf: too big.", "At most 51.")


def test_harmless_environment() -> None:
    """Whatever smells of a secret stays with the server; what a GPU needs goes on."""
    kept = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "FRAMEHAUL_CLOCK_URL": "http://127.0.0.1:1"}
    dropped = dict.fromkeys(
        ["FRAMEHAUL_LEASE_SECRET", "CONTAINER_API_KEY", "B2_KEY", "HF_TOKEN", "aws_secret_access_key", "DB_PASSWORD"],
        "x",
    )

    assert harmless(kept | dropped) == kept
