"""Jobs in great number: what the engine asks at every tick costs the same for ten of them and for a million."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from controller.agenda import Agenda
from controller.ledger import Ledger
from controller.ledger.rows import WishWord
from controller.overview import overview_of, read_scene
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState
from tests.conformance.store_rows import at_most
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours


def rows(count: int, batch_id: str = "b-1", **changes: Any) -> Iterator[dict[str, Any]]:
    """Write planned jobs, one after another."""
    return (a_job_row(batch_id, number, **changes) for number in range(1, count + 1))


def test_a_batch_is_written_as_its_rows_come(ledger: Ledger) -> None:
    """From a stream, thousands at a time, in one transaction: a stream that breaks off leaves nothing."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(2_100)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        ledger.add_batch(a_batch(), broken())
    assert (ledger.batches(), ledger.tally({"b-1"})) == ([], {})

    assert ledger.add_batch(a_batch(), rows(2_100))
    assert ledger.tally({"b-1"}) == {JobState.PLANNED: 2_100}
    assert [found.text for found in ledger.events("b-1")] == ["planned 2100 jobs for file:///nowhere/out/"]


def test_nothing_is_asked_of_the_rows_where_the_second_is_taken(ledger: Ledger) -> None:
    """Names are made for another second then; no row of the first was needed."""
    ledger.add_batch(a_batch(), [])

    def never() -> Iterator[dict[str, Any]]:
        raise AssertionError("asked for a row")
        yield {}

    assert not ledger.add_batch(a_batch("b-2"), never())


def test_jobs_that_are_done_come_page_by_page(ledger: Ledger) -> None:
    """In order; nothing is held open meanwhile, so that others move theirs, and few are in memory."""
    states = [JobState.PUBLISHED if number % 3 else JobState.PLANNED for number in range(1, 3_001)]
    ledger.add_batch(a_batch(), (a_job_row(number=at, state=state) for at, state in enumerate(states, 1)))
    wanted = [f"b-1-{at:05d}" for at, state in enumerate(states, 1) if state is JobState.PUBLISHED]

    found = []
    with at_most(2 << 20):
        for job in ledger.published_jobs("b-1"):
            found.append(job.id)
            if len(found) == 1:
                ledger.move_job("b-1-00003", JobState.EXCLUDED, JobReason.REFUSED)

    assert found == wanted
    assert [job.seq for job in ledger.each_job("b-1")] == list(range(1, 3_001))


def test_counts_follow_every_move(ledger: Ledger) -> None:
    """They are kept beside the rows, and are what counting the rows would give."""
    ledger.add_batch(a_batch(), rows(5))
    ledger.intend_lease(a_lease())
    for number in (1, 2, 3):
        ledger.begin_attempt(ledger.job(f"b-1-0000{number}"), ledger.lease("a1"), SPEC)
    ledger.move_job("b-1-00001", JobState.DELIVERED)
    ledger.move_job("b-1-00001", JobState.VERIFIED)
    ledger.move_job("b-1-00001", JobState.PUBLISHED)
    ledger.move_job("b-1-00002", JobState.PLANNED, JobReason.LEASE_LOST)
    ledger.move_job("b-1-00004", JobState.EXCLUDED, JobReason.REFUSED)

    counted: dict[JobState, int] = {}
    for job in ledger.jobs():
        counted[job.state] = counted.get(job.state, 0) + 1
    assert ledger.tally({"b-1"}) == counted
    assert ledger.left({"b-1"}) == 3
    assert ledger.lease_ids({"b-1"}) == {"a1"}


def test_the_next_jobs_are_few_and_in_order(ledger: Ledger) -> None:
    """Batch by batch as they were named, and no more of them than are asked for."""
    ledger.add_batch(a_batch("b-1"), rows(3))
    ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), rows(3, "b-2", created_at=HOUR + 1))
    ledger.move_job("b-1-00001", JobState.EXCLUDED)

    found = [job.id for job in ledger.next_jobs(["b-1", "b-2"], 4)]

    assert found == ["b-1-00002", "b-1-00003", "b-2-00001", "b-2-00002"]
    assert ledger.next_jobs(["b-1"], 0) == []


def test_a_job_is_not_next_for_a_machine_on_which_it_failed(ledger: Ledger) -> None:
    """For another one it is; one that a person stopped is for both."""
    ledger.add_batch(a_batch(), rows(2))
    ledger.intend_lease(a_lease(machine_id="m1"))
    for number, state in ((1, AttemptState.FAILED), (2, AttemptState.STOPPED)):
        job = ledger.begin_attempt(ledger.job(f"b-1-0000{number}"), ledger.lease("a1"), SPEC)
        ledger.end_attempt(job, state, AttemptReason.WORKER_DIED, "")
        ledger.move_job(job.id, JobState.PLANNED)

    assert [job.seq for job in ledger.next_jobs(["b-1"], 9, machine_id="m1")] == [2]
    assert [job.seq for job in ledger.next_jobs(["b-1"], 9, machine_id="m2")] == [1, 2]


def test_an_engine_s_look_reads_no_more_rows_of_a_long_batch(ledger: Ledger) -> None:
    """Every query that a tick asks is answered from an index, without sorting and without passing over waiting jobs."""
    ledger.add_batch(a_batch(), rows(500))
    asked: list[tuple[str, Any]] = []
    event.listen(
        ledger.engine, "before_cursor_execute", lambda _c, _k, text, values, _x, _m: asked.append((text, values))
    )

    agenda = Agenda.read(ledger)
    agenda.waiting("cloud", 1, machine_id="m1")
    agenda.often_tried(3)
    ledger.jobs_under_way()
    ledger.jobs(lease_id="a1", states={JobState.ASSIGNED})
    overview_of(read_scene(ledger, {"b-1"}, {}, at_work=True, runs_here=lambda name: False), HOUR)

    queries = [(text, values) for text, values in asked if "FROM jobs" in text]
    assert len(queries) >= 6
    with ledger.engine.connect() as db:
        for text, values in queries:
            steps = [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            assert not [step for step in steps if step.startswith("SCAN jobs")], (text, steps)
            waits = "PLANNED" in str(values) and "attempt >=" not in text
            assert not (waits and [step for step in steps if "TEMP B-TREE" in step]), (text, steps)


def test_an_overview_of_a_long_batch_counts_all_and_reads_few(ledger: Ledger) -> None:
    """How long yet: what was not read is as long as what was, on average."""
    ledger.add_batch(
        a_batch(target="b2://bucket/out/", options={"max_instances": 2}),
        rows(1_000, figures={"estimate_s": 10.0}, source="b2://bucket/in/clip.mp4"),
    )

    scene = read_scene(ledger, {"b-1"}, {}, at_work=True, runs_here=lambda name: False)
    found = overview_of(scene, HOUR)

    assert (found.total, found.left) == (1_000, 1_000)
    assert (len(scene.open_jobs), scene.more) == (50, 950)
    assert found.eta_s == pytest.approx(5_000.0)
    assert found.lid.why == "1000 jobs still have to be handed out"


def test_a_stopped_batch_waits_though_none_of_it_goes_on(ledger: Ledger) -> None:
    """Its jobs are seen, and nobody is said to do them."""
    ledger.add_batch(a_batch(wish=WishWord.DRAIN), rows(3))

    scene = read_scene(ledger, {"b-1"}, {}, at_work=True, runs_here=lambda name: False)

    assert (len(scene.open_jobs), scene.more) == (3, 0)
    assert overview_of(scene, HOUR).stopped


def test_moves_are_told_since_a_moment(ledger: Ledger) -> None:
    """Whoever looks on while another process acts reads what moved, and not a million jobs."""
    ledger.add_batch(a_batch(), rows(3))
    since, names = ledger.moved_since(None)
    assert names == []

    ledger.move_job("b-1-00002", JobState.EXCLUDED)
    now, names = ledger.moved_since(since)

    assert names == ["b-1-00002"]
    assert ledger.moved_since(now) == (now, [])
    assert [job.id for job in ledger.jobs_named([*names, "b-1"])] == ["b-1-00002"]


def test_a_ledger_from_before_is_given_its_counts(tmp_path: Path, ledger: Ledger, clock: Hours) -> None:
    """One that an earlier version wrote has jobs, and neither counts nor indices."""
    ledger.add_batch(a_batch(), rows(4))
    ledger.intend_lease(a_lease())
    ledger.begin_attempt(ledger.job("b-1-00001"), ledger.lease("a1"), SPEC)
    ledger.close()
    path = tmp_path / "state" / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        for text in ("DROP TABLE tallies", "DROP TABLE lease_batches", "DROP INDEX ix_jobs_in_order"):
            db.execute(text)
    db.close()

    again = Ledger(path, clock)

    assert again.tally({"b-1"}) == {JobState.ASSIGNED: 1, JobState.PLANNED: 3}
    assert again.lease_ids({"b-1"}) == {"a1"}
    with again.engine.connect() as live:
        indices = {row[1] for row in live.exec_driver_sql("PRAGMA index_list(jobs)")}
    assert "ix_jobs_in_order" in indices
    again.close()
