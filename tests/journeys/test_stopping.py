"""Ways to stop: Ctrl-C, Ctrl-C twice, a word from a second terminal; and to go on afterwards."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

from framehaul.contract.states import JobState, LeaseState
from tests.journeys.person import PATIENCE_S, Person, eventually

Blob = Callable[[str, int], Path]


def test_ctrl_c_finishes_the_running_job_and_keeps_the_rest(person: Person, blob: Blob) -> None:
    """One SIGINT: the running job comes home, the others wait in the ledger, the machine goes, exit code 130."""
    inputs = [blob("a.bin", 900_000), blob("b.bin", 900_000), blob("c.bin", 900_000)]
    command = person.copies(*inputs, rate=300_000)
    eventually("the first job runs", person.drafts)

    command.send_signal(signal.SIGINT)
    ended = person.ends(command)

    assert ended.code == 130, ended.text
    assert [job.state for job in person.jobs()] == [JobState.PUBLISHED, JobState.PLANNED, JobState.PLANNED]
    assert "Nothing is running, nothing is billing." in ended.text
    assert "framehaul resume" in ended.text
    assert person.agents() == []


def test_ctrl_c_twice_drops_the_running_job_and_resume_does_it_again(person: Person, blob: Blob) -> None:
    """A second SIGINT: nothing is waited for, no half result is left; `resume` then does the job."""
    source = blob("a.bin", 3_000_000)
    command = person.copies(source, rate=100_000)
    eventually("the job runs", person.drafts)

    command.send_signal(signal.SIGINT)
    eventually("the first was heard", lambda: [1 for lease in person.leases() if lease.state is LeaseState.DRAINING])
    command.send_signal(signal.SIGINT)
    ended = person.ends(command)

    assert ended.code == 130, ended.text
    assert [job.state for job in person.jobs()] == [JobState.PLANNED]
    assert not list(person.out.glob("a_result_*"))
    assert person.agents() == []


def test_a_second_terminal_stops_what_the_first_one_runs(person: Person, blob: Blob) -> None:
    """`stop --now` needs no lock: the running command hears it, drops the job and destroys the machine."""
    command = person.copies(blob("a.bin", 3_000_000), rate=100_000)
    eventually("the job runs", person.drafts)

    word = person.runs("stop", "--now")
    ended = person.ends(command)

    assert word.code == 0, word.text
    assert ended.code == 130, ended.text
    assert [job.state for job in person.jobs()] == [JobState.PLANNED]
    assert person.agents() == []


def test_a_reader_who_leaves_ends_nothing(person: Person, blob: Blob) -> None:
    """`framehaul run | head -1`: the pipe is closed in the middle, the work goes on, nothing is left running."""
    command = person.copies(blob("a.bin", 900_000), rate=300_000)
    eventually("the job runs", person.drafts)
    assert command.stdout is not None

    command.stdout.close()
    code = command.wait(PATIENCE_S)

    assert code == 0
    assert [job.state for job in person.jobs()] == [JobState.PUBLISHED]
    assert person.agents() == []


def test_a_closed_terminal_is_a_ctrl_c(person: Person, blob: Blob) -> None:
    """SIGHUP finishes the running job and ends the machine, though nobody is left to read it."""
    command = person.copies(blob("a.bin", 600_000), blob("b.bin", 600_000), rate=300_000)
    eventually("the first job runs", person.drafts)

    command.send_signal(signal.SIGHUP)
    ended = person.ends(command)

    assert ended.code == 130, ended.text
    assert [job.state for job in person.jobs()] == [JobState.PUBLISHED, JobState.PLANNED]
    assert person.agents() == []


def test_stop_ends_a_machine_that_the_ledger_has_forgotten(person: Person, blob: Blob) -> None:
    """With the ledger lost, `ps` names what runs and `stop` ends it: this state folder's cloud is all ours."""
    command = person.copies(blob("a.bin", 3_000_000), rate=100_000)
    eventually("the job runs", person.drafts)
    person.kills(command)
    for path in person.state.root.glob("ledger.sqlite*"):
        path.unlink()

    seen = person.runs("ps")
    ended = person.runs("stop")

    assert "Running, and unknown to the ledger: fh-" in seen.text
    assert "nothing is billing" not in seen.text
    assert ended.code == 0, ended.text
    assert person.agents() == []


def test_stop_carries_itself_out_when_nobody_else_is_there(person: Person, blob: Blob) -> None:
    """After a crash of the controller, `stop --now` finds the machine and destroys it."""
    command = person.copies(blob("a.bin", 3_000_000), rate=100_000)
    eventually("the job runs", person.drafts)
    person.kills(command)
    assert person.agents()

    ended = person.runs("stop", "--now")

    assert ended.code == 0, ended.text
    assert "Nothing is running, nothing is billing." in ended.text
    assert person.agents() == []


def test_resume_goes_on_with_what_was_stopped(person: Person, blob: Blob) -> None:
    """Jobs that a stop kept are done by `resume`, and only those."""
    inputs = [blob("a.bin", 600_000), blob("b.bin", 1000)]
    command = person.copies(*inputs, rate=300_000)
    eventually("the first job runs", person.drafts)
    command.send_signal(signal.SIGINT)
    assert person.ends(command).code == 130

    ended = person.runs("resume")

    assert ended.code == 0, ended.text
    assert [job.state for job in person.jobs()] == [JobState.PUBLISHED, JobState.PUBLISHED]
    assert sorted(path.name[0] for path in person.out.glob("*.bin")) == ["a", "b"]


def test_a_second_run_while_one_works_hands_its_jobs_over_and_watches(person: Person, blob: Blob) -> None:
    """Two runs at once: one engine does the jobs of both, both commands end well, one machine was enough."""
    first = person.copies(blob("a.bin", 1_000_000), rate=100_000)
    eventually("the first job runs", person.drafts)
    second = person.copies(blob("b.bin", 1000))

    told, watched = person.ends(first), person.ends(second)

    assert (told.code, watched.code) == (0, 0), told.text + watched.text
    assert "Another framehaul is at work" in watched.text
    assert [job.state for job in person.jobs()] == [JobState.PUBLISHED, JobState.PUBLISHED]
    assert len(person.leases()) == 1


def test_ps_and_logs_see_a_running_job_from_a_second_terminal(person: Person, blob: Blob) -> None:
    """While a job runs, `ps --json` names machine, price and job, and `logs` prints the story so far."""
    command = person.copies(blob("a.bin", 1_000_000), rate=80_000)
    eventually("the job runs", person.drafts)

    seen = json.loads(person.runs("ps", "--json").text)
    log = person.runs("logs", "a.bin")

    (lease,), (job,) = seen["leases"], seen["jobs"]
    assert (lease["state"], lease["dollars_per_hour"], job["state"]) == ("ready", 0.0, "assigned")
    assert "secret" not in json.dumps(seen)
    assert "| copy | clip=- | msg=copy begins" in log.text
    followed = person.runs("logs", "-f", "a.bin")
    assert "msg=delivered" in followed.text or "waiting-for-pickup" in followed.text
    assert followed.text.startswith(log.text[: log.text.index("copy begins")]), "from the first byte, none twice"
    assert person.ends(command).code == 0
