"""The reconciler of one cloud: what the ledger wants × what the provider shows → the next idempotent step.

Level-triggered: every step is derived from the two lists alone, so that it does not matter who did the last one,
or whether that one lived to tell. A lease's row is written before the provider is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable, ProviderError
from controller.ledger import Lease
from controller.providers.base import Instance, InstanceState, Provider, RentOrder
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs
from framehaul.contract.states import JobReason, JobState, LeaseReason, LeaseState
from framehaul.contract.status import HealthState, LeaseOrder

HEARTBEAT_EVERY_S = 15.0
# A cut link is no lost machine: this long it may last before the machine is given up and destroyed.
SILENT_S = 600.0
MAX_RESTARTS = 2
_ENDS_BEFORE_WORDS = 3
# What one unanswered question adds to a silence at most: hours in which the laptop slept are not silence.
_SILENT_STEP_S = 60.0
OpenChannel = Callable[[tuple[str, int], LeaseSecret], AgentChannel]
_S = LeaseState


@dataclass
class _Absence:
    """How often an instance was missing from a well-shaped list, and when last."""

    seen: int = 0
    at: float = field(default=0.0)


@dataclass
class _Silence:
    """For how long an agent has not answered although it was asked, and when last."""

    at: float
    seconds: float = 0.0


class Fleet:
    """The leases of one provider."""

    def __init__(
        self,
        desk: Desk,
        name: str,
        provider: Provider,
        busy: Callable[[str], bool],
        open_channel: OpenChannel = AgentChannel,
    ) -> None:
        self.name = name
        self.provider = provider
        self._desk = desk
        self._busy = busy  # whether a job is still on its way on this lease
        self._open_channel = open_channel
        self._channels: dict[str, tuple[tuple[str, int], AgentChannel]] = {}
        self._refused_ends: dict[str, int] = {}
        self._discarded: list[AgentChannel] = []
        self._absent: dict[str, _Absence] = {}
        self._silences: dict[str, _Silence] = {}
        self._wanted: Callable[[Lease], bool] = lambda lease: True

    async def reconcile(self, wanted: Callable[[Lease], bool]) -> None:
        """Take one step for every lease; ProviderError when the list cannot be trusted."""
        self._wanted = wanted
        # The ledger first: a lease that is rented after the list was read must not look like a stray in it.
        leases = self.leases()
        instances = {instance.label: instance for instance in await self.provider.instances()}
        troubles: list[ProviderError] = []
        for lease in leases:
            try:
                await self._step(lease, instances.get(lease.label))
            except ProviderError as exc:
                troubles.append(exc)  # one machine that cannot be ended must not keep the others from being so
        await self._end_strays(instances, {lease.label for lease in leases})
        while self._discarded:
            await self._discarded.pop().close()
        if troubles:
            raise troubles[0]

    async def drain(self, lease: Lease) -> None:
        """Give a machine no new work; it goes once what it has is home."""
        self._move(lease, _S.DRAINING, LeaseReason.ASKED_TO_STOP)
        channel = self.channel(lease.id)
        if channel is not None:
            try:
                await channel.drain()
            except (AgentUnreachable, AgentError) as exc:
                self._desk.ledger.tell(lease.id, f"could not be told to drain: {exc}")

    def leases(self) -> list[Lease]:
        """List the leases that are not proven gone."""
        return [lease for lease in self._desk.ledger.leases(alive=True) if lease.provider == self.name]

    def channel(self, lease_id: str) -> AgentChannel | None:
        """Give the way to a lease's agent, if it has one now."""
        found = self._channels.get(lease_id)
        return found[1] if found else None

    async def rent(self, lease: Lease, disk_gb: float) -> None:
        """Buy what was intended. One try: an unclear answer is resolved by the label at the next step."""
        lease = self._desk.ledger.move_lease(lease.id, _S.RENTING)
        self._desk.observer.on_lease(lease)
        offers = {offer.id: offer for offer in await self.provider.offers(_any_needs(disk_gb))}
        if lease.offer_id not in offers:
            self._gone(lease, LeaseReason.NEVER_BOUGHT, "The offer is no longer there.")
            return
        order = RentOrder(lease.label, lease.secret, lease.deadline, disk_gb)
        ref = await self.provider.rent(offers[lease.offer_id], order)
        self._move(lease, _S.BOOTING, ref=ref, rented_at=self._desk.clock.now())

    async def close(self) -> None:
        """Close the connections; the leases stay as they are."""
        for _, channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    # -- one step ------------------------------------------------------------------------------------------------

    async def _step(self, lease: Lease, instance: Instance | None) -> None:
        if instance is not None:
            self._absent.pop(lease.id, None)
        match lease.state:
            case _S.INTENDED:
                # Written by a controller that died before it asked: nothing was bought.
                self._gone(lease, LeaseReason.NEVER_BOUGHT, "The controller stopped before it rented.")
            case _S.RENTING:
                self._resolve(lease, instance)
            case _S.BOOTING:
                await self._boot(lease, instance)
            case _S.READY | _S.DRAINING:
                await self._keep(lease, instance)
            case _S.DESTROYING:
                await self._destroy(lease, instance)

    def _resolve(self, lease: Lease, instance: Instance | None) -> None:
        """Find out by the label whether a purchase with an unclear answer took place."""
        if instance is not None:
            self._move(lease, _S.BOOTING, ref=instance.ref, rented_at=self._desk.clock.now())
        elif self._proven_absent(lease):
            self._gone(lease, LeaseReason.NEVER_BOUGHT, "The purchase left no instance.")

    async def _boot(self, lease: Lease, instance: Instance | None) -> None:
        if instance is None:
            await self._miss(lease, "The instance vanished while it started.")
        elif instance.state is InstanceState.EXITED and lease.ready_at is not None:
            await self._revive(lease, instance)  # it worked before: what it finished lies on its disk
        elif instance.state is InstanceState.EXITED:
            self._end(lease, LeaseReason.GATE_FAILED, f"The agent did not stay up. {instance.detail}".strip())
        elif not self._busy(lease.id) and not self._wanted(lease):
            self._end(lease, LeaseReason.WORK_DONE, "")  # stopped, or done by others, before it was up
        elif instance.address is not None and (state := await self._health(lease, instance.address)):
            self._move(lease, _S.READY, ready_at=lease.ready_at or self._desk.clock.now())
            if state is HealthState.DRAINING:  # it remembers that across its restarts, and takes no order any more
                self._move(self._desk.ledger.lease(lease.id), _S.DRAINING, LeaseReason.ASKED_TO_STOP)
            await self._heartbeat(self._desk.ledger.lease(lease.id))
        elif self._desk.clock.now() > lease.boot_deadline:
            # Judged last: after a laptop's sleep the hour has passed, and the machine may well be up.
            self._end(lease, LeaseReason.BOOT_DEADLINE, "The agent did not answer in time.")

    async def _keep(self, lease: Lease, instance: Instance | None) -> None:
        """Look after a machine that works: it lives, hears from us, and goes when its work is done."""
        if instance is None:
            await self._miss(lease, "The instance is gone from the provider's list.")
        elif instance.state is InstanceState.EXITED:
            await self._revive(lease, instance)
        elif self._desk.clock.now() > lease.deadline:
            self._end(lease, LeaseReason.DEADLINE, "The lease reached its deadline.")
        elif self._silent(lease):
            self._end(lease, LeaseReason.LOST, f"The agent has not answered for {SILENT_S:.0f} s.")
        elif not self._busy(lease.id) and (lease.state is _S.DRAINING or not self._wanted(lease)):
            self._end(lease, lease.reason if lease.state is _S.DRAINING else LeaseReason.WORK_DONE, "")
        else:
            if instance.address is not None:
                self._connect(lease, instance.address)
            await self._heartbeat(lease)

    async def _miss(self, lease: Lease, message: str) -> None:
        """Give up what is not listed, once that is proven; a list without an agent that answers is a wrong one."""
        known = self._channels.get(lease.id)
        if known is not None and await self._health(lease, known[0]):
            await self._heartbeat(lease)
            raise ProviderError(f"{lease.label} is not in the list, but its agent answers.")
        if self._proven_absent(lease):
            self._end(lease, LeaseReason.LOST, message)

    async def _revive(self, lease: Lease, instance: Instance) -> None:
        """Start an agent that exited on the disk that it had: finished results lie there."""
        if lease.restarts >= MAX_RESTARTS or not (self._busy(lease.id) or self._wanted(lease)):
            self._end(lease, LeaseReason.LOST, f"The agent exited. {instance.detail}".strip())
            return
        self._desk.observer.say(f"The agent on {lease.gpu} exited; starting it again. {instance.detail}".strip())
        until = self._desk.clock.now() + self.provider.boot_timeout_s
        self._desk.ledger.note_lease(lease.id, restarts=lease.restarts + 1, boot_deadline=until)
        if lease.state is not _S.BOOTING:
            self._move(lease, _S.BOOTING)
        await self.provider.start(instance.ref)

    async def _destroy(self, lease: Lease, instance: Instance | None) -> None:
        if instance is not None:
            await self.provider.destroy(instance.ref)
            listed = {found.label for found in await self.provider.instances()}
            if lease.label in listed:
                self._tell_that_it_stays(lease)
                return
        if self._proven_absent(lease):
            self._gone(lease, None, "")

    def _tell_that_it_stays(self, lease: Lease) -> None:
        """Say it once when a machine outlives several orders to end; the orders go on."""
        self._refused_ends[lease.id] = self._refused_ends.get(lease.id, 0) + 1
        if self._refused_ends[lease.id] == _ENDS_BEFORE_WORDS:
            self._desk.observer.say(f"{lease.ref or lease.label} does not go, and may still be billing. Trying on.")

    async def _end_strays(self, instances: dict[str, Instance], alive: set[str]) -> None:
        """Destroy what carries our label but was no living lease of the ledger: a leak, seen."""
        # A cloud of our own holds nothing of others; elsewhere the label tells whose a machine is.
        ours = "fh-" if self.provider.exclusive else f"fh-{self._desk.ledger.controller_id()}-"
        for label, instance in instances.items():
            if label.startswith(ours) and label not in alive:
                self._desk.observer.say(f"Destroying {label}: it runs, but the ledger holds no living lease for it.")
                await self.provider.destroy(instance.ref)

    # -- parts of a step -----------------------------------------------------------------------------------------

    def _proven_absent(self, lease: Lease) -> bool:
        """Count this well-shaped list without the instance; True once the provider's pauses lie between enough."""
        now = self._desk.clock.now()
        absence = self._absent.setdefault(lease.id, _Absence())
        pauses = self.provider.absence_pauses_s
        proven = absence.seen > len(pauses)
        if not proven and (absence.seen == 0 or now - absence.at >= pauses[absence.seen - 1]):
            absence.seen, absence.at = absence.seen + 1, now
        return absence.seen > len(pauses)

    async def _health(self, lease: Lease, address: tuple[str, int]) -> HealthState | None:
        """Give the state of an agent that has started; None while there is none."""
        try:
            health = await self._connect(lease, address).health()
        except (AgentUnreachable, AgentError):
            return None
        return None if health.state is HealthState.STARTING else health.state

    def _connect(self, lease: Lease, address: tuple[str, int]) -> AgentChannel:
        known = self._channels.get(lease.id)
        if known is None or known[0] != address:
            if known is not None:
                self._discarded.append(known[1])
            self._channels[lease.id] = (address, self._open_channel(address, lease.secret))
        return self._channels[lease.id][1]

    async def _heartbeat(self, lease: Lease) -> None:
        now = self._desk.clock.now()
        # A clock that was set back must not look like a fresh beat.
        if lease.heartbeat_at is not None and 0 <= now - lease.heartbeat_at < HEARTBEAT_EVERY_S:
            return
        channel = self.channel(lease.id)
        silence = self._silences.setdefault(lease.id, _Silence(now))
        silence.seconds += min(now - silence.at, _SILENT_STEP_S)
        silence.at = now
        if channel is None:
            return
        try:
            await channel.heartbeat(LeaseOrder(deadline=lease.deadline))
        except (AgentUnreachable, AgentError) as exc:
            self._desk.ledger.tell(lease.id, f"heartbeat failed: {exc}")
            return
        del self._silences[lease.id]
        self._desk.ledger.note_lease(lease.id, heartbeat_at=now)

    def _silent(self, lease: Lease) -> bool:
        """Say whether it was asked in vain for too long; that nobody asked is no silence."""
        silence = self._silences.get(lease.id)
        return silence is not None and silence.seconds > SILENT_S

    def _move(self, lease: Lease, state: LeaseState, reason: LeaseReason | None = None, **fields: object) -> None:
        self._desk.observer.on_lease(self._desk.ledger.move_lease(lease.id, state, reason, **fields))

    def _end(self, lease: Lease, reason: LeaseReason, message: str) -> None:
        self._move(lease, _S.DESTROYING, reason, message=message)

    def _gone(self, lease: Lease, reason: LeaseReason | None, message: str) -> None:
        """Close the row and hand its unfinished jobs back: only now, when their grants are worth nothing.

        A job whose results may lie in a store stays where it is: the store is asked before it is made again.
        """
        now = self._desk.clock.now()
        self._move(lease, _S.GONE, reason, gone_at=now, **({"message": message} if message else {}))
        for job in self._desk.ledger.jobs(lease_id=lease.id, states={JobState.ASSIGNED}):
            if self._desk.ledger.open_uploads(job.id):
                continue
            self._desk.ledger.end_attempt(job, None, None, "The machine was lost.")
            moved = self._desk.ledger.move_job(job.id, JobState.PLANNED, JobReason.LEASE_LOST, lease_id=None)
            self._desk.observer.on_job(moved)
        known = self._channels.pop(lease.id, None)
        if known is not None:
            self._discarded.append(known[1])


def _any_needs(disk_gb: float) -> Needs:
    return Needs(disk_gb=disk_gb)
