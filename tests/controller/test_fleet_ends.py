"""The reconciler lets go: a machine is ended until it is proven gone, and none is left behind."""

from __future__ import annotations

import dataclasses

import pytest

from controller.errors import ProviderError
from controller.fleet import HEARTBEAT_EVERY_S
from framehaul.contract.states import JobState, LeaseReason, LeaseState
from tests.controller.agents import Agents
from tests.controller.desks import HOUR, a_lease, heard
from tests.controller.yards import Yard, why

# -- the end ---------------------------------------------------------------------------------------------------------


async def test_the_deadline_ends_a_machine_at_work(yard: Yard) -> None:
    """Come what may: a job that is not home by then is handed back."""
    await yard.rent_ready(deadline=HOUR + 3600)
    job_id = yard.assign()

    await yard.look_for(3600 - 2, every_s=14.0)
    assert yard.state() is LeaseState.READY
    await yard.look_for(200.0)

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.DEADLINE)
    assert yard.desk.ledger.job(job_id).state is JobState.PLANNED
    assert yard.cloud.alive() == []


@pytest.mark.parametrize("busy", [True, False])
async def test_a_machine_that_nobody_wants_goes_when_it_is_free(yard: Yard, busy: bool) -> None:
    """Not while a job is on its way on it."""
    await yard.rent_ready()
    yard.wanted = False
    if busy:
        yard.busy.add("a1")

    await yard.look_for(5.0)

    expected = (LeaseState.READY, LeaseReason.NONE) if busy else (LeaseState.DESTROYING, LeaseReason.WORK_DONE)
    assert why(yard.lease()) == expected


async def test_a_draining_machine_tells_its_agent_and_goes_when_it_is_free(yard: Yard) -> None:
    """Although there is more work; and the reason that stays is that somebody asked."""
    machine = await yard.rent_ready()
    yard.busy.add("a1")

    await yard.fleet.drain(yard.lease())
    await yard.look_for(5.0)
    assert (yard.state(), machine.agent.draining) == (LeaseState.DRAINING, True)
    yard.busy.clear()
    await yard.look_for(70.0)

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.ASKED_TO_STOP)


async def test_an_agent_that_cannot_be_told_to_drain_drains_all_the_same(yard: Yard) -> None:
    """It gets no new work from us; the story says that it does not know."""
    machine = await yard.rent_ready()
    machine.agent.cut = True

    await yard.fleet.drain(yard.lease())

    assert yard.state() is LeaseState.DRAINING
    assert "could not be told to drain" in yard.desk.ledger.events("a1")[-1].text


@pytest.mark.parametrize("pauses", [(), (5.0, 60.0)], ids=["read-from-the-kernel", "a-list-that-may-lag"])
async def test_destroying_is_repeated_until_the_machine_is_absent(yard: Yard, pauses: tuple[float, ...]) -> None:
    """An order that does not stick is given again at every look; only absence, proven, closes the row."""
    machine = await yard.rent_ready()
    yard.cloud.absence_pauses_s = pauses
    yard.wanted = False
    yard.cloud.fault("destroy_ignored", times=3)
    await yard.look()

    while yard.state() is not LeaseState.GONE:
        await yard.look_for(1.0)
        assert yard.state() is LeaseState.DESTROYING or machine.gone_at is not None

    assert yard.cloud.calls.count(("destroy", machine.ref)) == 4
    assert machine.gone_at is not None
    assert yard.lease().gone_at is not None
    assert yard.clock.now() - machine.gone_at >= sum(pauses)


async def test_a_list_that_still_shows_it_is_no_proof(yard: Yard) -> None:
    """Where the list lags after a destruction, the row stays open for as long; and the count begins after it."""
    machine = await yard.rent_ready()
    await yard.look_for(40.0)
    yard.cloud.list_lag_s = 30.0
    yard.wanted = False
    await yard.look()

    await yard.look_for(90.0)
    assert yard.state() is LeaseState.DESTROYING
    await yard.look_for(10.0)

    assert yard.state() is LeaseState.GONE
    assert machine.gone_at is not None


async def test_what_is_gone_costs_no_more_than_until_it_was_gone(yard: Yard) -> None:
    """From the purchase to the proof, and not a cent after it."""
    await yard.rent_ready()
    yard.wanted = False
    await yard.look_for(100.0)
    cost = yard.lease().dollars(yard.clock.now())

    yard.clock.advance(24 * 3600)

    assert yard.lease().dollars(yard.clock.now()) == cost
    assert cost == pytest.approx(0.36 * (2 + 1 + 66) / 3600, rel=0.05)


async def test_one_machine_that_cannot_be_destroyed_does_not_keep_the_others_from_it(yard: Yard) -> None:
    """They are ended and heard of in the same look; the trouble is told afterwards."""
    yard.cloud.names = ["m1", "m2", "m3"]
    first, second, third = [await yard.rent_ready(f"a{n}", f"m{n}") for n in (1, 2, 3)]
    yard.cloud.fault("destroy_refused", machine="m1")
    for lease_id in ("a1", "a2"):
        yard.desk.ledger.move_lease(lease_id, LeaseState.DESTROYING, LeaseReason.LOST)

    yard.clock.advance(15)
    with pytest.raises(ProviderError, match="cannot be destroyed now"):
        await yard.look()

    assert yard.cloud.alive() == [first, third]
    assert third.agent.heartbeats[-1] == yard.clock.now()
    assert second.gone_at == yard.clock.now()


# -- heartbeats ------------------------------------------------------------------------------------------------------


async def test_heartbeats_go_out_every_fifteen_seconds(yard: Yard) -> None:
    """However often the fleet looks; and the ledger knows the hour of the last that was answered."""
    machine = await yard.rent_ready()

    await yard.look_for(60.0, every_s=0.5)

    assert HEARTBEAT_EVERY_S == 15.0
    assert machine.agent.heartbeats == [HOUR + 2 + 15 * n for n in range(5)]
    assert yard.lease().heartbeat_at == HOUR + 62


async def test_a_heartbeat_that_fails_is_tried_at_the_next_look(yard: Yard) -> None:
    """Not a quarter of a minute later."""
    machine = await yard.rent_ready()
    machine.agent.cut = True
    await yard.look_for(16.0)
    machine.agent.cut = False

    await yard.look_for(1.0)

    assert machine.agent.heartbeats[-1] == yard.clock.now()


async def test_an_agent_at_a_new_address_is_followed(yard: Yard, agents: Agents) -> None:
    """Clouds move ports when an instance starts again."""
    machine = await yard.rent_ready()
    agents.by_address[("10.9.9.9", 1234)] = agents.by_address.pop(machine.address)
    machine.address = ("10.9.9.9", 1234)

    await yard.look_for(20.0)

    assert yard.state() is LeaseState.READY
    assert len(machine.agent.heartbeats) == 2


# -- strays ----------------------------------------------------------------------------------------------------------


async def test_a_stray_with_our_label_is_destroyed(yard: Yard) -> None:
    """It runs, and no living lease of the ledger knows it: somebody pays for a leak. It is said aloud."""
    ours = yard.cloud.plant(f"fh-{yard.desk.ledger.controller_id()}-dead-1800000000")

    await yard.look()

    assert yard.cloud.alive() == []
    assert yard.cloud.calls == [("destroy", ours.ref)]
    assert ours.label in heard(yard.desk).said[0]


@pytest.mark.parametrize(
    "label",
    ["fh-ffffff-a1-1700000000", "fh-", "somebody-s-web-server", "", "FH-{id}-x-1", "fh-{id}x-1-1", "x-fh-{id}-1"],
)
async def test_what_carries_another_label_is_never_touched(yard: Yard, label: str) -> None:
    """Another laptop's machines, and those that have nothing to do with us, are not ours to end."""
    yard.cloud.plant(label.format(id=yard.desk.ledger.controller_id()))

    await yard.look_for(600.0, every_s=60.0)

    assert len(yard.cloud.alive()) == 1
    assert yard.cloud.calls == []


async def test_a_lease_that_was_closed_too_early_is_ended_as_a_stray(yard: Yard) -> None:
    """An instance that appears after the ledger gave the purchase up does not run on."""
    yard.cloud.list_lag_s = 300.0
    yard.cloud.fault("rent_reply_lost", times=1)
    with pytest.raises(ProviderError):
        await yard.rent()
    await yard.look_for(100.0)
    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.NEVER_BOUGHT)

    await yard.look_for(250.0)

    assert yard.cloud.alive() == []


async def test_a_lease_of_another_cloud_is_none_of_this_fleet_s(yard: Yard) -> None:
    """That its label is missing from this list says nothing."""
    yard.desk.ledger.intend_lease(dataclasses.replace(a_lease("x9"), provider="elsewhere", state=LeaseState.READY))

    await yard.look_for(600.0, every_s=60.0)

    assert yard.state("x9") is LeaseState.READY


# -- whatever happens ------------------------------------------------------------------------------------------------

BREAKS = [
    ("rent_reply_lost", None),
    ("rent_refused", None),
    ("never_boots", None),
    ("exits_at_boot", None),
    ("destroy_ignored", 5),
    ("destroy_refused", 5),
    ("list_odd", 50),
    ("list_down", 50),
]


@pytest.mark.parametrize("lag_s", [0.0, 30.0])
@pytest.mark.parametrize(("fault", "times"), BREAKS)
async def test_however_it_breaks_nothing_is_left_billing(
    yard: Yard, fault: str, times: int | None, lag_s: float
) -> None:
    """One purchase for work that is wanted no more, whatever becomes of it: in the end all is gone, and closed."""
    yard.wanted = False
    yard.cloud.list_lag_s = lag_s
    yard.cloud.fault(fault, times=times)
    try:
        await yard.rent()
    except ProviderError as exc:
        yard.desk.observer.say(str(exc))

    await yard.look_for(600.0, every_s=5.0)

    assert yard.cloud.alive() == []
    assert yard.state() is LeaseState.GONE
    assert len(yard.cloud.machines) <= 1
