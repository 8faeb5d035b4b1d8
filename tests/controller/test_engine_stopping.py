"""The engine is stopped, killed or in trouble itself: nothing is lost, nothing hangs, nothing bills on."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from controller.ledger import Job, schema
from controller.ledger.rows import WishWord
from framehaul.contract.spec import JobSpec
from framehaul.contract.states import AttemptState, JobReason, JobState, LeaseReason, LeaseState
from framehaul.contract.status import HealthState
from tests.controller.agents import Work
from tests.controller.desks import heard
from tests.controller.sites import Site

pytestmark = pytest.mark.usefixtures("one_thread")


# -- wishes ----------------------------------------------------------------------------------------------------------


async def test_drain_finishes_what_runs_and_leaves_the_rest(site: Site) -> None:
    """The running job comes home, the waiting one goes back, the machine goes; `run` again does the rest."""
    site.plan("a.mp4", "b.mp4", "c.mp4")
    site.cloud.work["m1"] = Work(seconds=30.0)
    task = site.start()
    await site.clock.until(lambda: site.states()[:2] == ["assigned", "assigned"])
    await site.clock.pass_by(5.0)

    site.wish(WishWord.DRAIN)
    await site.clock.finish(task)

    assert site.states() == ["published", "planned", "planned"]
    assert site.job(2).reason is JobReason.ASKED_TO_STOP
    assert [attempt.state for attempt in site.desk.ledger.attempts(site.job(2).id)] == [AttemptState.STOPPED]
    site.assert_nothing_bills()
    site.wish(WishWord.RUN)
    await site.run()
    assert site.states() == ["published"] * 3


async def test_an_agent_that_drains_and_is_started_again_gets_no_more_work(site: Site) -> None:
    """It remembers that it was to stop, and refuses every order; who goes on meanwhile gets another machine."""
    site.plan("a.mp4", "b.mp4", "c.mp4")
    site.cloud.work["m1"] = Work(seconds=20.0)
    task = site.start()
    await site.clock.until(lambda: site.cloud.machines and site.cloud.machines[0].agent.orders)
    await site.clock.pass_by(3.0)
    site.wish(WishWord.DRAIN)
    await site.clock.pass_by(3.0)
    site.cloud.the().agent.health = HealthState.DRAINING
    site.cloud.exit(site.cloud.the())
    await site.clock.until(lambda: site.desk.ledger.leases()[-1].state is LeaseState.BOOTING)

    site.wish(WishWord.RUN)
    await site.clock.finish(task)

    assert site.states() == ["published"] * 3
    assert max(job.attempt for job in site.desk.ledger.jobs()) <= 3
    site.assert_nothing_bills()


async def test_an_agent_that_stops_whatever_it_is_given_is_left_and_the_tries_count(site: Site) -> None:
    """Nobody asked for it: its machine goes, another one is tried, and after three of them the job is given up."""
    site.plan("a.mp4")
    site.cloud.work = {name: Work(quits=True) for name in site.cloud.names}

    await site.run()

    assert site.states() == ["excluded"]
    assert len(site.desk.ledger.attempts(site.job().id)) == len(site.cloud.machines) == 3
    site.assert_nothing_bills()


async def test_now_drops_what_runs(site: Site) -> None:
    """Nothing is waited for: the job goes back into the queue, the machine goes."""
    site.plan("a.mp4", "b.mp4")
    site.cloud.work["m1"] = Work(seconds=1000.0)
    task = site.start()
    await site.clock.until(lambda: site.job().state is JobState.ASSIGNED)
    await site.clock.pass_by(5.0)
    began = site.clock.now()

    site.wish(WishWord.NOW)
    await site.clock.finish(task)

    assert site.clock.now() - began < 30
    assert site.states() == ["planned", "planned"]
    assert site.results() == []
    site.assert_nothing_bills()


async def test_now_does_not_wait_for_an_agent_that_is_silent(site: Site) -> None:
    """Ten minutes of patience are for those who want the result."""
    site.plan("a.mp4")
    site.cloud.work["m1"] = Work(seconds=1000.0)
    task = site.start()
    await site.clock.until(lambda: site.job().state is JobState.ASSIGNED)
    site.cloud.the("m1").agent.cut = True
    began = site.clock.now()

    site.wish(WishWord.NOW)
    await site.clock.finish(task)

    assert site.clock.now() - began < 30
    assert site.states() == ["planned"]
    site.assert_nothing_bills()


@pytest.mark.parametrize("wish", [WishWord.DRAIN, WishWord.NOW])
async def test_a_stop_while_a_machine_boots_does_not_wait_for_it(site: Site, wish: WishWord) -> None:
    """It would be paid for until it is up, for nothing. That it never was up says nothing against the cloud."""
    site.plan("a.mp4")
    site.cloud.boot_timeout_s = site.cloud.boot_s = 1200.0
    for _ in range(4):
        site.wish(WishWord.RUN)
        task = site.start()
        await site.clock.until(lambda: site.cloud.alive() != [])
        site.wish(wish)
        await site.clock.finish(task, within_s=30.0)
        site.assert_nothing_bills()

    assert site.states() == ["planned"]


async def test_a_machine_whose_work_others_did_is_ended_before_it_is_up(site: Site) -> None:
    """Nobody waits for a second machine that has nothing to do, and none is bought again and again."""
    site.plan("a.mp4", "b.mp4", max_instances=2)
    site.cloud.work["m1"] = Work(seconds=60.0)
    site.cloud.fault("never_boots", machine="m2")

    await site.run()

    assert site.states() == ["published", "published"]
    assert [lease.reason for lease in site.desk.ledger.leases()] == [LeaseReason.WORK_DONE] * 2


@pytest.mark.parametrize("wish", [WishWord.RUN, WishWord.DRAIN])
async def test_an_agent_that_takes_no_new_work_costs_no_job(site: Site, wish: WishWord) -> None:
    """It drains, or has not heard from us for a while: its refusal says nothing of the job, which stays planned."""
    site.plan("a.mp4")
    task = site.start()
    await site.clock.until(lambda: site.cloud.machines != [])
    agent = site.cloud.the("m1").agent
    agent.draining = True
    await site.clock.until(lambda: any(request.startswith("PUT") for request in agent.requests))

    site.wish(wish)
    await site.clock.pass_by(3.0)
    agent.draining = False
    await site.clock.finish(task)

    assert site.states() == (["published"] if wish is WishWord.RUN else ["planned"])
    assert {attempt.state for attempt in site.desk.ledger.attempts(site.job().id)} <= {"stopped", "delivered"}
    site.assert_nothing_bills()


async def test_a_batch_that_was_stopped_is_not_worked_on(site: Site) -> None:
    """Another batch is; the stopped one stays as it is."""
    stopped = site.plan("a.mp4")
    site.desk.ledger.wish(WishWord.DRAIN, stopped.id)
    site.clock.advance(1)
    site.plan("b.mp4")

    await site.run()

    assert site.states() == ["planned", "published"]


# -- a controller that dies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0])
async def test_whoever_starts_next_goes_on_where_the_last_one_died(site: Site, after_s: float) -> None:
    """Killed at any hour: no job is lost or done twice at once, no second machine is bought beside the first."""
    site.plan("a.mp4", "b.mp4")
    site.start()
    await site.clock.pass_by(after_s)
    await site.kill()

    await site.run()

    assert site.states() == ["published"] * 2
    assert len(site.cloud.machines) == 1
    assert all(job.attempt == 1 for job in site.desk.ledger.jobs())
    site.assert_nothing_bills()


async def test_a_result_that_waits_for_its_proof_needs_no_machine(site: Site) -> None:
    """What is home is proven and published, though its machine is long gone; none is rented for it."""
    site.plan("a.mp4")
    await site.run()
    job = site.job()
    marker = next((site.outputs / ".framehaul" / "done").iterdir())
    marker.unlink()
    site.desk.ledger.note_job(job.id, state=JobState.DELIVERED)

    await site.run()

    assert site.states() == ["published"]
    assert marker.exists()
    assert len(site.cloud.machines) == 1


# -- bugs ------------------------------------------------------------------------------------------------------------


async def test_a_bug_in_a_shipment_surfaces(site: Site) -> None:
    """An error that nobody foresaw ends the run; it neither hangs nor passes as success."""
    site.plan("a.mp4", params={})

    def planted(spec: JobSpec) -> Work:
        raise ZeroDivisionError("planted")

    site.cloud.work["m1"] = planted

    with pytest.raises(ZeroDivisionError, match="planted"):
        await site.run(within_s=60.0)


async def test_a_bug_in_the_very_last_moment_surfaces_too(site: Site) -> None:
    """Where nothing else is left to do or to end, it is not overlooked."""
    site.plan("a.mp4")
    await site.run()
    site.desk.ledger.note_job(site.job().id, state=JobState.DELIVERED)
    with site.desk.ledger.engine.begin() as db:
        db.execute(update(schema.batches).values(options={"verify": "no such word"}))

    with pytest.raises(ValueError, match="no such word"):
        await site.run(within_s=60.0)


# -- a store that does not take it -----------------------------------------------------------------------------------


async def test_a_result_that_cannot_be_stored_is_kept_until_it_can(site: Site) -> None:
    """The machine waits with it, a person is told once, and once the place is free it is home."""
    site.plan("a.mp4")
    site.outputs.write_text("in the way")
    task = site.start()
    await site.clock.pass_by(120.0)
    assert (site.states(), len(site.cloud.alive())) == (["assigned"], 1)

    site.outputs.unlink()
    await site.clock.finish(task)

    assert site.states() == ["published"]
    assert len([text for text in heard(site.desk).said if "The result is kept" in text]) == 1


@pytest.mark.parametrize(("in_the_way", "left"), [("", "planned"), (".framehaul", "verified")])
async def test_now_ends_the_waiting_for_a_store_and_excludes_nothing(site: Site, in_the_way: str, left: str) -> None:
    """A person gave up, not the job: it waits in the ledger, the machine goes, and `run` brings it to its end."""
    site.plan("a.mp4")
    obstacle = site.outputs / in_the_way
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("in the way")
    task = site.start()
    await site.clock.pass_by(60.0)

    site.wish(WishWord.NOW)
    await site.clock.finish(task, within_s=60.0)

    assert site.states() == [left]
    site.assert_nothing_bills()
    obstacle.unlink()
    site.wish(WishWord.RUN)
    await site.run()
    assert site.states() == ["published"]


async def test_a_result_that_vanishes_before_its_proof_is_no_success(site: Site) -> None:
    """Nor is it waited for: what is not there any more will not come by itself."""
    site.plan("a.mp4")

    def lose_it(job: Job) -> None:
        if job.state is JobState.DELIVERED:
            (site.outputs / job.outputs[0].name).unlink()

    heard(site.desk).when_moved = lose_it
    await site.run(within_s=600.0)

    assert site.states() == ["excluded"]
    assert site.job().reason is JobReason.PROOF_FAILED
    site.assert_nothing_bills()


@pytest.mark.parametrize("manifest", [b"", b"no JSON", b"{}", b"\xff\xfe", b"[" * 100_000])
async def test_a_manifest_that_is_none_is_one_job_s_failure(site: Site, manifest: bytes) -> None:
    """It comes from a stranger's machine: the others are published, and no later run stumbles over it."""
    site.plan("a.mp4", "b.mp4")
    site.cloud.work["m1"] = lambda spec: (
        Work(makes={"manifest": manifest}) if spec.inputs[0].name == "a.mp4" else Work()
    )

    await site.run()

    assert site.states() == ["excluded", "published"]
    assert site.job().reason is JobReason.PROOF_FAILED
    assert "is no manifest" in site.job().message
    site.assert_nothing_bills()


async def test_a_machine_that_is_lost_while_its_results_come_home_costs_no_job(site: Site) -> None:
    """The first output is in its place already, the second never comes: the next machine's take both places."""
    site.plan("a.mp4")
    site.cloud.work["m2"] = Work(makes={"result": b"the same film, coded by another machine"})

    def lose_the_first(what: str) -> None:
        if what.endswith(".manifest.json") and len(site.cloud.machines) == 1:
            site.cloud.vanish(site.cloud.the("m1"))
            site.cloud.names.remove("m1")

    heard(site.desk).when_passing = lose_the_first

    await site.run()

    assert site.states() == ["published"]
    assert site.machines_tried(site.job()) == ["m1", "m2"]
    assert site.result(site.job()) == b"the same film, coded by another machine"
