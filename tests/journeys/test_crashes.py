"""What a crash costs, at each of the three processes: nothing that was finished, and no machine."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from framehaul.contract.states import AttemptState, JobState, LeaseState
from tests.journeys.person import Person, eventually

Blob = Callable[[str, int], Path]


def test_a_killed_controller_finds_its_job_again_and_finishes_it_without_redoing_it(person: Person, blob: Blob) -> None:
    """SIGKILL of the controller mid-job, and the same command again: one attempt, one lease, one result."""
    source = blob("x.bin", 1_500_000)
    first = person.copies(source, rate=400_000)
    eventually("the job runs", person.drafts)

    person.kills(first)
    assert person.agents(), "the machine must outlive its controller"
    second = person.ends(person.copies(source, rate=400_000))

    assert second.code == 0, second.text
    (job,) = person.jobs()
    assert (job.state, job.attempt) == (JobState.PUBLISHED, 1)
    assert [lease.state for lease in person.leases()] == [LeaseState.GONE]
    (result,) = person.out.glob("x_result_*.bin")
    assert result.read_bytes() == source.read_bytes()
    assert person.agents() == []


def test_a_killed_worker_fails_its_job_with_the_reason_and_the_next_job_runs(person: Person, blob: Blob) -> None:
    """SIGKILL of the worker mid-job: that job is failed and says why, the same agent does the next one."""
    first, second = blob("a.bin", 2_000_000), blob("b.bin", 1000)
    command = person.copies(first, second, rate=300_000)
    eventually("the first job runs", person.drafts)
    (worker,) = person.workers()

    worker.send_signal(signal.SIGKILL)
    ended = person.ends(command)

    assert ended.code == 1, ended.text
    failed, done = person.jobs()
    assert failed.state is JobState.EXCLUDED
    assert "worker-died" in failed.message
    assert "SIGKILL" in failed.message
    assert "the worker died: " in ended.text
    assert done.state is JobState.PUBLISHED
    assert len(person.leases()) == 1, "the agent answered on: no second machine was needed"
    assert not list(person.out.glob("a_result_*"))
    assert person.agents() == []


def test_a_killed_agent_is_started_again_on_its_disk_and_the_job_is_done(person: Person, blob: Blob) -> None:
    """SIGKILL of every process of the machine mid-job: it is started again and the result comes home."""
    source = blob("x.bin", 900_000)
    command = person.copies(source, rate=300_000)
    eventually("the job runs", person.drafts)

    for process in person.agents():
        with contextlib.suppress(psutil.NoSuchProcess):  # the worker ends when its server does
            process.kill()
    ended = person.ends(command)

    assert ended.code == 0, ended.text
    (lease,) = person.leases()
    assert (lease.state, lease.restarts) == (LeaseState.GONE, 1)
    (result,) = person.out.glob("x_result_*.bin")
    assert result.read_bytes() == source.read_bytes()


def test_a_machine_that_is_wiped_is_replaced_and_its_job_goes_elsewhere(person: Person, blob: Blob) -> None:
    """Processes killed and disk gone: the lease is lost, proven gone, and the job is done by the next machine."""
    source = blob("x.bin", 900_000)
    command = person.copies(source, rate=300_000)
    eventually("the job runs", person.drafts)
    (lease,) = person.leases()

    home = person.home / "state" / "local-cloud" / lease.label
    shutil.move(home, person.home / "stolen")
    for process in person.agents():
        with contextlib.suppress(psutil.NoSuchProcess):  # the worker ends when its server does
            process.kill()
    ended = person.ends(command)

    assert ended.code == 0, ended.text
    lost, other = person.leases()
    assert (lost.state, other.state) == (LeaseState.GONE, LeaseState.GONE)
    with person.ledger() as ledger:
        attempts = ledger.attempts(person.jobs()[0].id)
    assert [attempt.state for attempt in attempts] == [None, AttemptState.DELIVERED]


def test_a_controller_killed_between_delivery_and_proof_only_proves(person: Person, blob: Blob) -> None:
    """A result that is home but not verified when the controller dies is verified by the next one, not redone."""
    source = blob("x.bin", 1000)
    assert person.ends(person.copies(source)).code == 0
    (job,) = person.jobs()
    marker = next(person.out.glob(".framehaul/done/*"))
    marker.unlink()
    with person.ledger() as ledger, ledger.engine.begin() as db:  # as a SIGKILL before the proof leaves it
        db.exec_driver_sql("UPDATE jobs SET state='delivered'")
        db.exec_driver_sql("UPDATE batches SET closed_at=NULL")

    ended = person.runs("resume")

    assert ended.code == 0, ended.text
    (after,) = person.jobs()
    assert (after.state, after.attempt) == (JobState.PUBLISHED, job.attempt)
    assert marker.exists()
    assert len(person.leases()) == 1, "no machine is rented to read a store"
