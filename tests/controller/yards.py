"""A fleet at work on a cloud in memory."""

from __future__ import annotations

from typing import Any

from controller.desk import Desk
from controller.errors import ProviderError
from controller.fleet import Fleet
from controller.ledger import Lease
from framehaul.contract.states import LeaseReason, LeaseState
from tests.controller.agents import Agents
from tests.controller.clouds import Cloud, Machine
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours


class Yard:
    """A fleet at work: a desk, a cloud, the hour; and the leases by name."""

    def __init__(self, desk: Desk, cloud: Cloud, clock: Hours, agents: Agents) -> None:
        self.desk, self.cloud, self.clock = desk, cloud, clock
        self.busy: set[str] = set()
        self.wanted = True
        self._agents = agents
        self.fleet = self.open()

    def open(self, desk: Desk | None = None) -> Fleet:
        """Set a fleet up; a second one knows only what ledger and cloud tell."""
        self.fleet = Fleet(desk or self.desk, "cloud", self.cloud, self.busy.__contains__, self._agents.open_channel)
        return self.fleet

    def intend(self, lease_id: str = "a1", machine: str = "m1", **changes: Any) -> Lease:
        """Write a lease that nobody has bought yet."""
        label = f"fh-{self.desk.ledger.controller_id()}-{lease_id}-{int(HOUR) + 86400}"
        lease = a_lease(lease_id, machine_id=machine, offer_id=f"offer-{machine}", label=label, **changes)
        self.desk.ledger.intend_lease(lease)
        return lease

    async def rent(self, lease_id: str = "a1", machine: str = "m1", **changes: Any) -> Machine:
        """Write a lease, and buy it."""
        await self.fleet.rent(self.intend(lease_id, machine, **changes), disk_gb=1.0)
        return self.cloud.the(machine)

    async def rent_ready(self, lease_id: str = "a1", machine: str = "m1", **changes: Any) -> Machine:
        """Have a machine that answers."""
        bought = await self.rent(lease_id, machine, **changes)
        self.clock.advance(self.cloud.boot_s)
        await self.look()
        assert self.state(lease_id) is LeaseState.READY
        return bought

    async def look(self) -> None:
        """Reconcile once."""
        await self.fleet.reconcile(lambda lease: self.wanted)

    async def look_for(self, seconds: float, every_s: float = 1.0) -> None:
        """Reconcile again and again; what the cloud refuses meanwhile is only noted, as the engine does."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(every_s)
            try:
                await self.look()
            except ProviderError as exc:
                self.desk.observer.say(str(exc))

    def lease(self, lease_id: str = "a1") -> Lease:
        """Read a lease."""
        return self.desk.ledger.lease(lease_id)

    def state(self, lease_id: str = "a1") -> LeaseState:
        """Read a lease's state."""
        return self.lease(lease_id).state

    def assign(self, lease_id: str = "a1") -> str:
        """Put a job on a machine; its shipment is somebody else's."""
        self.desk.ledger.add_batch(a_batch(), [a_job_row()])
        self.desk.ledger.begin_attempt(self.desk.ledger.job("b-1-00001"), self.lease(lease_id), SPEC)
        self.busy.add(lease_id)
        return "b-1-00001"


def why(lease: Lease) -> tuple[LeaseState, LeaseReason]:
    """Give what a lease is, and why."""
    return (lease.state, lease.reason)
