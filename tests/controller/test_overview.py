"""The overview: one honest line about the whole, computed from what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.desk import Desk
from controller.ledger import Job
from controller.ledger.rows import WishWord
from controller.overview import Lid, Overview, Scene, overview_of, read_scene
from controller.terminal.words import overview_words, rough_time_words
from framehaul.contract.states import AttemptReason, AttemptState, JobState, LeaseState
from framehaul.contract.status import JobStatus
from tests.controller.clouds import Cloud
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease, heard
from tests.controller.endings import failed, published
from tests.controller.hours import Hours
from tests.controller.sites import Site

_S, _R = AttemptState, AttemptReason


def job(number: int = 1, **changes: Any) -> Job:
    """Write a job as the ledger gives it."""
    row = {**a_job_row(number=number, **changes), "lease_id": changes.get("lease_id"), "spec": None, "receipt": None}
    named = {key: value for key, value in row.items() if key != "outputs"}
    return Job(**{**named, "state": JobState(row["state"])}, outputs=(), manifest_name="")


def at_a_machine(number: int = 1, **changes: Any) -> Job:
    """Write a job that is on a machine."""
    return job(number, state=JobState.ASSIGNED, attempt=1, lease_id="a1", **changes)


def running(eta_s: float | None = 30.0, done: int = 0, total: int | None = None) -> JobStatus:
    """Write what an agent says of work."""
    return JobStatus(state=_S.RUNNING, done=done, total=total, eta_s=eta_s, updated_at=HOUR)


def scene(*jobs: Job, **changes: Any) -> Scene:
    """Write a scene with one machine of a cloud that is far away, and everything to and from a store there."""
    fields: dict[str, Any] = {
        "batches": {"b-1": a_batch(target="b2://bucket/out/")},
        "tally": {JobState.PLANNED: len(jobs)},
        "open_jobs": jobs,
        "leases": [a_lease(state=LeaseState.READY, rented_at=HOUR)],
    }
    return Scene(**(fields | changes))


def eta(*jobs: Job, **changes: Any) -> float | None:
    """Say how long it takes."""
    return overview_of(scene(*jobs, **changes), HOUR).eta_s


def lid(*jobs: Job, **changes: Any) -> Lid:
    """Say whether the lid may be closed."""
    return overview_of(scene(*jobs, **changes), HOUR).lid


# -- counting --------------------------------------------------------------------------------------------------------


def test_the_ledger_is_counted_without_reading_every_job(desk: Desk) -> None:
    """Done, failed and left of the batches that are meant; money of the machines that worked on them, or live."""
    desk.ledger.add_batch(a_batch(), [published(), failed(), a_job_row(number=3), a_job_row(number=4)])
    desk.ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [a_job_row("b-2")])
    desk.ledger.intend_lease(a_lease("a1", state=LeaseState.GONE, rented_at=HOUR, gone_at=HOUR + 3600))
    desk.ledger.intend_lease(a_lease("a2", state=LeaseState.GONE, rented_at=HOUR, gone_at=HOUR + 3600))
    desk.ledger.intend_lease(a_lease("a3", state=LeaseState.READY, rented_at=HOUR))
    desk.ledger.begin_attempt(desk.ledger.job("b-1-00003"), desk.ledger.lease("a1"), SPEC)

    found = overview_of(read_scene(desk.ledger, {"b-1"}, {}, at_work=True, runs_here=lambda name: False), HOUR + 1800)

    assert (found.total, found.done, found.failed, found.left) == (4, 1, 1, 2)
    assert found.dollars == pytest.approx(0.36 + 0.18), "a1 worked on it, a3 lives; a2 was another batch's"
    assert found.machines == 1


# -- how long yet ----------------------------------------------------------------------------------------------------


def test_what_runs_tells_for_itself_and_what_waits_is_estimated() -> None:
    """One machine: thirty seconds yet, then two jobs of a hundred."""
    waiting = [job(number, figures={"estimate_s": 100.0}) for number in (2, 3)]

    assert eta(at_a_machine(), *waiting, latest={"b-1-00001": running(30.0)}) == 230.0


def test_machines_share_what_waits() -> None:
    """Each job goes to the machine that is free first; the last one to end is the end."""
    leases = [a_lease(name, state=LeaseState.READY, rented_at=HOUR) for name in ("a1", "a2")]
    waiting = [job(number, figures={"estimate_s": 100.0}) for number in (2, 3)]

    assert eta(at_a_machine(), *waiting, leases=leases, latest={"b-1-00001": running(30.0)}) == 130.0


def test_machines_that_will_be_rented_count_too() -> None:
    """Before the first one is there, the limit says how many there will be; never more than jobs."""
    waiting = [job(number, figures={"estimate_s": 100.0}) for number in (1, 2, 3, 4)]
    batches = {"b-1": a_batch(options={"max_instances": 2})}

    assert eta(*waiting, leases=[], batches=batches) == 200.0
    assert eta(waiting[0], leases=[], batches={"b-1": a_batch(options={"max_instances": 50})}) == 100.0


def test_nobody_knows_before_anything_was_measured() -> None:
    """One job without a length is enough not to know."""
    assert eta(job(1), job(2, figures={"estimate_s": 100.0})) is None
    assert eta(at_a_machine(), latest={"b-1-00001": running(None)}) is None


def test_a_job_that_runs_tells_of_those_that_wait() -> None:
    """Half of ten units in fifty seconds: the next one, of twenty units, takes two hundred."""
    first, second = at_a_machine(figures={"work": 10.0}), job(2, figures={"work": 20.0})

    assert eta(first, second, latest={"b-1-00001": running(50.0, done=5, total=10)}) == 250.0


@pytest.mark.parametrize("state", [JobState.DELIVERED, JobState.VERIFIED])
def test_what_is_home_takes_no_more_time(state: JobState) -> None:
    """Proving and publishing is not worth a number."""
    assert eta(job(state=state)) == 0.0


def test_what_waits_in_a_stopped_batch_is_not_waited_for() -> None:
    """It stays until `resume`."""
    batches = {"b-1": a_batch(wish=WishWord.DRAIN)}

    assert eta(at_a_machine(), job(2), batches=batches, latest={"b-1-00001": running(30.0)}) == 30.0


def test_what_nobody_will_do_takes_no_time_at_all() -> None:
    """Jobs of a stopped batch, or all of them where no framehaul is at work: stopped, instead of a number."""
    stopped = {"b-1": a_batch(wish=WishWord.DRAIN)}
    waits = job(figures={"estimate_s": 100.0})

    for found in (overview_of(scene(waits, batches=stopped), HOUR), overview_of(scene(waits, at_work=False), HOUR)):
        assert (found.stopped, found.eta_s) == (True, None)
        assert "0/1 done · $0.00 · stopped · 1 machine" in overview_words(found)
    assert not overview_of(scene(waits), HOUR).stopped
    assert not overview_of(scene(at_a_machine(), waits, batches=stopped), HOUR).stopped
    assert not overview_of(scene(), HOUR).stopped


# -- the lid ---------------------------------------------------------------------------------------------------------


def test_the_lid_may_be_closed_when_nothing_runs() -> None:
    """No machine, no work."""
    assert lid(leases=[]) == Lid(safe=True, why="nothing runs")
    gone = a_lease(state=LeaseState.GONE, rented_at=HOUR, gone_at=HOUR)
    assert lid(leases=[gone]).safe


def test_the_lid_stays_open_where_this_machine_does_the_work() -> None:
    """Whatever else is true; also before the first agent is started, while a framehaul is at work."""
    why = Lid(safe=False, why="this machine does the work")

    assert lid(at_a_machine(source="https://x/a.mp4"), here={"cloud"}) == why
    assert lid(job(), leases=[], here={"cloud"}) == why
    assert lid(leases=[a_lease(state=LeaseState.DESTROYING, rented_at=HOUR)], here={"cloud"}, at_work=False) == why


@pytest.mark.parametrize("told", [None, _S.QUEUED, _S.FETCHING])
def test_the_lid_stays_open_while_inputs_lie_here(told: AttemptState | None) -> None:
    """Those that wait, and those of which the machine has not said that they are whole there."""
    latest = {"b-1-00001": JobStatus(state=told, updated_at=HOUR)} if told else {}

    assert lid(at_a_machine(), latest=latest).why == "1 input still has to be sent"
    assert lid(at_a_machine(), job(2), latest=latest).why == "2 inputs still have to be sent"


def test_the_lid_stays_open_while_jobs_are_not_handed_out() -> None:
    """Also where their inputs lie in a store: somebody must tell the machine."""
    found = lid(job(source="https://x/a.mp4"))

    assert found == Lid(safe=False, why="1 job still has to be handed out")


def test_the_lid_stays_open_where_results_come_here() -> None:
    """They go to a folder of this laptop, through its hands."""
    here = {"b-1": a_batch(target="file:///out/")}
    found = lid(at_a_machine(), at_a_machine(2), batches=here, latest={f"b-1-0000{n}": running() for n in (1, 2)})

    assert found == Lid(safe=False, why="2 results still have to be fetched")


def test_the_lid_may_be_closed_when_the_machines_have_all() -> None:
    """Inputs sent or granted, jobs handed out, results to a store."""
    found = lid(at_a_machine(), latest={"b-1-00001": running()})

    assert found == Lid(safe=True, why="the machines have all that they need")


@pytest.mark.parametrize(
    ("state", "reason", "safe"),
    [
        (None, None, False),
        (_S.FETCHING, _R.WAITING_FOR_GRANTS, False),
        (_S.FETCHING, _R.GRANTS_EXPIRED, False),
        (_S.DELIVERING, _R.GRANTS_EXPIRED, False),
        (_S.QUEUED, _R.NONE, True),
        (_S.FETCHING, _R.STORE_UNAVAILABLE, True),
        (_S.FETCHING, _R.WAITING_FOR_ROOM, True),
        (_S.DELIVERING, _R.STORE_UNAVAILABLE, True),
    ],
)
def test_the_lid_stays_open_until_every_machine_may_read_and_write(
    state: AttemptState | None, reason: AttemptReason | None, safe: bool
) -> None:
    """From store to store a machine needs nobody once it has its grants, and cannot go on without."""
    told = {"b-1-00001": JobStatus(state=state, reason=reason or _R.NONE, updated_at=HOUR)} if state else {}

    found = lid(at_a_machine(source="b2://bucket/in/a.mp4"), latest=told)

    why = "the machines have all that they need" if safe else "1 permission still has to be given"
    assert found == Lid(safe=safe, why=why)


def test_the_lid_may_be_closed_while_a_store_is_asked_for_what_a_lost_machine_left() -> None:
    """It costs nothing, and waits."""
    lost = replace(at_a_machine(source="b2://bucket/in/a.mp4"), lease_id="gone")

    assert lid(lost, leases=[]) == Lid(safe=True, why="what is left needs no machine")


def test_a_laptop_that_does_nothing_may_sleep() -> None:
    """After a crash machines far away may live; no sleep of ours changes that."""
    assert lid(at_a_machine(), at_work=False) == Lid(safe=True, why="no framehaul is at work on this laptop")


# -- words -----------------------------------------------------------------------------------------------------------


def test_the_status_line_says_it_in_one_line() -> None:
    """As the README shows it; failures and the time left are named only where there are any."""
    no = Lid(safe=False, why="this machine does the work")
    running_one = Overview(12, 3, 1, 0.0, 250.0, 1, no)
    over = Overview(2, 2, 0, 1.5, 0.0, 0, Lid(safe=True, why="nothing runs"))

    assert overview_words(running_one) == (
        "3/12 done, 1 failed · $0.00 · ETA 4 min · 1 machine"
        " · safe to close the lid: no, because this machine does the work"
    )
    assert overview_words(over) == ("2/2 done · $1.50 · 0 machines · safe to close the lid: yes, because nothing runs")
    assert "ETA unknown" in overview_words(Overview(2, 0, 0, 0.0, None, 1, no))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "unknown"), (0.2, "1 s"), (59.4, "59 s"), (61, "1 min"), (7500, "2 h 05 min"), (200_000, "2 days")],
)
def test_a_guess_is_no_finer_than_a_guess(seconds: float | None, words: str) -> None:
    """Minutes without seconds, days without hours."""
    assert rough_time_words(seconds) == words


# -- at work ---------------------------------------------------------------------------------------------------------


async def test_an_engine_tells_how_the_whole_stands_from_beginning_to_end(
    site: Site, cloud: Cloud, clock: Hours, one_thread: None
) -> None:
    """Every tick: jobs are counted up, machines come and go, and at the end nothing runs."""
    site.plan("a.bin", "b.bin")

    await site.run()

    told = heard(site.desk).overviews
    assert [overview.done for overview in told] == sorted(overview.done for overview in told)
    assert {overview.machines for overview in told} == {0, 1}
    assert {overview.total for overview in told} == {2}
    assert all(overview.lid.why == "this machine does the work" for overview in told if overview.machines)
    assert (told[-1].done, told[-1].left, told[-1].eta_s) == (2, 0, 0.0)
    assert told[-1].lid == Lid(safe=True, why="nothing runs")
    assert told[-1].dollars > 0
