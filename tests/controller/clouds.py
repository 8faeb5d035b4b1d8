"""A cloud in memory: it sells, boots, lags, forgets and lies; each on purpose, and by name.

    cloud.fault("rent_reply_lost", times=1)

Faults, each for as many `times` as told, or until mended; `machine="m1"` narrows one to a machine:
    offers_down            the market does not answer
    rent_refused           nothing is bought, and it says so
    rent_request_lost      nothing is bought, no answer comes
    rent_reply_lost        bought, but no answer comes
    never_boots            bought and billed, but it never answers
    exits_at_boot          the agent ends as soon as it has started
    list_down              the list does not come
    list_odd               a list comes, but not one that can be trusted
    list_empty             a well-shaped list without anything in it
    destroy_refused        the order to destroy is answered with an error
    destroy_ignored        the order to destroy is answered, and nothing happens
    start_ignored          the order to start is answered, and nothing happens
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from controller.errors import ProviderError, ProviderUnavailable
from controller.providers.base import Instance, InstanceState, Offer, RentOrder
from framehaul.clock import Clock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs
from framehaul.contract.spec import JobSpec
from tests.controller.agents import AgentDouble, Agents, Work
from tests.controller.buckets import BucketStores

FAULTS = {
    *("offers_down", "rent_refused", "rent_request_lost", "rent_reply_lost", "never_boots", "exits_at_boot"),
    *("list_down", "list_odd", "list_empty", "destroy_refused", "destroy_ignored", "start_ignored"),
}


@dataclass
class Machine:
    """One instance, from the purchase to its end."""

    ref: str
    label: str
    machine_id: str
    address: tuple[str, int]
    agent: AgentDouble
    bought_at: float
    boots_at: float | None
    exited: bool = False
    gone_at: float | None = None

    def state(self, now: float) -> InstanceState:
        """Say what the cloud would."""
        if self.exited:
            return InstanceState.EXITED
        up = self.boots_at is not None and now >= self.boots_at
        return InstanceState.RUNNING if up else InstanceState.STARTING


class Cloud:
    """A provider. Its machines are named in the order of their price."""

    remote = True
    runs_here = True
    exclusive = False

    def __init__(self, clock: Clock, agents: Agents, machines: Sequence[str] = ("m1",)) -> None:
        self.absence_pauses_s: Sequence[float] = (5.0, 60.0)
        self.boot_timeout_s = 120.0
        self.boot_s = 2.0
        # The list shows the world as it was so long ago.
        self.list_lag_s = 0.0
        self.machines: list[Machine] = []
        # What is called, in order: ("rent", label), ("destroy", ref), …
        self.calls: list[tuple[str, str]] = []
        self.work: dict[str, Work | Callable[[JobSpec], Work]] = {}
        # The buckets that its machines reach.
        self.stores: BucketStores | None = None
        # Who wants to look at the world in the moment of a purchase.
        self.on_rent: Callable[[RentOrder], None] = lambda order: None
        self._clock = clock
        self._agents = agents
        self.names = list(machines)
        self._faults: dict[tuple[str, str | None], int | None] = {}

    # -- what a test does ----------------------------------------------------------------------------------------

    def fault(self, name: str, *, times: int | None = None, machine: str | None = None) -> None:
        """Break something from now on."""
        assert name in FAULTS, f"no such fault: {name}"
        self._faults[name, machine] = times

    def mend(self, name: str) -> None:
        """Take a fault back."""
        for key in [key for key in self._faults if key[0] == name]:
            del self._faults[key]

    def alive(self) -> list[Machine]:
        """List what exists, and bills."""
        return [machine for machine in self.machines if machine.gone_at is None]

    def the(self, machine_id: str = "m1") -> Machine:
        """Find the living instance on a machine."""
        return next(machine for machine in self.alive() if machine.machine_id == machine_id)

    def labels_bought(self) -> list[str]:
        """List the labels of every purchase, in order."""
        return [machine.label for machine in self.machines]

    def vanish(self, machine: Machine) -> None:
        """Lose an instance, without a word and at once in every list."""
        self._end(machine, self._clock.now() - self.list_lag_s)

    def exit(self, machine: Machine) -> None:
        """End an instance's agent; the disk stays."""
        machine.exited = True
        self._agents.by_address.pop(machine.address, None)

    def plant(self, label: str) -> Machine:
        """Let an instance run that nobody of us rented just now."""
        return self._buy("elsewhere", label, LeaseSecret.new())

    # -- a provider's verbs --------------------------------------------------------------------------------------

    async def offers(self, needs: Needs) -> list[Offer]:
        """List the machines that are free, in the order of their price."""
        self._raise("offers_down", ProviderUnavailable("The market does not answer."))
        rented = {machine.machine_id for machine in self.alive()}
        return [
            Offer(f"offer-{name}", name, f"GPU of {name}", 0.36 * number)
            for number, name in enumerate(self.names, 1)
            if name not in rented
        ]

    async def rent(self, offer: Offer, order: RentOrder) -> str:
        """Buy."""
        self.calls.append(("rent", order.label))
        self.on_rent(order)
        self._raise("rent_refused", ProviderError("That offer is gone."), offer.machine_id)
        self._raise("rent_request_lost", ProviderUnavailable("No answer came."), offer.machine_id)
        machine = self._buy(offer.machine_id, order.label, order.secret)
        self._raise("rent_reply_lost", ProviderUnavailable("No answer came."), offer.machine_id)
        return machine.ref

    async def instances(self) -> list[Instance]:
        """List what exists, or existed a while ago."""
        for _ in range(5):  # a call to a cloud takes a while, in which others go on
            await asyncio.sleep(0)
        self._raise("list_down", ProviderUnavailable("The list does not come."))
        self._raise("list_odd", ProviderError("The list is odd."))
        if self._strikes("list_empty"):
            return []
        hour = self._clock.now() - self.list_lag_s
        return [
            self._shown(machine)
            for machine in self.machines
            if machine.bought_at <= hour and (machine.gone_at is None or machine.gone_at > hour)
        ]

    async def start(self, ref: str) -> None:
        """Start what exited, on its disk."""
        self.calls.append(("start", ref))
        machine = self._find(ref)
        if machine is not None and machine.exited and not self._strikes("start_ignored"):
            machine.exited, machine.boots_at = False, self._clock.now() + self.boot_s
            machine.agent.restart()
            self._agents.by_address[machine.address] = machine.agent

    async def destroy(self, ref: str) -> None:
        """End an instance."""
        self.calls.append(("destroy", ref))
        machine = self._find(ref)
        if machine is None:
            return
        self._raise("destroy_refused", ProviderUnavailable("It cannot be destroyed now."), machine.machine_id)
        if not self._strikes("destroy_ignored", machine.machine_id):
            self._end(machine, self._clock.now())

    # -- within --------------------------------------------------------------------------------------------------

    def _buy(self, name: str, label: str, secret: LeaseSecret) -> Machine:
        now, number = self._clock.now(), len(self.machines) + 1
        boots_at = None if self._strikes("never_boots", name) else now + self.boot_s
        agent = AgentDouble(secret, self._clock, lambda spec: self._work_of(name, spec))
        agent.stores = self.stores
        machine = Machine(f"i-{number}", label, name, (f"10.0.0.{number}", 8000), agent, now, boots_at)
        self.machines.append(machine)
        if self._strikes("exits_at_boot", name):
            machine.exited = True
        elif boots_at is not None:
            self._agents.by_address[machine.address] = agent
        return machine

    def _work_of(self, name: str, spec: JobSpec) -> Work:
        work = self.work.get(name, Work())
        return work if isinstance(work, Work) else work(spec)

    def _find(self, ref: str) -> Machine | None:
        return next((machine for machine in self.alive() if machine.ref == ref), None)

    def _end(self, machine: Machine, hour: float) -> None:
        machine.gone_at = hour
        self._agents.by_address.pop(machine.address, None)

    def _shown(self, machine: Machine) -> Instance:
        state = machine.state(self._clock.now())
        address = machine.address if state is InstanceState.RUNNING else None
        return Instance(machine.ref, machine.label, state, address, "It said so." if machine.exited else "")

    def _raise(self, name: str, error: Exception, machine: str | None = None) -> None:
        if self._strikes(name, machine):
            raise error

    def _strikes(self, name: str, machine: str | None = None) -> bool:
        for key in ((name, None), (name, machine)):
            if key in self._faults:
                left: Any = self._faults[key]
                if left is not None:
                    self._faults[key] = left - 1
                    if left <= 1:
                        del self._faults[key]
                return True
        return False
