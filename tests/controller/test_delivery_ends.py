"""Attempts that end without a result: their uploads are taken back, and what cannot be is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.ledger.rows import WishWord
from controller.orders import order_for
from framehaul.contract.states import AttemptReason, AttemptState, JobState
from tests.controller.agents import Work
from tests.controller.depots import Depot
from tests.controller.desks import heard

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("reason", "left"),
    [(AttemptReason.WORKER_DIED, ["published"]), (AttemptReason.BAD_INPUT, ["excluded"])],
    ids=["tried elsewhere", "given up"],
)
async def test_an_attempt_that_failed_leaves_no_upload(depot: Depot, reason: AttemptReason, left: list[str]) -> None:
    """They are aborted before the job is handed out again: two attempts must never write one name."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(fails=reason)

    await depot.run()

    assert depot.states() == left
    assert (depot.bucket.begun, depot.desk.ledger.open_uploads()) == ({}, [])
    first = [row for row in depot.desk.ledger.uploads(depot.job().id) if row.attempt == 1]
    tries = depot.desk.ledger.attempts(depot.job().id)
    if len(tries) > 1:
        assert all(row.ended_at is not None and row.ended_at <= tries[1].began_at for row in first)


async def test_an_input_that_was_replaced_while_the_job_ran_ends_it(depot: Depot) -> None:
    """With a clear sentence, on one machine only; the next plan takes the new content for new work."""
    depot.plan("a.mp4")
    depot.bucket.objects["in/a.mp4"] = b"another clip"

    await depot.run()

    assert depot.states() == ["excluded"]
    assert depot.job().message == "input-mismatch: It was replaced since it was planned."
    assert len(depot.cloud.machines) == 1
    again = depot.written(inputs=("b2://clips/in/a.mp4",), to="b2://clips/out/")
    await depot.run()
    (job,) = depot.desk.ledger.jobs(batch_id=again.id)
    assert (job.state, depot.result(job)) == (JobState.PUBLISHED, b"another clip")


@pytest.mark.parametrize("wish", [WishWord.DRAIN, WishWord.NOW])
async def test_stopping_takes_the_uploads_back(depot: Depot, wish: WishWord) -> None:
    """Of what was dropped; what was finished is published."""
    depot.plan("a.mp4", "b.mp4")
    depot.cloud.work["m1"] = Work(seconds=8.0)
    depot.start()
    await depot.clock.pass_by(5.0)
    depot.wish(wish)

    await depot.clock.until(lambda: not depot.cloud.alive() and depot.lease_is_gone())

    assert depot.states() == (["published", "planned"] if wish is WishWord.DRAIN else ["planned", "planned"])
    assert (depot.bucket.begun, depot.desk.ledger.open_uploads()) == ({}, [])
    await depot.kill()


async def test_an_upload_that_cannot_be_aborted_is_named_and_stays_in_the_ledger(depot: Depot) -> None:
    """The job ends all the same; `sweep` finds what is left, and it may be billed until then."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(fails=AttemptReason.BAD_INPUT)
    depot.bucket.fault("abort_fails")

    await depot.run()

    assert depot.states() == ["excluded"]
    left = depot.desk.ledger.open_uploads()
    assert {row.upload_id for row in left} == set(depot.bucket.begun)
    (said,) = [said for said in heard(depot.desk).said if "could not be aborted" in said]
    assert all(row.upload_id in said for row in left)
    assert "framehaul sweep" in said


async def test_stopping_now_does_not_wait_for_a_store_that_is_down(depot: Depot) -> None:
    """The machine goes, the ledger remembers; whoever resumes looks into the store first."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=6.0)
    depot.start()
    await depot.clock.pass_by(5.0)
    depot.bucket.fault("down")
    await depot.clock.pass_by(5.0)
    assert depot.order().state()[:2] == (AttemptState.DELIVERING, AttemptReason.STORE_UNAVAILABLE)
    depot.wish(WishWord.NOW)

    await depot.clock.until(lambda: not depot.cloud.alive() and depot.lease_is_gone(), within_s=600.0)
    await depot.kill()
    assert depot.states() == ["assigned"]
    depot.bucket.mend()
    depot.wish(WishWord.RUN)
    await depot.run()

    depot.assert_all_is_well()
    assert depot.job().attempt == 2


def test_the_disk_that_a_job_takes_stands_in_its_order(depot: Depot) -> None:
    """The agent lets the next one in only where so much is free; an older ledger does not tell."""
    batch = depot.plan("a.mp4")
    job = depot.job()

    assert order_for(replace(job, figures={"disk_bytes": 3 << 30}), batch).limits.disk_bytes == 3 << 30
    assert order_for(replace(job, figures={}), batch).limits.disk_bytes == 0
