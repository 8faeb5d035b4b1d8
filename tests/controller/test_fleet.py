"""The reconciler buys: money is never spent unseen, and a machine counts as ours once it answers."""

from __future__ import annotations

import pytest

from controller.errors import ProviderError
from controller.providers.base import RentOrder
from framehaul.contract.states import LeaseReason, LeaseState
from framehaul.contract.status import HealthState
from tests.controller.desks import HOUR, open_desk
from tests.controller.yards import Yard, why

# -- the purchase ----------------------------------------------------------------------------------------------------


async def test_the_intent_is_on_disk_before_the_purchase(yard: Yard) -> None:
    """In the moment in which money is asked for, another process already reads of it: label, and that it is asked."""
    seen: list[tuple[str, str]] = []
    yard.cloud.on_rent = lambda order: seen.extend(
        (lease.label, lease.state) for lease in open_desk(yard.desk.state.root, yard.clock).ledger.leases(alive=True)
    )

    await yard.rent()

    assert seen == [(yard.lease().label, LeaseState.RENTING)]
    assert why(yard.lease()) == (LeaseState.BOOTING, LeaseReason.NONE)
    assert (yard.lease().ref, yard.lease().rented_at) == ("i-1", HOUR)


async def test_the_order_names_the_lease_and_its_end(yard: Yard) -> None:
    """The instance learns its label, its own secret and its deadline; nothing of the laptop's."""
    orders: list[RentOrder] = []
    yard.cloud.on_rent = orders.append

    lease = yard.intend()
    await yard.fleet.rent(lease, disk_gb=7.5)

    assert orders == [RentOrder(lease.label, lease.secret, lease.deadline, 7.5)]


async def test_a_purchase_whose_reply_is_lost_is_found_by_its_label(yard: Yard) -> None:
    """It was bought once, is billed once, and is used: no second one is bought."""
    yard.cloud.fault("rent_reply_lost", times=1)
    with pytest.raises(ProviderError):
        await yard.rent()
    assert why(yard.lease()) == (LeaseState.RENTING, LeaseReason.NONE)

    yard.clock.advance(1)
    await yard.look()
    yard.clock.advance(yard.cloud.boot_s)
    await yard.look()

    assert why(yard.lease()) == (LeaseState.READY, LeaseReason.NONE)
    assert yard.lease().ref == "i-1"
    assert [name for name, _ in yard.cloud.calls] == ["rent"]


async def test_a_lost_reply_is_found_by_whoever_starts_next(yard: Yard) -> None:
    """Also where the process that asked died over it: the row and the label are enough."""
    yard.cloud.fault("rent_reply_lost", times=1)
    with pytest.raises(ProviderError):
        await yard.rent()

    yard.open()
    await yard.look()

    assert why(yard.lease()) == (LeaseState.BOOTING, LeaseReason.NONE)
    assert yard.lease().rented_at is not None
    assert len(yard.cloud.alive()) == 1


@pytest.mark.parametrize("fault", ["rent_refused", "rent_request_lost"])
async def test_nothing_bought_is_believed_only_after_the_cloud_s_pauses(yard: Yard, fault: str) -> None:
    """A list may lag: only absent from three lists, 5 and 60 s apart, the purchase counts as never made."""
    yard.cloud.fault(fault, times=1)
    with pytest.raises(ProviderError):
        await yard.rent()

    await yard.look()
    await yard.look_for(64.0)
    assert why(yard.lease()) == (LeaseState.RENTING, LeaseReason.NONE)
    await yard.look_for(1.0)

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.NEVER_BOUGHT)
    assert yard.lease().dollars(yard.clock.now()) == 0.0


async def test_a_purchase_that_shows_late_is_ours(yard: Yard) -> None:
    """An instance that the list gives only half a minute later is taken over, not left to bill."""
    yard.cloud.list_lag_s = 30.0
    yard.cloud.fault("rent_reply_lost", times=1)
    with pytest.raises(ProviderError):
        await yard.rent()

    await yard.look_for(40.0)

    assert why(yard.lease()) == (LeaseState.READY, LeaseReason.NONE)
    assert yard.cloud.calls == [("rent", yard.lease().label)]


async def test_an_offer_that_is_gone_is_not_asked_for(yard: Yard) -> None:
    """The market is asked once more before the purchase; a lease for a sold offer ends unbought."""
    yard.cloud.plant("fh-somebody")
    yard.cloud.machines[0].machine_id = "m1"

    await yard.fleet.rent(yard.intend(), disk_gb=1.0)

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.NEVER_BOUGHT)
    assert yard.cloud.calls == []


async def test_an_intent_without_a_purchase_is_closed(yard: Yard) -> None:
    """A controller that died between the row and the purchase has bought nothing."""
    yard.intend()

    await yard.look()

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.NEVER_BOUGHT)


# -- the list --------------------------------------------------------------------------------------------------------

EVERY_LIVING_STATE = [state for state in LeaseState if state is not LeaseState.GONE]


@pytest.mark.parametrize("fault", ["list_odd", "list_down"])
async def test_a_list_that_cannot_be_trusted_changes_nothing(yard: Yard, fault: str) -> None:
    """However often it comes: no lease in any state is moved, nothing is destroyed."""
    for number, state in enumerate(EVERY_LIVING_STATE):
        yard.intend(f"l{number}", state=state, rented_at=HOUR, ready_at=HOUR)
    before = yard.desk.ledger.leases()
    yard.cloud.fault(fault)

    for _ in range(100):
        yard.clock.advance(30)
        with pytest.raises(ProviderError):
            await yard.look()

    assert yard.desk.ledger.leases() == before
    assert yard.cloud.calls == []


async def test_an_empty_list_is_wrong_while_the_agent_answers(yard: Yard) -> None:
    """A machine that speaks is there, whatever the list says: it is kept and heard, and the list is an error."""
    machine = await yard.rent_ready()
    yard.cloud.fault("list_empty")

    for _ in range(20):
        yard.clock.advance(15)
        with pytest.raises(ProviderError, match="its agent answers"):
            await yard.look()

    assert yard.state() is LeaseState.READY
    assert len(machine.agent.heartbeats) == 21
    assert ("destroy", machine.ref) not in yard.cloud.calls


async def test_a_fresh_machine_that_the_list_lacks_for_a_while_is_kept(yard: Yard) -> None:
    """Bought, with the reply in hand: a list that lags by 20 s must not make us throw it away."""
    yard.cloud.list_lag_s = 20.0
    await yard.rent()

    await yard.look_for(30.0)

    assert yard.state() is LeaseState.READY
    assert [name for name, _ in yard.cloud.calls] == ["rent"]


# -- the boot --------------------------------------------------------------------------------------------------------


async def test_a_machine_that_answers_is_ready_and_hears_from_us_at_once(yard: Yard) -> None:
    """The agent knows its deadline from the first second on."""
    machine = await yard.rent_ready()

    assert yard.lease().ready_at == HOUR + 2
    assert machine.agent.heartbeats == [HOUR + 2]
    assert yard.fleet.channel("a1") is not None


async def test_an_agent_that_says_it_is_starting_is_waited_for(yard: Yard) -> None:
    """It answers, but takes no work yet."""
    machine = await yard.rent()
    machine.agent.health = HealthState.STARTING

    await yard.look_for(30.0)
    assert yard.state() is LeaseState.BOOTING
    machine.agent.health = HealthState.READY
    await yard.look_for(1.0)

    assert yard.state() is LeaseState.READY


async def test_a_machine_that_never_answers_has_until_its_boot_deadline(yard: Yard) -> None:
    """To the second; then it is destroyed, and the row tells why."""
    yard.cloud.fault("never_boots")
    await yard.rent()

    await yard.look_for(120.0)
    assert yard.state() is LeaseState.BOOTING
    await yard.look_for(1.0)
    assert why(yard.lease()) == (LeaseState.DESTROYING, LeaseReason.BOOT_DEADLINE)
    await yard.look_for(70.0)

    assert why(yard.lease()) == (LeaseState.GONE, LeaseReason.BOOT_DEADLINE)
    assert yard.cloud.alive() == []


async def test_a_machine_that_came_up_while_the_laptop_slept_is_used(yard: Yard) -> None:
    """The boot deadline judges machines that do not answer; nobody looked, and this one does."""
    await yard.rent()

    yard.clock.advance(3600)
    await yard.look()

    assert yard.state() is LeaseState.READY


async def test_an_agent_that_exits_at_boot_fails_the_gate(yard: Yard) -> None:
    """Not the deadline is waited for; the machine's last words are kept."""
    yard.cloud.fault("exits_at_boot")
    await yard.rent()

    await yard.look()

    assert why(yard.lease()) == (LeaseState.DESTROYING, LeaseReason.GATE_FAILED)
    assert yard.lease().message == "The agent did not stay up. It said so."
