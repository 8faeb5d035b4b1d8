"""The report: what came of it, in an exit code and in results.json."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from controller.desk import Desk
from controller.downloads import with_downloads
from controller.errors import ExitCode, gravest
from controller.ledger import Batch
from controller.report import close_if_over, exit_code, results_of, write_results
from framehaul.contract.states import JobState, LeaseReason, LeaseState
from tests.conformance.store_rows import at_most
from tests.controller.agents import entry_of
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease, heard
from tests.controller.endings import failed, kept, published

FROM_GRAVEST = [
    ExitCode.STILL_BILLING,
    ExitCode.INTERRUPTED,
    ExitCode.BUDGET,
    ExitCode.NO_OFFER,
    ExitCode.SOME_FAILED,
    ExitCode.DONE,
]


def told(desk: Desk, batch: Batch, now: float = HOUR + 100) -> dict[str, Any]:
    """Gather its results, and read them as a program would."""
    found: dict[str, Any] = json.loads(json.dumps(results_of(desk.ledger, batch, now)))
    return found


# -- exit codes ------------------------------------------------------------------------------------------------------


def test_the_codes_are_those_that_the_documentation_names() -> None:
    """Scripts out there test for these numbers."""
    assert [int(code) for code in (*FROM_GRAVEST, ExitCode.USAGE)] == [5, 130, 4, 3, 1, 0, 2]


def test_the_gravest_of_several_codes_wins() -> None:
    """5 before 130 before 4 before 3 before 1 before 0, in whatever order and number they come."""
    for count in range(1, len(FROM_GRAVEST) + 1):
        for codes in itertools.combinations(FROM_GRAVEST, count):
            assert gravest(list(reversed(codes))) is gravest(list(codes)) is codes[0]
    assert gravest([]) is ExitCode.DONE


@pytest.mark.parametrize("alive", [False, True])
@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("some_failed", [False, True])
@pytest.mark.parametrize("others_at_work", [False, True])
def test_a_run_ends_with_the_gravest_that_befell_it(
    desk: Desk, alive: bool, interrupted: bool, some_failed: bool, others_at_work: bool
) -> None:
    """Machines of another process at work are its own to end, and no leak of this one."""
    batch = kept(desk, published(), failed() if some_failed else published(2))
    desk.ledger.intend_lease(a_lease(state=LeaseState.DESTROYING if alive else LeaseState.GONE))

    code = exit_code(desk.ledger, [batch], interrupted=interrupted, others_at_work=others_at_work)

    expected = ExitCode.SOME_FAILED if some_failed else ExitCode.DONE
    expected = ExitCode.INTERRUPTED if interrupted else expected
    assert code is (ExitCode.STILL_BILLING if alive and not others_at_work else expected)


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.PUBLISHED])
def test_a_job_that_is_not_published_is_no_success(desk: Desk, state: JobState) -> None:
    """Not even one that is verified: its marker is missing."""
    batch = kept(desk, published(), a_job_row(number=2, state=state))

    assert exit_code(desk.ledger, [batch], interrupted=False) is ExitCode.SOME_FAILED


@pytest.mark.parametrize("state", [state for state in LeaseState if state is not LeaseState.GONE])
def test_whatever_is_not_proven_gone_may_still_bill(desk: Desk, state: LeaseState) -> None:
    """Also what was only intended: nobody has looked yet whether it was bought."""
    desk.ledger.intend_lease(a_lease(state=state))

    assert exit_code(desk.ledger, [], interrupted=False) is ExitCode.STILL_BILLING


# -- results.json ----------------------------------------------------------------------------------------------------


def test_results_tell_of_each_job_what_came_of_it(desk: Desk) -> None:
    """The outputs with size and digest, or the reason; and how often it was tried."""
    batch = kept(desk, published(), failed(), a_job_row(number=3))

    done, given_up, waiting = told(desk, batch)["jobs"]

    assert (done["job"], done["input"], done["state"]) == ("b-1-00001", "file:///nowhere/in/clip1.mp4", "published")
    assert done["outputs"][0] == {
        "slot": "result",
        "name": "clip1.mp4.result",
        "size": 19,
        "sha256": entry_of("result", "x", b"result of clip1.mp4").sha256,
    }
    assert (done["attempts"], done["seconds"], done["frames"]) == (1, 4.0, 96)
    assert done["uris"] == {"result": "file:///out/clip1.mp4.result"}
    assert "reason" not in done
    assert (given_up["state"], given_up["reason"], given_up["message"]) == (
        "excluded",
        "attempt-failed",
        "bad-input: no codec",
    )
    assert given_up["outputs"] == []
    assert (waiting["state"], waiting["attempts"]) == ("planned", 0)


def test_results_tell_what_was_asked_and_what_it_took(desk: Desk) -> None:
    """For whoever finds the file a year later."""
    batch = kept(desk, published(), params={"rate_bytes_s": 5})

    results = told(desk, batch)

    assert (results["version"], results["batch"], results["pipeline"]) == (1, "b-1", "copy")
    assert (results["params"], results["provider"], results["to"]) == (
        {"rate_bytes_s": 5},
        "cloud",
        "file:///nowhere/out/",
    )
    assert results["seconds"] == 100


def test_results_tell_what_each_machine_cost(desk: Desk) -> None:
    """Those that worked on the batch: since when, until when, and why they went."""
    batch = kept(desk, a_job_row())
    desk.ledger.begin_attempt(desk.ledger.job("b-1-00001"), a_lease(), SPEC)
    desk.ledger.intend_lease(
        a_lease(state=LeaseState.GONE, reason=LeaseReason.WORK_DONE, rented_at=HOUR, gone_at=HOUR + 1800)
    )
    desk.ledger.intend_lease(a_lease("a2", state=LeaseState.GONE, rented_at=HOUR, gone_at=HOUR + 9999))

    results = told(desk, batch)

    assert results["leases"] == [
        {
            "lease": "a1",
            "machine": "GPU of m1",
            "state": "gone",
            "reason": "work-done",
            "dollars": 0.18,
            "seconds": 1800.0,
            "gone": True,
        }
    ]
    assert results["dollars"] == pytest.approx(0.18)
    assert results["still_running"] == []


def test_results_name_what_may_still_bill(desk: Desk) -> None:
    """By the cloud's own id where it is known, else by the label."""
    batch = kept(desk, a_job_row())
    desk.ledger.intend_lease(a_lease("a1", state=LeaseState.DESTROYING, ref="i-77"))
    desk.ledger.intend_lease(a_lease("a2", state=LeaseState.RENTING))
    desk.ledger.intend_lease(a_lease("a3", state=LeaseState.READY, provider="elsewhere"))

    assert told(desk, batch)["still_running"] == ["i-77", a_lease("a2").label]


def test_results_hold_no_secret(desk: Desk) -> None:
    """They are put beside the outputs, where others may read."""
    batch = kept(desk, a_job_row())
    desk.ledger.begin_attempt(desk.ledger.job("b-1-00001"), a_lease(), SPEC)
    desk.ledger.intend_lease(a_lease(state=LeaseState.READY, rented_at=HOUR))

    raw = json.dumps(told(desk, batch))

    assert a_lease().secret.hex() not in raw
    assert a_lease().secret.token not in raw


def test_results_lie_beside_the_outputs_and_on_the_laptop(desk: Desk, tmp_path: Path) -> None:
    """The same bytes in both places; a second report replaces the first."""
    batch = kept(desk, published(), target=f"file://{tmp_path}/out%20put/")
    write_results(desk, batch, {**told(desk, batch), "dollars": 7})

    place = write_results(desk, batch, told(desk, batch))

    assert place == f"{tmp_path}/out put/results.json"
    assert json.loads(Path(place).read_text()) == told(desk, batch)
    assert desk.state.results("b-1").read_bytes() == Path(place).read_bytes()


@pytest.mark.slow
def test_a_report_of_many_jobs_never_lies_in_memory(desk: Desk, tmp_path: Path) -> None:
    """Neither as values nor as text, nor to be replaced by the next; no job of it is lost, and all are in order."""
    rows = (published(number) for number in range(1, 2_001))
    batch = a_batch(target=f"file://{tmp_path}/out/")
    desk.ledger.add_batch(batch, rows)

    write_results(desk, batch, results_of(desk.ledger, batch, HOUR))

    with at_most(12 << 20):
        results = with_downloads(desk, results_of(desk.ledger, batch, HOUR))
        place = write_results(desk, batch, results)

    written = json.loads(Path(place).read_text())
    assert [job["job"] for job in written["jobs"]] == [f"b-1-{number:05d}" for number in range(1, 2_001)]
    assert written["jobs"][17] == written["jobs"][17] | {"state": "published", "attempts": 1, "frames": 96}
    assert place == f"{tmp_path}/out/results.json"
    assert desk.state.results("b-1").read_bytes() == Path(place).read_bytes()


@pytest.mark.parametrize(
    "theirs",
    [b"[]", b"{}", b"\xff not JSON", b"", b'{"version": 1, "batch": [], "jobs": [], "leases": []}', b"7" * 5000],
)
def test_a_file_of_that_name_that_is_no_report_is_left_alone(desk: Desk, tmp_path: Path, theirs: bytes) -> None:
    """Somebody's own results.json stays; ours takes the batch's name."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_bytes(theirs)
    batch = kept(desk, published(), target=f"file://{tmp_path}/out/")

    place = write_results(desk, batch, told(desk, batch))

    assert place == f"{tmp_path}/out/b-1.results.json"
    assert (tmp_path / "out" / "results.json").read_bytes() == theirs


def test_results_that_cannot_lie_beside_the_outputs_are_kept_and_named(desk: Desk, tmp_path: Path) -> None:
    """A store that refuses them does not take them away; a person is told."""
    (tmp_path / "out").write_text("in the way")
    batch = kept(desk, published(), target=f"file://{tmp_path}/out/")

    place = write_results(desk, batch, told(desk, batch))

    assert place == str(desk.state.results("b-1"))
    assert json.loads(Path(place).read_text())["batch"] == "b-1"
    assert "results.json could not be put beside the outputs" in heard(desk).said[0]


@pytest.mark.parametrize("state", JobState)
def test_a_batch_is_closed_when_none_of_its_jobs_is_open(desk: Desk, state: JobState) -> None:
    """Not before, and only once."""
    batch = kept(desk, published(), a_job_row(number=2, state=state))

    over = close_if_over(desk.ledger, batch)
    closed = desk.ledger.batch("b-1")

    assert closed is not None
    assert over is (closed.closed_at is not None) is (state in {JobState.PUBLISHED, JobState.EXCLUDED})
    assert close_if_over(desk.ledger, closed) is over
    assert [event.text for event in desk.ledger.events("b-1")].count("closed") == int(over)
