"""The reconciler doubts: no machine is given up on a guess, and no job handed back before its machine is gone."""

from __future__ import annotations

from controller.fleet import HEARTBEAT_EVERY_S, MAX_RESTARTS, SILENT_S
from framehaul.contract.states import JobReason, JobState, LeaseReason, LeaseState
from framehaul.contract.status import HealthState
from tests.controller.desks import HOUR, heard
from tests.controller.yards import Yard, why

# -- loss ------------------------------------------------------------------------------------------------------------


async def test_a_machine_that_vanishes_is_lost_and_its_jobs_wait_for_the_proof(yard: Yard) -> None:
    """A job is handed back only once its old machine is proven gone, never on the first list without it."""
    job_id, steps = "b-1-00001", []
    machine = await yard.rent_ready()
    yard.assign()
    yard.cloud.vanish(machine)

    while yard.state() is not LeaseState.GONE:
        await yard.look_for(1.0)
        steps.append((yard.state(), yard.desk.ledger.job(job_id).state))

    assert set(steps[:-1]) == {
        (LeaseState.READY, JobState.ASSIGNED),
        (LeaseState.DESTROYING, JobState.ASSIGNED),
    }
    assert steps[-1] == (LeaseState.GONE, JobState.PLANNED)
    assert yard.clock.now() - machine.bought_at >= 65.0
    job = yard.desk.ledger.job(job_id)
    assert (job.reason, job.lease_id) == (JobReason.LEASE_LOST, None)
    (attempt,) = yard.desk.ledger.attempts(job_id)
    assert (attempt.ended_at, attempt.state, attempt.message) == (yard.clock.now(), None, "The machine was lost.")
    assert yard.lease().reason is LeaseReason.LOST


async def test_results_that_are_home_stay_home_when_the_machine_goes(yard: Yard) -> None:
    """A job that was delivered does not go back into the queue with the end of its machine."""
    machine = await yard.rent_ready()
    job_id = yard.assign()
    yard.desk.ledger.move_job(job_id, JobState.DELIVERED)
    yard.cloud.vanish(machine)

    await yard.look_for(200.0)

    assert yard.state() is LeaseState.GONE
    assert yard.desk.ledger.job(job_id).state is JobState.DELIVERED


async def test_a_link_that_is_cut_for_five_minutes_loses_nothing(yard: Yard) -> None:
    """The machine is kept, and heartbeats go on where they left off."""
    machine = await yard.rent_ready()
    machine.agent.cut = True

    await yard.look_for(300.0)
    assert yard.state() is LeaseState.READY
    machine.agent.cut = False
    await yard.look_for(1.0)
    await yard.look_for(400.0)

    assert yard.state() is LeaseState.READY
    assert len(machine.agent.heartbeats) > 20


async def test_an_agent_that_is_silent_for_too_long_is_lost(yard: Yard) -> None:
    """Not before SILENT_S have passed in vain; then the machine, which still bills, is destroyed."""
    machine = await yard.rent_ready()
    machine.agent.cut = True

    await yard.look_for(SILENT_S)
    assert yard.state() is LeaseState.READY
    await yard.look_for(2 * HEARTBEAT_EVERY_S)

    assert yard.lease().reason is LeaseReason.LOST
    assert ("destroy", machine.ref) in yard.cloud.calls


async def test_two_short_silences_do_not_add_up(yard: Yard) -> None:
    """One answer, and the count begins anew."""
    machine = await yard.rent_ready()

    for _ in range(2):
        machine.agent.cut = True
        await yard.look_for(SILENT_S - 60.0)
        machine.agent.cut = False
        await yard.look_for(1.0)

    assert yard.state() is LeaseState.READY


async def test_a_laptop_that_slept_throws_nothing_away(yard: Yard) -> None:
    """Hours in which nobody asked are no silence of the agent: the machine with the results is still ours."""
    machine = await yard.rent_ready()

    yard.clock.advance(3 * 3600)
    await yard.look()
    await yard.look()

    assert yard.state() is LeaseState.READY
    assert machine.agent.heartbeats[-1] == yard.clock.now()


async def test_a_laptop_that_slept_while_the_link_was_cut_asks_again_first(yard: Yard) -> None:
    """Some minutes in vain and hours asleep are not hours in vain."""
    machine = await yard.rent_ready()
    machine.agent.cut = True
    await yard.look_for(120.0)

    yard.clock.advance(3 * 3600)
    await yard.look()
    machine.agent.cut = False
    await yard.look_for(1.0)

    assert yard.state() is LeaseState.READY
    assert machine.agent.heartbeats[-1] == yard.clock.now()


async def test_a_controller_that_comes_back_after_hours_takes_its_machine_over(yard: Yard) -> None:
    """What the ledger holds of the last heartbeat is old, and says nothing of the machine."""
    machine = await yard.rent_ready()
    yard.clock.advance(5 * 3600)

    yard.open()
    await yard.look()
    await yard.look()

    assert yard.state() is LeaseState.READY
    assert machine.agent.heartbeats[-1] == yard.clock.now()


# -- an agent that exits ---------------------------------------------------------------------------------------------


async def test_an_agent_that_exited_is_started_on_its_disk(yard: Yard) -> None:
    """Its results lie there. It is the same machine, ready since it first was; its job stays on it."""
    machine = await yard.rent_ready()
    job_id = yard.assign()
    yard.cloud.exit(machine)

    await yard.look_for(5.0)

    assert why(yard.lease()) == (LeaseState.READY, LeaseReason.NONE)
    assert (yard.lease().restarts, yard.lease().ready_at) == (1, HOUR + 2)
    assert yard.desk.ledger.job(job_id).state is JobState.ASSIGNED
    assert [call for call in yard.cloud.calls if call[0] != "rent"] == [("start", machine.ref)]
    assert "starting it again" in heard(yard.desk).said[0]


async def test_an_agent_is_revived_at_most_twice(yard: Yard) -> None:
    """The third time the machine is at fault: it is destroyed, and its job may go elsewhere."""
    machine = await yard.rent_ready()
    job_id = yard.assign()

    for _ in range(3):
        yard.cloud.exit(machine)
        await yard.look_for(5.0)
    await yard.look_for(70.0)

    assert yard.cloud.calls.count(("start", machine.ref)) == MAX_RESTARTS == 2
    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.LOST)
    assert yard.desk.ledger.job(job_id).state is JobState.PLANNED


async def test_an_agent_that_does_not_come_back_is_given_up_at_a_boot_deadline_of_its_own(yard: Yard) -> None:
    """Hours after the first boot, a revived agent has as long as a fresh one."""
    machine = await yard.rent_ready()
    await yard.look_for(600.0, every_s=15.0)
    machine.agent.health = HealthState.STARTING
    yard.cloud.exit(machine)

    await yard.look_for(120.0)
    assert yard.state() is LeaseState.BOOTING
    await yard.look_for(2.0)

    assert why(yard.lease()) == (LeaseState.DESTROYING, LeaseReason.BOOT_DEADLINE)


async def test_a_draining_agent_that_exits_with_work_on_its_disk_is_started_again(yard: Yard) -> None:
    """What it finished before it went is fetched, not made again; the engine drains it anew."""
    machine = await yard.rent_ready()
    job_id = yard.assign()
    await yard.fleet.drain(yard.lease())
    yard.cloud.exit(machine)

    await yard.look_for(70.0)

    assert (yard.lease().state, yard.lease().restarts) == (LeaseState.READY, 1)
    assert yard.desk.ledger.job(job_id).state is JobState.ASSIGNED
