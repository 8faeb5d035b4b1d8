"""Carry one job: ship, feed, watch, collect, verify, publish. Every step may be repeated after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from controller.channel import AgentChannel
from controller.closing import Closing, judge_receipt
from controller.collect import collect
from controller.delivery import Delivery, target_of
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable
from controller.keepsakes import keep_logs, keep_preview
from controller.ledger import Batch, Job
from controller.ledger.rows import WishWord
from controller.orders import sources_of
from controller.permits import Permits
from framehaul.contract.spec import InputSpec, JobSpec
from framehaul.contract.states import (
    RETRYABLE_ELSEWHERE,
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
    LeaseReason,
    LeaseState,
)
from framehaul.contract.status import JobView
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError, InputError, StoreError

MAX_ATTEMPTS = 3
_POLL_S = 0.5
_UNREACHABLE_PAUSE_S = 2.0
# An agent that answers, and refuses with "later", is asked again for ten minutes.
_MAX_REFUSALS = 300
_WAITING = frozenset({AttemptState.QUEUED, AttemptState.FETCHING})
_ENDED = frozenset({AttemptState.FAILED, AttemptState.STOPPED})
# What keeps an agent from delivering, and is not its own work.
_HELD_UP = frozenset({AttemptReason.STORE_UNAVAILABLE, AttemptReason.GRANTS_EXPIRED})


class Shipment:
    """One job on its way. `carry` returns when the job needs this lease no more.

    `turn` is shared by the jobs of one machine: they are shipped and fed one after another, in their order, so that
    the first one starts as early as it can.
    """

    def __init__(
        self,
        desk: Desk,
        job_id: str,
        channel: Callable[[], AgentChannel | None],
        wish: Callable[[], WishWord],
        turn: asyncio.Lock,
    ) -> None:
        self._desk = desk
        self._id = job_id
        self._channel = channel
        self._wish = wish
        self._turn = turn
        self._my_turn = False
        self._stop_sent = False
        self._refusals = 0
        self._closing = Closing(desk, job_id, wish)
        self._permits = Permits(desk, job_id)

    async def carry(self) -> None:
        """Bring the job as far as it goes; what fails is written into the ledger, not raised."""
        try:
            if self._job.state is JobState.ASSIGNED:
                await self._see_it_delivered()
            if self._job.state in {JobState.DELIVERED, JobState.VERIFIED}:
                await self._closing.publish()
                await self._clear()
        except FramehaulError as exc:
            await self._closing.give_up(exc, before=self._clear)

    @property
    def _job(self) -> Job:
        return self._closing.job

    async def _see_it_delivered(self) -> None:
        batch, spec = self._closing.batch, self._job.spec
        assert spec is not None
        await self._turn.acquire()
        self._my_turn = True
        try:
            await self._until_delivered(batch, spec)
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._my_turn:
            self._my_turn = False
            self._turn.release()

    async def _until_delivered(self, batch: Batch, spec: JobSpec) -> None:
        shipped = False
        while self._job.state is JobState.ASSIGNED:
            channel = self._channel()
            try:
                if channel is None:
                    raise AgentUnreachable("The machine is not ready.")
                if not shipped:
                    await self._ship(channel, batch, spec)
                    shipped = True
                await self._advance(channel, batch, await channel.job(self._id))
            except (AgentUnreachable, AgentError) as exc:
                if isinstance(exc, AgentError) and exc.problem.name == "draining":
                    await self._plan_again(str(exc))
                    return
                if isinstance(exc, AgentError) and not exc.retryable and exc.problem.name != "unknown-job":
                    raise
                if self._wish() is WishWord.NOW:
                    return  # nobody waits for an answer any more: the machine goes, the job is planned again
                self._count_refusal(exc)
                # Whether the machine is lost is the fleet's question; it cancels this task once that is proven.
                shipped = False
                await self._desk.clock.sleep(_UNREACHABLE_PAUSE_S)
            except StoreError as exc:
                if self._wish() is WishWord.NOW or not (exc.retryable or self._may_deliver()):
                    raise  # where nothing was granted nothing is lost: waiting would cost the machine's hours
                await self._closing.wait_for_store(exc, meanwhile="Trying again.")

    def _may_deliver(self) -> bool:
        """Say whether the agent may write already; of one that was not asked yet, by what there is of uploads."""
        granted = self._permits.granted
        return bool(self._desk.ledger.open_uploads(self._id)) if granted is None else granted

    def _count_refusal(self, exc: AgentUnreachable | AgentError) -> None:
        """Say a refusal once, and take the one for final that lasts; silence is not counted here."""
        if isinstance(exc, AgentUnreachable) or exc.problem.name == "unknown-job":
            return
        self._refusals += 1
        if self._refusals == 1:
            self._desk.observer.say(f"{self._job.name}: {exc} Trying again.")
        if self._refusals > _MAX_REFUSALS:
            raise exc

    async def _plan_again(self, message: str) -> None:
        """Take back an order that its agent did not take, because it drains: the job itself is fine."""
        await self._desk.clock.sleep(_UNREACHABLE_PAUSE_S)
        asked = self._wish() is not WishWord.RUN
        why = AttemptReason.ASKED_TO_STOP if asked else AttemptReason.LEASE_ENDED
        self._desk.ledger.end_attempt(self._job, AttemptState.STOPPED, why, message)
        self._let_its_machine_go()
        await self._closing.plan_again(JobReason.ASKED_TO_STOP if asked else JobReason.LEASE_LOST, message)

    def _let_its_machine_go(self) -> None:
        """Hand out nothing to this machine any more: its agent stops by itself, and would refuse the next job too."""
        lease = self._desk.ledger.lease(self._job.lease_id or "")
        if lease.state is LeaseState.READY:
            self._desk.observer.on_lease(self._desk.ledger.move_lease(lease.id, LeaseState.DRAINING, LeaseReason.LOST))

    async def _ship(self, channel: AgentChannel, batch: Batch, spec: JobSpec) -> None:
        delivery = await asyncio.to_thread(Delivery, self._desk, batch, self._job)
        await asyncio.to_thread(delivery.check_places)
        await self._permits.grant(channel, delivery, await channel.put_job(spec))
        if all(parse_uri(source).scheme != "file" for source in sources_of(self._job, batch).values()):
            self._end_turn()  # it is fed by others: the next one need not wait for that

    async def _advance(self, channel: AgentChannel, batch: Batch, view: JobView) -> None:
        job, status = self._job, view.status
        self._desk.observer.on_progress(job, status)
        if status.state not in _WAITING or all(progress.complete for progress in view.inputs.values()):
            self._end_turn()
        if self._should_stop(status.state) and not self._stop_sent:
            await self._stop(channel)
        if status.state in _WAITING and await self._feed(channel, batch, job, view):
            return
        if status.state in _ENDED:
            await self._end_attempt(channel, job, view)
        elif self._permits.delivered(view):
            await self._closing.holding(lambda: self._take_home(channel, batch, job, view))
        else:
            self._judge_delay(view)
            await self._permits.renew(channel, view)
            await self._desk.clock.sleep(_POLL_S)

    def _judge_delay(self, view: JobView) -> None:
        """Let go of a result that cannot be stored when everything is to stop now; StoreError says so."""
        status = view.status
        stuck = status.state is AttemptState.DELIVERING and status.reason in _HELD_UP
        if stuck and self._wish() is WishWord.NOW and not self._permits.may_help(view):
            raise StoreError(f"The result could not be stored: {status.message or status.reason}".strip())

    async def _stop(self, channel: AgentChannel) -> None:
        self._stop_sent = True
        try:
            await channel.remove_job(self._id)
        except AgentError as exc:
            if exc.problem.name not in {"undelivered", "unknown-job"}:
                raise
            # It was finished in the meantime: the next view shows a result, and that is taken home.

    def _should_stop(self, state: AttemptState) -> bool:
        wish = self._wish()
        if wish is WishWord.NOW:
            return state in _WAITING or state is AttemptState.RUNNING
        return wish is WishWord.DRAIN and state in _WAITING

    async def _feed(self, channel: AgentChannel, batch: Batch, job: Job, view: JobView) -> bool:
        """Send the next span of an input that comes through the laptop; True when something was sent."""
        assert job.spec is not None
        for entry in job.spec.inputs:
            uri, progress = parse_uri(sources_of(job, batch)[entry.slot]), view.inputs.get(entry.slot)
            if uri.scheme == "file" and progress is not None and not progress.complete and not self._stop_sent:
                return await self._send(channel, job, entry, Path(uri.key), progress.received)
        return False

    async def _send(self, channel: AgentChannel, job: Job, entry: InputSpec, path: Path, offset: int) -> bool:
        total = entry.size or 0
        self._desk.observer.on_transfer(job, f"sending {entry.name}", offset, total)
        try:
            await channel.put_input(self._id, entry.slot, path, offset=offset, total=total)
        except OSError as exc:
            raise InputError(f"{path} cannot be read any more: {exc.strerror or exc}.") from exc
        except AgentError as exc:
            if exc.problem.name not in {"wrong-offset", "busy"}:
                raise
            return False  # somebody else's bytes, or ours from before: the next view says how many
        return True

    async def _take_home(self, channel: AgentChannel, batch: Batch, job: Job, view: JobView) -> None:
        receipt, delivery = view.receipt, self._permits.delivery
        assert receipt is not None
        judge_receipt(receipt, job)
        store, folder = await asyncio.to_thread(target_of, self._desk, batch, job)
        if delivery.by_agent:
            self._desk.ledger.note_receipt(job, receipt)
        else:
            await collect(self._desk, channel, job, receipt, store, folder)
        await keep_logs(self._desk, channel, job)
        if batch.options.get("preview") and view.has_preview:
            await keep_preview(self._desk, channel, job, store, folder)
        self._closing.accept(receipt)

    async def _clear(self) -> None:
        """Free the machine's disk; what this misses goes with the machine."""
        channel = self._channel()
        if channel is not None:
            try:
                await channel.remove_job(self._id)
            except (AgentError, AgentUnreachable) as exc:
                self._desk.ledger.tell(self._id, f"could not be cleared from its machine: {exc}")

    async def _end_attempt(self, channel: AgentChannel, job: Job, view: JobView) -> None:
        status = view.status
        await keep_logs(self._desk, channel, job)
        self._desk.ledger.end_attempt(job, status.state, status.reason, status.message)
        if status.state is AttemptState.STOPPED:
            asked = status.reason is AttemptReason.ASKED_TO_STOP and (
                self._stop_sent or self._wish() is not WishWord.RUN
            )
            if not asked:
                self._let_its_machine_go()
            await self._closing.plan_again(JobReason.ASKED_TO_STOP if asked else JobReason.LEASE_LOST, status.message)
        elif status.reason in RETRYABLE_ELSEWHERE:  # how often is the engine's question: it knows which tries count
            await self._closing.plan_again(JobReason.ATTEMPT_FAILED, f"{status.reason}: {status.message}")
        else:
            await self._closing.exclude(JobReason.ATTEMPT_FAILED, f"{status.reason}: {status.message}")
