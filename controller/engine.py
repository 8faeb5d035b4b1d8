"""The one loop that acts: take wishes, reconcile leases, hand out jobs, rent what is missing, until all is done."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from controller.agenda import Agenda
from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import NothingFits, ProviderError
from controller.fleet import Fleet, OpenChannel
from controller.ledger import Attempt, Batch, Job, Lease
from controller.ledger.rows import WishWord
from controller.lookout import Lookout
from controller.orders import order_for
from controller.providers.base import Offer, Provider
from controller.recovery import Recovery
from controller.settings.stores import BUCKET_SCHEMES
from controller.shipment import MAX_ATTEMPTS, Shipment
from framehaul.clock import wait_for_event
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState, LeaseReason, LeaseState
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError

TICK_S = 1.0
# One job runs, one waits with its input fetched.
JOBS_AHEAD = 2
MAX_BOOT_FAILURES = 3
_AT_ONCE = 200
# Stops that somebody asked for are not counted as tries; so many of them are no person's any more.
_MOST_HANDED_OUT = 60
_PROOF_PATIENCE_S = 300.0
_ON_LEASE = frozenset({JobState.ASSIGNED})
_HOME = frozenset({JobState.DELIVERED, JobState.VERIFIED})
_UNDER_WAY = _ON_LEASE | _HOME
_ENDING = frozenset({LeaseState.DESTROYING, LeaseState.GONE})


class Engine:
    """Carry out what the ledger wishes. Only the holder of the state folder's lock runs one."""

    def __init__(
        self,
        desk: Desk,
        open_provider: Callable[[str], Provider],
        open_channel: OpenChannel = AgentChannel,
        *,
        also: Collection[str] = (),
        only: Collection[str] | None = None,
        seen: set[str] | None = None,
        asked: Collection[str] = (),
    ) -> None:
        """Look at the clouds in `also` too; hand out jobs of the batches in `only`; name living leases in `seen`.

        The batches in `asked` are counted even where they wish no work.
        """
        self._also = also
        self._only = only
        self._seen = set() if seen is None else seen
        self._lookout = Lookout(desk.observer, desk.ledger, asked)
        self._desk = replace(desk, observer=self._lookout)
        self._open_provider = open_provider
        self._open_channel = open_channel
        self._fleets: dict[str, Fleet] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._nudge = asyncio.Event()
        self._troubles: dict[tuple[str, str], str] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._abandoned: set[tuple[str, str | None]] = set()
        self._bug: BaseException | None = None

    def nudge(self) -> None:
        """Wake the loop before its next tick."""
        self._nudge.set()

    async def run(self) -> None:
        """Act until no batch can go on and every lease is proven gone. NothingFits when no machine can be had."""
        known_dead = {lease.id for lease in self._desk.ledger.leases() if lease.state is LeaseState.GONE}
        try:
            while not await self._tick(known_dead):
                self._nudge.clear()
                await wait_for_event(self._desk.clock, self._nudge, TICK_S)
        finally:
            await self._cancel(list(self._tasks))
            for fleet in self._fleets.values():
                await fleet.close()

    # -- one tick ------------------------------------------------------------------------------------------------

    async def _tick(self, known_dead: set[str]) -> bool:
        if self._bug is not None:
            raise self._bug
        ledger = self._desk.ledger
        if ledger.take_wishes():
            self._abandoned.clear()
        await self._shed_ending_leases()
        agenda = self._agenda()
        clouds = {batch.provider for batch in agenda.batches.values()}
        # Before the leases are judged: after a restart, a machine whose job has no task yet must not look idle.
        self._resume_shipments(agenda.batches)
        for name in sorted(clouds | self._lease_providers() | {*self._also}):
            await self._reconcile(self._fleet(name), agenda)
        self._exclude_exhausted(agenda)
        stuck = await self._hand_out(self._agenda(), known_dead)
        alive = ledger.leases(alive=True)
        self._seen.clear()
        self._seen.update(lease.ref or lease.label for lease in alive)
        self._lookout.look(self._desk.clock.now(), lambda name: self._fleet(name).provider.runs_here)
        idle = not self._tasks and not alive
        if idle and stuck:
            raise NothingFits(stuck, advice="Nothing is running; the jobs wait in the ledger: framehaul resume.")
        return idle and self._bug is None and not self._agenda().runnable()

    async def _reconcile(self, fleet: Fleet, agenda: Agenda) -> None:
        try:
            await fleet.reconcile(lambda lease: bool(agenda.waiting(lease.provider, 1, machine_id=lease.machine_id)))
            for lease in fleet.leases():
                if lease.state is LeaseState.READY and self._drained(lease, agenda.batches):
                    await fleet.drain(lease)
            self._tell_trouble(fleet, "list", "")
        except ProviderError as exc:
            # An odd answer never counts as "nothing there": every lease stays what it was, and we ask again.
            self._tell_trouble(fleet, "list", str(exc))

    def _tell_trouble(self, fleet: Fleet, what: str, trouble: str) -> None:
        """Say once what keeps a cloud from answering; "" when it is over."""
        if trouble and trouble != self._troubles.get((fleet.name, what)):
            self._desk.observer.say(f"{fleet.name}: {trouble} Trying again.")
        self._troubles[fleet.name, what] = trouble

    async def _shed_ending_leases(self) -> None:
        """Cancel the shipments of machines that go; the jobs return to the ledger once that is proven."""
        for lease in self._desk.ledger.leases(alive=True):
            if lease.state is LeaseState.DESTROYING:
                jobs = self._desk.ledger.jobs(lease_id=lease.id, states=_ON_LEASE)
                await self._cancel([job.id for job in jobs])

    def _resume_shipments(self, batches: Mapping[str, Batch]) -> None:
        """Give every job that is on its way a task: after a restart, none has one."""
        alive = {lease.id: lease for lease in self._desk.ledger.leases(alive=True)}
        for job in self._desk.ledger.jobs_under_way():
            if job.batch_id not in batches or job.id in self._tasks:
                continue
            lease = alive.get(job.lease_id or "")
            ending = job.state in _ON_LEASE and lease is not None and lease.state in _ENDING
            if not ending and (job.id, lease and lease.id) not in self._abandoned:
                self._ship(job, lease, batches[job.batch_id])

    async def _hand_out(self, agenda: Agenda, known_dead: set[str]) -> str:
        """Assign planned jobs to machines that have room; rent where none has. Gives why nothing can be done."""
        reason = ""
        for name in agenda.clouds():
            fleet = self._fleet(name)
            for lease in fleet.leases():
                if lease.state is LeaseState.READY:
                    self._load(lease, agenda)
            reason = await self._rent_if_needed(fleet, agenda, known_dead) or reason
        return reason

    def _load(self, lease: Lease, agenda: Agenda) -> None:
        ledger = self._desk.ledger
        room = JOBS_AHEAD - len(ledger.jobs(lease_id=lease.id, states=_ON_LEASE))
        for job in agenda.waiting(lease.provider, max(0, room), machine_id=lease.machine_id):
            try:
                spec = order_for(job, agenda.batches[job.batch_id])
            except (ValueError, FramehaulError) as exc:  # one job that cannot be ordered must not hold up the others
                self._exclude(job, f"It cannot be ordered: {exc}")
                continue
            assigned = ledger.begin_attempt(job, lease, spec.model_dump(mode="json"))
            self._desk.observer.on_job(assigned)
            self._ship(assigned, lease, agenda.batches[job.batch_id])

    async def _rent_if_needed(self, fleet: Fleet, agenda: Agenda, known_dead: set[str]) -> str:
        batches = agenda.going(fleet.name)
        leases = fleet.leases()
        limit = max((int(batch.options.get("max_instances", 1)) for batch in batches), default=0)
        if len(leases) >= min(limit, agenda.runnable(fleet.name)) or not agenda.waiting(fleet.name, 1):
            return (
                ""  # also where every job is on a machine already: a further one would go at once, and be missed again
            )
        failure = self._boot_failures(fleet.name, known_dead)
        if failure:
            return failure
        disk_gb = max(float(batch.options.get("disk_gb", 0)) for batch in batches)
        try:
            offers = await fleet.provider.offers(Needs(disk_gb=disk_gb))
        except ProviderError as exc:
            if not (exc.retryable or leases):
                raise
            self._tell_trouble(fleet, "offers", str(exc))  # the machines that there are go on
            return ""
        self._tell_trouble(fleet, "offers", "")
        fitting = [offer for offer in offers if agenda.waiting(fleet.name, 1, machine_id=offer.machine_id)]
        # A machine that did not work a moment ago is as cheap as before: it comes last.
        bad = {lease.machine_id for lease in self._never_ready(fleet.name, known_dead)}
        fitting.sort(key=lambda offer: offer.machine_id in bad)
        if not fitting:
            return "" if leases else self._nothing_fits(fleet.name, offers, agenda, disk_gb)
        await self._rent(fleet, fitting[0], batches, disk_gb)
        return ""

    def _exclude_exhausted(self, agenda: Agenda) -> None:
        """Give up on a job after three tries that were not stopped by a person."""
        for job in agenda.often_tried(MAX_ATTEMPTS):
            tries = [found for found in self._desk.ledger.attempts(job.id) if not _was_asked_to_stop(found)]
            if len(tries) >= MAX_ATTEMPTS or job.attempt >= _MOST_HANDED_OUT:
                self._exclude(job, f"Tried {len(tries)} times. {job.message}")

    def _exclude(self, job: Job, message: str) -> None:
        reason = job.reason if job.reason is JobReason.PROOF_FAILED else JobReason.ATTEMPT_FAILED
        moved = self._desk.ledger.move_job(job.id, JobState.EXCLUDED, reason, message=message.strip())
        self._desk.observer.on_job(moved)

    def _nothing_fits(self, name: str, offers: list[Offer], agenda: Agenda, disk_gb: float) -> str:
        if not offers:
            return f"{name} has no machine that fits: {disk_gb:.1f} GB of free disk are wanted."
        while jobs := agenda.waiting(name, _AT_ONCE):  # each of them has failed on every machine that there is
            for job in jobs:
                self._exclude(job, f"{job.message} There is no other machine to try it on. Later: framehaul retry")
        return ""

    async def _rent(self, fleet: Fleet, offer: Offer, batches: list[Batch], disk_gb: float) -> None:
        ledger, now = self._desk.ledger, self._desk.clock.now()
        hours = max(float(batch.options.get("lease_hours", 24)) for batch in batches)
        lease_id, deadline = secrets.token_hex(4), now + hours * 3600
        lease = Lease(
            id=lease_id,
            label=f"fh-{ledger.controller_id()}-{lease_id}-{int(deadline)}",
            provider=fleet.name,
            state=LeaseState.INTENDED,
            reason=LeaseReason.NONE,
            message="",
            offer_id=offer.id,
            machine_id=offer.machine_id,
            gpu=offer.gpu,
            dollars_per_hour=offer.dollars_per_hour,
            secret=LeaseSecret.new(),
            ref=None,
            deadline=deadline,
            boot_deadline=now + fleet.provider.boot_timeout_s,
            restarts=0,
            intended_at=now,
            rented_at=None,
            ready_at=None,
            heartbeat_at=None,
            gone_at=None,
        )
        ledger.intend_lease(lease)
        self._desk.observer.on_lease(lease)
        try:
            await fleet.rent(lease, disk_gb)
        except ProviderError as exc:
            self._desk.observer.say(f"Renting on {fleet.name} gave no clear answer: {exc} Looking it up by its label.")

    # -- questions -----------------------------------------------------------------------------------------------

    def _agenda(self) -> Agenda:
        """Read what is asked for as it is now: it changes with every job that is handed out."""
        return Agenda.read(self._desk.ledger, self._only)

    def _boot_failures(self, name: str, known_dead: set[str]) -> str:
        """Stop renting after several machines in a row never worked."""
        dead = self._never_ready(name, known_dead, in_a_row=True)
        if len(dead) < MAX_BOOT_FAILURES:
            return ""
        return f"{len(dead)} machines of {name} never became ready; the last: {dead[-1].message or dead[-1].reason}"

    def _never_ready(self, name: str, known_dead: set[str], *, in_a_row: bool = False) -> list[Lease]:
        """List the machines that never worked; those `in_a_row` came after the last one that did."""
        found: list[Lease] = []
        for lease in self._desk.ledger.leases():
            if lease.provider != name or lease.id in known_dead:
                continue
            if lease.ready_at is None and lease.state is LeaseState.GONE:
                found += [lease] if lease.reason is not LeaseReason.WORK_DONE else []
            elif lease.ready_at is not None and in_a_row:
                found.clear()
        return found

    def _drained(self, lease: Lease, batches: Mapping[str, Batch]) -> bool:
        """Say whether every batch that could use this lease was asked to stop."""
        mine = [batch for batch in batches.values() if batch.provider == lease.provider]
        return bool(mine) and all(batch.wish is not WishWord.RUN for batch in mine)

    def _lease_providers(self) -> set[str]:
        return {lease.provider for lease in self._desk.ledger.leases(alive=True)}

    def _busy(self, lease_id: str) -> bool:
        return any(self._holds(job) for job in self._desk.ledger.jobs_under_way(lease_id=lease_id))

    def _holds(self, job: Job) -> bool:
        """Say whether a machine is kept for this job.

        Not for one whose result lies in a store that cannot be read now: nothing of it is left on the machine, and
        whether the laptop can prove it in a minute or next week, every hour of waiting would be paid for.
        """
        if job.id not in self._tasks:
            return False
        waited_s = self._desk.clock.now() - job.updated_at
        return job.state in _ON_LEASE or waited_s < _PROOF_PATIENCE_S or not self._delivered_by_agent(job)

    def _delivered_by_agent(self, job: Job) -> bool:
        batch = self._desk.ledger.batch(job.batch_id)
        return batch is not None and parse_uri(batch.target).scheme in BUCKET_SCHEMES

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _fleet(self, name: str) -> Fleet:
        if name not in self._fleets:
            self._fleets[name] = Fleet(self._desk, name, self._open_provider(name), self._busy, self._open_channel)
        return self._fleets[name]

    def _ship(self, job: Job, lease: Lease | None, batch: Batch) -> None:
        """Carry a job on; what its machine left, where that is gone."""
        lease_id = lease.id if lease else None
        task = asyncio.create_task(self._carrier(job, lease_id, batch).carry(), name=f"shipment {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda done: self._landed(job.id, lease_id, done))

    def _carrier(self, job: Job, lease_id: str | None, batch: Batch) -> Shipment | Recovery:
        fleet, wish = self._fleet(batch.provider), lambda: self._wish_of(batch.id)
        if lease_id is None:
            return Recovery(self._desk, job.id, wish)
        return Shipment(self._desk, job.id, lambda: fleet.channel(lease_id), wish, self._turns[lease_id])

    def _landed(self, job_id: str, lease_id: str | None, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job_id) is task:
            del self._tasks[job_id]
        if not task.cancelled() and task.exception() is not None:
            # A bug of ours must not become silence: the loop sees it at its next tick.
            self._bug = task.exception()
        elif not task.cancelled() and job_id not in self._tasks and self._desk.ledger.job(job_id).state in _UNDER_WAY:
            # Asked to stop now, and machine or store do not answer: the machine goes.
            self._abandoned.add((job_id, lease_id))
        self.nudge()

    def _wish_of(self, batch_id: str) -> WishWord:
        batch = self._desk.ledger.batch(batch_id)
        return batch.wish if batch else WishWord.RUN

    async def _cancel(self, job_ids: list[str]) -> None:
        tasks = [self._tasks[job_id] for job_id in job_ids if job_id in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _was_asked_to_stop(attempt: Attempt) -> bool:
    return attempt.state is AttemptState.STOPPED and attempt.reason is AttemptReason.ASKED_TO_STOP


__all__ = ["MAX_ATTEMPTS", "Engine"]
