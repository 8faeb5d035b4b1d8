"""The ledger: what is written is moved only as the tables say, and the story is kept."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from controller.ledger import Ledger
from controller.ledger.rows import WishWord
from framehaul.contract.states import (
    JOB_MOVES,
    LEASE_MOVES,
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
    LeaseReason,
    LeaseState,
)
from framehaul.errors import IllegalMove
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours


def texts(ledger: Ledger, subject: str | None = None) -> list[str]:
    """Read the story."""
    return [found.text for found in ledger.events(subject)]


# -- moves -----------------------------------------------------------------------------------------------------------


def test_jobs_move_as_their_table_says(ledger: Ledger) -> None:
    """Each of the 36 moves of a job is either in the table and made, or refused with nothing written."""
    pairs = list(itertools.product(JobState, JobState))
    rows = [a_job_row(number=number, state=old) for number, (old, _) in enumerate(pairs, 1)]
    ledger.add_batch(a_batch(), rows)

    for row, (old, new) in zip(rows, pairs, strict=True):
        if new in JOB_MOVES[old]:
            assert ledger.move_job(row["id"], new).state is new
            assert texts(ledger, row["id"]) == [f"{old} -> {new}"]
        else:
            with pytest.raises(IllegalMove, match=f"{old} may not become {new}"):
                ledger.move_job(row["id"], new, message="never written")
            assert (ledger.job(row["id"]).state, ledger.job(row["id"]).message) == (old, "")
            assert texts(ledger, row["id"]) == []


def test_leases_move_as_their_table_says(ledger: Ledger) -> None:
    """Each of the 49 moves of a lease is either in the table and made, or refused with nothing written."""
    for number, (old, new) in enumerate(itertools.product(LeaseState, LeaseState)):
        lease = a_lease(f"l{number}", state=old)
        ledger.intend_lease(lease)
        if new in LEASE_MOVES[old]:
            assert ledger.move_lease(lease.id, new).state is new
        else:
            with pytest.raises(IllegalMove, match=f"{old} may not become {new}"):
                ledger.move_lease(lease.id, new, LeaseReason.LOST)
            assert (ledger.lease(lease.id).state, ledger.lease(lease.id).reason) == (old, LeaseReason.NONE)
            assert len(texts(ledger, lease.id)) == 1


def test_a_move_carries_what_was_learnt(ledger: Ledger, clock: Hours) -> None:
    """State, reason, hour and further fields change in one step."""
    ledger.add_batch(a_batch(), [a_job_row()])
    clock.advance(5)

    moved = ledger.move_job("b-1-00001", JobState.EXCLUDED, JobReason.REFUSED, message="too long", frames=7)

    assert (moved.reason, moved.message, moved.frames) == (JobReason.REFUSED, "too long", 7)
    assert moved.updated_at == HOUR + 5
    assert texts(ledger, moved.id) == ["planned -> excluded (refused): too long"]


def test_a_lease_keeps_its_reason_where_no_new_one_is_given(ledger: Ledger) -> None:
    """That a machine is gone does not make one forget why it was ended."""
    ledger.intend_lease(a_lease(state=LeaseState.READY))
    ledger.move_lease("a1", LeaseState.DESTROYING, LeaseReason.LOST, message="silent")

    gone = ledger.move_lease("a1", LeaseState.GONE, gone_at=HOUR + 9)

    assert (gone.reason, gone.message, gone.gone_at) == (LeaseReason.LOST, "silent", HOUR + 9)


def test_what_is_not_there_cannot_be_read(ledger: Ledger) -> None:
    """An unknown job or lease is a KeyError, an unknown batch is None."""
    with pytest.raises(KeyError, match="j-9"):
        ledger.job("j-9")
    with pytest.raises(KeyError, match="l-9"):
        ledger.lease("l-9")
    assert ledger.batch("b-9") is None


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_written_whole_or_not_at_all(ledger: Ledger) -> None:
    """Where one of the jobs cannot be written, neither the batch nor any other job is."""
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.add_batch(a_batch(), [a_job_row(number=1), a_job_row(number=1)])

    assert (ledger.batches(), ledger.jobs(), ledger.events()) == ([], [], [])


def test_no_two_batches_share_a_second(ledger: Ledger) -> None:
    """The second stands in every output's name: the later of two takes another one, and writes nothing until then."""
    assert ledger.add_batch(a_batch("b-1", created_at=HOUR + 0.2), [])

    assert not ledger.add_batch(a_batch("b-2", created_at=HOUR + 0.9), [a_job_row("b-2")])

    assert [batch.id for batch in ledger.batches()] == ["b-1"]
    assert ledger.jobs() == []
    assert ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [])


def test_jobs_come_in_the_order_in_which_they_were_planned(ledger: Ledger) -> None:
    """By batch, then by number: ten does not come before two."""
    ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [a_job_row("b-2", created_at=HOUR + 1)])
    ledger.add_batch(a_batch("b-1"), [a_job_row(number=number) for number in (10, 2, 1)])

    assert [job.id for job in ledger.jobs()] == ["b-1-00001", "b-1-00002", "b-1-00010", "b-2-00001"]
    assert [job.id for job in ledger.jobs(batch_id="b-2")] == ["b-2-00001"]


def test_open_jobs_are_those_with_work_left(ledger: Ledger) -> None:
    """Published and excluded ones are over; every other state is open."""
    ledger.add_batch(a_batch(), [a_job_row(number=number, state=state) for number, state in enumerate(JobState, 1)])

    opened = {job.state for job in ledger.open_jobs()}

    assert opened == set(JobState) - {JobState.PUBLISHED, JobState.EXCLUDED}
    assert all(job.open for job in ledger.open_jobs())


def test_a_closed_batch_is_no_longer_among_the_unclosed(ledger: Ledger, clock: Hours) -> None:
    """It stays in the ledger, with the hour."""
    ledger.add_batch(a_batch("b-1"), [])
    ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [])
    clock.advance(3)

    ledger.close_batch("b-1")

    assert [batch.id for batch in ledger.batches(unclosed=True)] == ["b-2"]
    assert [(batch.id, batch.closed_at) for batch in ledger.batches()] == [("b-1", HOUR + 3), ("b-2", None)]


# -- attempts --------------------------------------------------------------------------------------------------------


def test_an_attempt_begins_with_its_job_in_one_step(ledger: Ledger, clock: Hours) -> None:
    """Job row and attempt row say the same: number, lease, machine, hour; an old failure's words are gone."""
    ledger.add_batch(a_batch(), [a_job_row(message="worker-died", reason="attempt-failed")])
    clock.advance(2)

    job = ledger.begin_attempt(ledger.job("b-1-00001"), a_lease(), SPEC)

    assert (job.state, job.attempt, job.lease_id, job.message) == (JobState.ASSIGNED, 1, "a1", "")
    assert job.spec is not None
    (attempt,) = ledger.attempts(job.id)
    assert (attempt.attempt, attempt.lease_id, attempt.machine_id) == (1, "a1", "m1")
    assert (attempt.began_at, attempt.ended_at, attempt.state) == (HOUR + 2, None, None)
    assert [found.id for found in ledger.jobs(lease_id="a1")] == [job.id]


def test_the_first_end_of_an_attempt_stands(ledger: Ledger, clock: Hours) -> None:
    """Whoever comes later, with another story, changes nothing."""
    ledger.add_batch(a_batch(), [a_job_row()])
    job = ledger.begin_attempt(ledger.job("b-1-00001"), a_lease(), SPEC)

    ledger.end_attempt(job, AttemptState.FAILED, AttemptReason.WORKER_DIED, "signal 9")
    clock.advance(60)
    ledger.end_attempt(job, AttemptState.DELIVERED, AttemptReason.NONE, "")

    (attempt,) = ledger.attempts(job.id)
    assert (attempt.state, attempt.reason, attempt.message) == ("failed", "worker-died", "signal 9")
    assert attempt.ended_at == HOUR


def test_only_the_present_attempt_is_ended(ledger: Ledger) -> None:
    """The end of the second try leaves the first one's as it was."""
    ledger.add_batch(a_batch(), [a_job_row()])
    first = ledger.begin_attempt(ledger.job("b-1-00001"), a_lease(), SPEC)
    ledger.end_attempt(first, None, None, "The machine was lost.")
    again = ledger.move_job(first.id, JobState.PLANNED, JobReason.LEASE_LOST, lease_id=None)
    second = ledger.begin_attempt(again, a_lease("a2", machine_id="m2"), {**SPEC, "attempt": 2})

    ledger.end_attempt(second, AttemptState.DELIVERED, AttemptReason.NONE, "")

    one, two = ledger.attempts(first.id)
    assert (one.machine_id, one.state, one.message) == ("m1", None, "The machine was lost.")
    assert (two.machine_id, two.state) == ("m2", AttemptState.DELIVERED)


def test_an_attempt_begins_only_where_the_row_allows_it(ledger: Ledger) -> None:
    """What counts is the row, not the caller's memory of it: a job that was excluded meanwhile is not handed out."""
    ledger.add_batch(a_batch(), [a_job_row()])
    remembered = ledger.job("b-1-00001")
    ledger.move_job(remembered.id, JobState.EXCLUDED, JobReason.REFUSED)

    with pytest.raises(IllegalMove, match="excluded may not become assigned"):
        ledger.begin_attempt(remembered, a_lease(), SPEC)

    assert ledger.job(remembered.id).state is JobState.EXCLUDED
    assert ledger.attempts(remembered.id) == []


# -- wishes ----------------------------------------------------------------------------------------------------------


def test_a_wish_is_carried_once(ledger: Ledger) -> None:
    """Into the batch that it names, and not again over a later one."""
    ledger.add_batch(a_batch("b-1"), [])
    ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [])

    ledger.wish(WishWord.DRAIN, "b-1")
    taken = ledger.take_wishes()

    assert [(wish.batch_id, wish.wish) for wish in taken] == [("b-1", WishWord.DRAIN)]
    assert [batch.wish for batch in ledger.batches()] == [WishWord.DRAIN, WishWord.RUN]
    assert ledger.take_wishes() == []


def test_a_wish_changes_nothing_until_it_is_carried(ledger: Ledger) -> None:
    """A command leaves its word; only who holds the lock acts on it."""
    ledger.add_batch(a_batch(), [])

    ledger.wish(WishWord.NOW, "b-1")

    (batch,) = ledger.batches()
    assert batch.wish is WishWord.RUN


def test_the_last_of_several_wishes_stands(ledger: Ledger) -> None:
    """They are carried in the order in which they came."""
    ledger.add_batch(a_batch(), [])
    for wish in (WishWord.NOW, WishWord.DRAIN, WishWord.RUN):
        ledger.wish(wish, "b-1")

    assert len(ledger.take_wishes()) == 3

    assert [batch.wish for batch in ledger.batches()] == [WishWord.RUN]


def test_a_wish_without_a_batch_means_all_that_are_open(ledger: Ledger) -> None:
    """A batch that is closed keeps what it was closed with."""
    for number, name in enumerate(("b-1", "b-2", "b-3")):
        assert ledger.add_batch(a_batch(name, created_at=HOUR + number), [])
    ledger.close_batch("b-2")

    ledger.wish(WishWord.DRAIN)
    ledger.take_wishes()

    assert [batch.wish for batch in ledger.batches()] == [WishWord.DRAIN, WishWord.RUN, WishWord.DRAIN]


def test_a_wish_for_a_closed_batch_is_done_with(ledger: Ledger) -> None:
    """It neither opens the batch nor waits for ever."""
    ledger.add_batch(a_batch(), [])
    ledger.close_batch("b-1")

    ledger.wish(WishWord.DRAIN, "b-1")
    ledger.take_wishes()

    assert [batch.wish for batch in ledger.batches()] == [WishWord.RUN]
    assert ledger.take_wishes() == []


# -- the story -------------------------------------------------------------------------------------------------------


def test_events_tell_the_story(ledger: Ledger, clock: Hours) -> None:
    """Who reads them later learns what happened to a job and to a machine, in order, with the hour."""
    ledger.add_batch(a_batch(), [a_job_row()])
    ledger.intend_lease(a_lease())
    for state in (LeaseState.RENTING, LeaseState.BOOTING, LeaseState.READY):
        clock.advance(1)
        ledger.move_lease("a1", state)
    job = ledger.begin_attempt(ledger.job("b-1-00001"), a_lease(), SPEC)
    ledger.tell("a1", "heartbeat failed: no answer")
    ledger.move_lease("a1", LeaseState.DESTROYING, LeaseReason.LOST, message="silent")
    ledger.wish(WishWord.DRAIN, "b-1")

    assert texts(ledger, "a1") == [
        f"intended: GPU of m1 as {a_lease().label}",
        "intended -> renting",
        "renting -> booting",
        "booting -> ready",
        "heartbeat failed: no answer",
        "ready -> destroying (lost): silent",
    ]
    assert texts(ledger, job.id) == ["assigned to a1 as attempt 1"]
    assert texts(ledger, "b-1") == ["planned 1 jobs for file:///nowhere/out/", "wished: drain"]
    hours = [found.at for found in ledger.events()]
    assert hours == sorted(hours)
    assert hours[-1] == HOUR + 3


# -- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "dollars"),
    [
        ({}, 0.0),
        ({"rented_at": HOUR}, 0.18),
        ({"rented_at": HOUR, "gone_at": HOUR + 3600}, 0.36),
        ({"rented_at": HOUR + 3600}, 0.0),
    ],
    ids=["never-rented", "still-runs", "gone", "clock-went-back"],
)
def test_a_lease_costs_from_its_purchase_to_its_end(changes: dict[str, Any], dollars: float) -> None:
    """By the hour; nothing before it was bought, nothing after it is gone, and never less than nothing."""
    assert a_lease(**changes).dollars(HOUR + 1800) == pytest.approx(dollars)


def test_a_pause_is_a_wish_that_a_person_takes_back(ledger: Ledger) -> None:
    """Only what was to run is paused, once, with the reason in the story; going on is the newer word."""
    ledger.add_batch(a_batch(), [a_job_row()])
    (batch,) = ledger.batches()

    assert ledger.pause(batch.id, "the key may not write")
    assert not ledger.pause(batch.id, "again")
    assert [found.wish for found in ledger.batches()] == [WishWord.DRAIN]
    assert [event.text for event in ledger.events(batch.id)][-1] == "paused: the key may not write"

    ledger.wish(WishWord.RUN, batch.id)
    ledger.take_wishes()
    assert [found.wish for found in ledger.batches()] == [WishWord.RUN]
