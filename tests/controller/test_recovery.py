"""A machine that is gone: what it left in the store is found by its receipt, and only the rest is made again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from controller.ledger import Job
from controller.ledger.rows import WishWord
from framehaul.contract.receipt import Receipt
from framehaul.contract.spec import RECEIPT_SLOT
from framehaul.contract.states import AttemptState, JobReason, JobState
from framehaul.contract.uris import Uri
from framehaul.errors import NoSuchBucket
from tests.controller.agents import Order, Work
from tests.controller.depots import Depot
from tests.controller.desks import heard

pytestmark = pytest.mark.usefixtures("one_thread")

Tamper = Callable[[Receipt], bytes]


async def under_way(depot: Depot, *names: str, seconds: float = 8.0) -> None:
    """Have a machine that works on jobs, and a controller that is dead."""
    depot.plan(*names)
    depot.cloud.work["m1"] = Work(seconds=seconds)
    depot.start()
    await depot.clock.pass_by(4.0)
    await depot.kill()


def finished_alone(depot: Depot, after_s: float = 3600.0, *, number: int = 1) -> Order:
    """Let hours pass in which the agent finishes and delivers; nobody asks it."""
    depot.clock.advance(after_s)
    order = depot.cloud.the().agent.orders[depot.job(number).id]
    order.move_on(depot.clock.now(), free=True)
    order.move_on(depot.clock.now(), free=True)
    return order


async def settled(depot: Depot) -> None:
    """Let an engine run until no machine is left, and nothing is under way."""
    depot.start()
    await depot.clock.until(lambda: not depot.cloud.alive() and not {"assigned", "planned"} & set(depot.states()))
    await depot.kill()


async def test_a_result_that_was_delivered_alone_is_found_by_its_receipt(depot: Depot) -> None:
    """The controller died after shipping, the machine finished and ended itself: published, nothing recomputed."""
    await under_way(depot, "a.mp4")
    assert finished_alone(depot).state()[0] is AttemptState.DELIVERED
    depot.cloud.vanish(depot.cloud.the())

    await depot.run()

    depot.assert_all_is_well()
    assert len(depot.markers()) == 1
    assert len(depot.cloud.machines) == 1
    (attempt,) = depot.desk.ledger.attempts(depot.job().id)
    assert attempt.state is AttemptState.DELIVERED
    assert any("its result is in the store" in said for said in heard(depot.desk).said)


async def test_of_two_jobs_on_a_lost_machine_only_the_undelivered_one_is_made_again(depot: Depot) -> None:
    """And its uploads are aborted before it is handed out."""
    await under_way(depot, "a.mp4", "b.mp4")
    finished_alone(depot)
    depot.cloud.vanish(depot.cloud.the())

    await depot.run()

    depot.assert_all_is_well()
    assert [job.attempt for job in depot.desk.ledger.jobs()] == [1, 2]
    lost = [row for row in depot.desk.ledger.uploads(depot.job(2).id) if row.attempt == 1]
    assert all(row.ended_at is not None for row in lost)


async def test_a_controller_that_comes_back_while_the_machine_lives_verifies_and_reports(depot: Depot) -> None:
    """It was delivered meanwhile: nothing is computed again, and the logs come home as ever."""
    await under_way(depot, "a.mp4")
    finished_alone(depot)

    await depot.run()

    depot.assert_all_is_well()
    assert depot.job().attempt == 1
    assert list(depot.desk.state.logs(depot.job().id).iterdir())


@pytest.mark.parametrize(
    "tamper",
    [
        lambda receipt: b"not a receipt",
        lambda receipt: b"",
        lambda receipt: receipt.model_copy(update={"attempt": 2}).canonical(),
        lambda receipt: receipt.model_copy(update={"job_id": "b-9-00001"}).canonical(),
        lambda receipt: receipt.model_copy(update={"spec_digest": "f" * 64}).canonical(),
        lambda receipt: receipt.model_copy(update={"outputs": receipt.outputs[:1]}).canonical(),
    ],
    ids=["no JSON", "empty", "another attempt", "another job", "another order", "fewer outputs"],
)
async def test_a_receipt_of_something_else_proves_nothing(depot: Depot, tamper: Tamper) -> None:
    """It counts as none, and the story tells why; as it was written, it is believed."""
    await under_way(depot, "a.mp4")
    order = finished_alone(depot)
    assert order.receipt is not None
    assert depot.receipt() == order.receipt
    (key,) = [key for key in depot.bucket.objects if "/receipts/" in key]

    depot.bucket.objects[key] = tamper(order.receipt)

    assert depot.receipt() is None
    told = [event.text for event in depot.desk.ledger.events(depot.job().id)]
    assert any("is not this attempt's receipt" in text for text in told)


async def test_a_receipt_whose_output_is_damaged_is_found_out_from_the_store(depot: Depot) -> None:
    """The proof is the same as with a machine at hand; then the job is made again."""
    await under_way(depot, "a.mp4")
    finished_alone(depot)
    key = f"out/{depot.job().outputs[0].name}"
    depot.bucket.objects[key] = depot.bucket.objects[key][:-1] + b"!"
    depot.cloud.vanish(depot.cloud.the())

    await depot.run()

    depot.assert_all_is_well()
    assert depot.job().attempt == 2
    assert any("proof-failed" in event.text for event in depot.desk.ledger.events(depot.job().id))


async def test_nothing_is_made_again_on_doubt(depot: Depot) -> None:
    """While the store cannot be asked the job waits, the batch is not over, and it is said once; then it is found."""
    await under_way(depot, "a.mp4")
    finished_alone(depot)
    depot.cloud.vanish(depot.cloud.the())
    depot.bucket.fault("down")

    depot.start()
    await depot.clock.pass_by(5.0)
    depot.clock.advance(7200.0)
    await depot.clock.pass_by(5.0)

    assert (depot.states(), depot.job().attempt) == (["assigned"], 1)
    assert len(depot.cloud.machines) == 1
    assert depot.desk.ledger.batches(unclosed=True)
    assert sum("is asked again" in said for said in heard(depot.desk).said) == 1
    depot.bucket.mend()
    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == 1
    await depot.kill()


async def test_a_person_who_wants_to_leave_need_not_wait_for_the_store(depot: Depot) -> None:
    """The job stays as it is; whoever resumes finds it."""
    await under_way(depot, "a.mp4")
    finished_alone(depot)
    depot.cloud.vanish(depot.cloud.the())
    depot.bucket.fault("down")
    depot.wish(WishWord.NOW)

    await depot.run(within_s=300.0)

    assert depot.states() == ["assigned"]
    depot.bucket.mend()
    depot.wish(WishWord.RUN)
    await depot.run()
    depot.assert_all_is_well()
    assert depot.job().attempt == 1


async def test_uploads_that_cannot_be_aborted_keep_the_job_from_being_handed_out(depot: Depot) -> None:
    """A lost machine that lives on could write over the next attempt's result; a second one is not rented before."""
    await under_way(depot, "a.mp4")
    depot.cloud.vanish(depot.cloud.the())
    depot.bucket.fault("abort_fails")

    depot.start()
    await depot.clock.pass_by(15.0)
    assert (depot.states(), len(depot.cloud.machines)) == (["assigned"], 1)
    depot.bucket.mend()

    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == 2
    await depot.kill()


async def test_a_receipt_that_was_completed_in_the_last_moment_counts(depot: Depot) -> None:
    """Between the look and the abort: what was delivered is delivered, and not made again."""
    await under_way(depot, "a.mp4")
    order = finished_alone(depot)
    (key,) = [key for key in depot.bucket.objects if "/receipts/" in key]
    late = depot.bucket.objects.pop(key)
    depot.cloud.vanish(depot.cloud.the())
    put = order.puts()[RECEIPT_SLOT]
    depot.bucket.begun[put.upload_id] = (key, depot.clock.now())

    def completes(verb: str, uri: Uri) -> None:
        if verb == "abort":
            depot.bucket.objects[key] = late

    depot.bucket.when_asked = completes
    await depot.run()

    assert (depot.states(), depot.job().attempt) == (["published"], 1)


async def test_a_grant_of_a_lost_machine_is_worth_nothing_once_the_job_goes_elsewhere(depot: Depot) -> None:
    """It was only cut off, and delivers hours later: the store refuses it, and the second result stays."""
    await under_way(depot, "a.mp4")
    order = depot.cloud.the().agent.orders[depot.job().id]
    machine = depot.cloud.the()
    depot.cloud.vanish(machine)
    await depot.run()
    second = depot.result(depot.job())

    order.work = Work(seconds=8.0, makes={"result": b"a late and wrong result"})
    depot.clock.advance(120.0)
    order.move_on(depot.clock.now(), free=True)
    order.move_on(depot.clock.now(), free=True)

    assert order.state()[0] is AttemptState.DELIVERING
    assert depot.result(depot.job()) == second
    depot.assert_all_is_well()


async def test_a_job_whose_lease_ended_before_its_row_was_moved_is_not_forgotten(depot: Depot) -> None:
    """A controller that died between the two: without uploads there is nothing to ask, with them the store is."""
    await under_way(depot, "a.mp4")
    depot.cloud.vanish(depot.cloud.the())
    for row in depot.desk.ledger.open_uploads():
        depot.desk.ledger.end_upload(row)
    depot.bucket.begun.clear()
    fields: dict[str, Any] = {"state": "gone", "reason": "lost"}
    depot.desk.ledger.note_lease(depot.lease().id, **fields)
    assert depot.job().state is JobState.ASSIGNED

    await depot.run()

    assert (depot.states(), depot.job().attempt) == (["published"], 2)
    assert depot.job().reason is JobReason.NONE


@pytest.mark.parametrize("finished", [True, False])
async def test_a_bucket_that_is_not_found_proves_nothing(depot: Depot, finished: bool) -> None:
    """Another endpoint than before: what may lie there is neither made again nor forgotten, until it is found."""
    await under_way(depot, "a.mp4")
    if finished:
        finished_alone(depot)
    depot.cloud.vanish(depot.cloud.the())

    def elsewhere(verb: str, uri: Uri) -> None:
        raise NoSuchBucket("There is no bucket clips.", advice="Check the endpoint.")

    depot.bucket.when_asked = elsewhere
    begun = len(depot.desk.ledger.open_uploads())
    depot.start()
    await depot.clock.pass_by(30.0)

    assert (depot.states(), len(depot.cloud.machines)) == (["assigned"], 1)
    assert (begun, len(depot.desk.ledger.open_uploads())) == (3, 3)
    assert any("Check the endpoint" in said for said in heard(depot.desk).said)

    depot.bucket.when_asked = lambda verb, uri: None
    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == (1 if finished else 2)
    await depot.kill()


async def test_a_controller_that_dies_once_a_result_is_accepted_finds_it_again(depot: Depot) -> None:
    """At the very moment; and the machine goes too: nothing is made twice."""
    depot.plan("a.mp4")

    def dies(job: Job) -> None:
        if job.state is JobState.DELIVERED:
            raise asyncio.CancelledError

    heard(depot.desk).when_moved = dies
    depot.start()
    await depot.clock.until(lambda: depot.states() == ["delivered"])
    await depot.kill()
    depot.cloud.vanish(depot.cloud.the())
    heard(depot.desk).when_moved = lambda job: None

    await depot.run()

    depot.assert_all_is_well()
    assert depot.job().attempt == 1
