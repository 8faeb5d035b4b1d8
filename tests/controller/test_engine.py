"""The engine: every job ends once, on a machine that can do it, and the loop ends when nothing bills."""

from __future__ import annotations

import asyncio

import pytest

from controller.ledger import Job
from controller.ledger.rows import WishWord
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState
from tests.controller.agents import Work
from tests.controller.desks import heard
from tests.controller.sites import Site

pytestmark = pytest.mark.usefixtures("one_thread")


async def test_a_batch_goes_there_and_back(site: Site) -> None:
    """Rented once, every result at home and proven, markers written, nothing left that bills."""
    site.plan("a.mp4", "b.mp4", "c.mp4")

    await site.run()

    assert site.states() == ["published"] * 3
    for job in site.desk.ledger.jobs():
        assert site.result(job) == (site.inputs / job.name).read_bytes()
        assert (site.outputs / job.manifest_name).is_file()
    assert len(list((site.outputs / ".framehaul" / "done").iterdir())) == 3
    assert [name for name, _ in site.cloud.calls] == ["rent", "destroy"]
    site.assert_nothing_bills()


async def test_nothing_to_do_rents_nothing(site: Site) -> None:
    """An engine over an empty ledger ends at once."""
    await site.run(within_s=5.0)

    assert site.cloud.calls == []


async def test_the_next_job_is_shipped_while_one_runs(site: Site) -> None:
    """One runs, one waits on the machine with its input; the third waits in the ledger."""
    site.plan("a.mp4", "b.mp4", "c.mp4")
    site.cloud.work["m1"] = Work(seconds=60.0)

    site.start()
    await site.clock.pass_by(20.0)

    assert site.states() == ["assigned", "assigned", "planned"]
    orders = list(site.cloud.the("m1").agent.orders.values())
    assert [order.state()[0] for order in orders] == [AttemptState.RUNNING, AttemptState.QUEUED]
    assert all(order.complete for order in orders)
    await site.kill()


# -- attempts that fail ----------------------------------------------------------------------------------------------


async def test_a_failure_that_another_machine_may_mend_goes_to_another_machine(site: Site) -> None:
    """Never to the same one again, though it is the cheapest; the first machine is not kept for it."""
    site.plan("a.mp4")
    site.cloud.work["m1"] = Work(fails=AttemptReason.WORKER_DIED, message="signal 9")

    await site.run()

    assert site.machines_tried(site.job()) == ["m1", "m2"]
    assert site.states() == ["published"]
    first, second = site.desk.ledger.attempts(site.job().id)
    assert (first.state, first.reason, first.message) == ("failed", "worker-died", "signal 9")
    assert second.state is AttemptState.DELIVERED
    site.assert_nothing_bills()


async def test_a_job_that_failed_on_three_machines_is_excluded(site: Site) -> None:
    """With the last reason; and no fourth machine is rented for it."""
    site.cloud.names.append("m4")
    site.plan("a.mp4")
    for name in site.cloud.names:
        site.cloud.work[name] = Work(fails=AttemptReason.DISK_FULL, message=f"full on {name}")

    await site.run()

    job = site.job()
    assert site.machines_tried(job) == ["m1", "m2", "m3"]
    assert (job.state, job.reason) == (JobState.EXCLUDED, JobReason.ATTEMPT_FAILED)
    assert "disk-full: full on m3" in job.message
    site.assert_nothing_bills()


async def test_where_no_other_machine_is_left_the_job_is_excluded_with_its_reason(site: Site) -> None:
    """A cloud of one machine does not try it again and again."""
    site.cloud.names = ["m1"]
    site.plan("a.mp4", "b.mp4")
    site.cloud.work["m1"] = lambda spec: (
        Work(fails=AttemptReason.WORKER_DIED, message="signal 9") if spec.inputs[0].name == "a.mp4" else Work()
    )

    await site.run()

    assert site.states() == ["excluded", "published"]
    job = site.job()
    assert job.message == "worker-died: signal 9 There is no other machine to try it on. Later: framehaul retry"
    assert site.machines_tried(job) == ["m1"]
    site.assert_nothing_bills()


@pytest.mark.parametrize("reason", [AttemptReason.BAD_INPUT, AttemptReason.PIPELINE_FAILED, AttemptReason.BAD_PARAMS])
async def test_a_failure_that_would_come_again_anywhere_is_not_paid_for_twice(
    site: Site, reason: AttemptReason
) -> None:
    """It is excluded at once; the others go on."""
    site.plan("a.mp4", "b.mp4")
    site.cloud.work["m1"] = lambda spec: (
        Work(fails=reason, message="no such codec") if spec.inputs[0].name == "a.mp4" else Work()
    )

    await site.run()

    assert site.states() == ["excluded", "published"]
    assert site.job().message == f"{reason}: no such codec"
    assert len(site.cloud.machines) == 1


async def test_a_stop_by_a_person_does_not_count_as_a_try(site: Site) -> None:
    """Stopped twice and failed once is one failure: another machine gets its chance."""
    site.plan("a.mp4")
    site.cloud.work["m1"] = Work(seconds=30.0)
    for _ in range(2):
        site.wish(WishWord.RUN)
        task = site.start()
        await site.clock.until(lambda: site.job().state is JobState.ASSIGNED)
        await site.clock.pass_by(3.0)
        site.wish(WishWord.NOW)
        await site.clock.finish(task)
    assert [attempt.state for attempt in site.desk.ledger.attempts(site.job().id)] == [AttemptState.STOPPED] * 2
    site.cloud.work["m1"] = Work(fails=AttemptReason.WORKER_DIED)

    site.wish(WishWord.RUN)
    await site.run()

    assert site.machines_tried(site.job()) == ["m1", "m1", "m1", "m2"]
    assert site.states() == ["published"]


async def test_a_lost_machine_s_job_is_done_on_the_next(site: Site) -> None:
    """Handed out again only after the old machine is proven gone; two never hold it at once."""
    site.cloud.absence_pauses_s = (5.0, 60.0)
    site.plan("a.mp4")
    site.cloud.work["m1"] = Work(seconds=1000.0)
    site.cloud.work["m2"] = Work(seconds=1.0)
    task = site.start()
    await site.clock.until(lambda: site.job().state is JobState.ASSIGNED)
    lost = site.cloud.the("m1")
    site.cloud.names.remove("m1")

    site.cloud.vanish(lost)
    await site.clock.finish(task)

    assert site.states() == ["published"]
    assert site.machines_tried(site.job()) == ["m1", "m2"]
    bought = site.cloud.machines[1].bought_at
    assert lost.gone_at is not None
    assert bought >= lost.gone_at + 65.0
    site.assert_nothing_bills()


async def test_nobody_cares_for_a_job_on_two_machines_at_once(site: Site) -> None:
    """Where another machine takes a lost one's job in the same moment, whoever carried it before has let go."""
    carriers: dict[str, list[int]] = {}

    def count(job: Job) -> None:
        if job.state is JobState.ASSIGNED:
            names = [task.get_name() for task in asyncio.all_tasks()]
            carriers.setdefault(job.name, []).append(names.count(f"shipment {job.id}"))

    heard(site.desk).when_moved = count
    site.cloud.names = ["m1", "m2"]
    site.plan("a.mp4", "b.mp4", "c.mp4", max_instances=2)
    site.cloud.work = {"m1": Work(seconds=1000.0), "m2": Work(seconds=50.0)}
    task = site.start()
    await site.clock.until(lambda: "planned" not in site.states())
    site.cloud.names.remove("m1")

    site.cloud.vanish(site.cloud.the("m1"))
    await site.clock.finish(task)

    assert site.states() == ["published"] * 3
    assert carriers == {"a.mp4": [0, 0], "b.mp4": [0, 0], "c.mp4": [0]}


# -- how many machines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "jobs", "expected"), [(1, 6, 1), (2, 6, 2), (2, 2, 2), (3, 6, 3), (3, 1, 1)])
async def test_never_more_machines_than_were_allowed_nor_than_there_are_jobs(
    site: Site, most: int, jobs: int, expected: int
) -> None:
    """And that many indeed, where there is work for them; none is bought a second time."""
    site.plan(*[f"{number}.mp4" for number in range(jobs)], max_instances=most)
    for name in site.cloud.names:
        site.cloud.work[name] = Work(seconds=20.0)
    at_once = 0
    task = site.start()

    while not task.done():
        at_once = max(at_once, len(site.cloud.alive()))
        await site.clock.pass_by(1.0)

    task.result()
    assert at_once == len(site.cloud.machines) == expected
    assert site.states() == ["published"] * jobs
    site.assert_nothing_bills()
