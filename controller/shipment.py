"""Carry one job: ship, feed, watch, collect, verify, publish. Every step may be repeated after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from controller.channel import AgentChannel
from controller.collect import collect
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable, ProofFailed
from controller.keepsakes import keep_logs, keep_preview
from controller.ledger import Batch, Job
from controller.ledger.rows import WishWord
from controller.orders import grants_for, sources_of
from controller.publish import publish, read_manifest
from controller.verify import VerifyMode, prove
from framehaul.contract.spec import InputSpec, JobSpec
from framehaul.contract.states import (
    RETRYABLE_ELSEWHERE,
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
)
from framehaul.contract.status import JobView
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import FramehaulError, InputError, NotFound, StoreError
from framehaul.storage.base import Store

MAX_ATTEMPTS = 3
_POLL_S = 0.5
_UNREACHABLE_PAUSE_S = 2.0
_HOLD_PAUSE_S = 10.0
_RENEW_PAUSE_S = 5.0
_MAX_RENEWALS = 3
# An agent that answers, and refuses with "later", is asked again for ten minutes.
_MAX_REFUSALS = 300
_WAITING = frozenset({AttemptState.QUEUED, AttemptState.FETCHING})


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

    async def carry(self) -> None:
        """Bring the job as far as it goes; what fails is written into the ledger, not raised."""
        ledger = self._desk.ledger
        batch = ledger.batch(ledger.job(self._id).batch_id)
        assert batch is not None
        try:
            if self._job.state is JobState.ASSIGNED:
                await self._see_it_delivered(batch)
            if self._job.state in {JobState.DELIVERED, JobState.VERIFIED}:
                await self._holding(lambda: self._prove_and_publish(batch))
                await self._clear()
        except FramehaulError as exc:
            if isinstance(exc, StoreError) and self._wish() is WishWord.NOW:
                self._desk.observer.say(f"{self._job.name}: {exc}")  # left as it is, for `resume`
            else:
                await self._give_up(exc)

    @property
    def _job(self) -> Job:
        return self._desk.ledger.job(self._id)

    async def _see_it_delivered(self, batch: Batch) -> None:
        spec = self._job.spec
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
                    continue
                if isinstance(exc, AgentError) and not exc.retryable and exc.problem.name != "unknown-job":
                    raise
                if self._wish() is WishWord.NOW:
                    return  # nobody waits for an answer any more: the machine goes, the job is planned again
                self._count_refusal(exc)
                # Whether the machine is lost is the fleet's question; it cancels this task once that is proven.
                shipped = False
                await self._desk.clock.sleep(_UNREACHABLE_PAUSE_S)

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
        self._desk.ledger.end_attempt(self._job, AttemptState.STOPPED, AttemptReason.LEASE_ENDED, message)
        asked = self._wish() is not WishWord.RUN
        self._back_to_planned(JobReason.ASKED_TO_STOP if asked else JobReason.LEASE_LOST, message)

    async def _holding(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step while the store cannot take or show the result: the machine is kept, nothing is lost.

        Ended by the lease's deadline, or by a person who wants everything to stop now.
        """
        told = ""
        while True:
            try:
                return await step()
            except (StoreError, OSError) as exc:
                if isinstance(exc, NotFound) and self._job.state is not JobState.ASSIGNED:
                    raise ProofFailed(f"The result is no longer where it was put: {exc}") from exc
                if self._wish() is WishWord.NOW:
                    raise StoreError(f"The result could not be stored: {exc}") from exc
                if str(exc) != told:
                    told = str(exc)
                    self._desk.observer.say(f"{self._job.name}: {told} The result is kept; trying again.")
                await self._desk.clock.sleep(_HOLD_PAUSE_S)

    async def _ship(self, channel: AgentChannel, batch: Batch, spec: JobSpec) -> None:
        view = await channel.put_job(spec)
        if view.grants_generation == 0:
            grants = grants_for(
                spec, sources_of(self._job, batch), self._desk.stores, self._desk.clock.now(), generation=1
            )
            await channel.put_grants(grants)

    async def _renew(self, channel: AgentChannel, batch: Batch, job: Job, view: JobView) -> None:
        """Grant anew what the store no longer takes; when that does not help, the source itself refuses."""
        assert job.spec is not None
        if view.grants_generation > _MAX_RENEWALS:
            await channel.remove_job(self._id, discard=True)
            raise InputError(f"The source refuses to be read: {view.status.message}".strip())
        await self._desk.clock.sleep(_RENEW_PAUSE_S)
        generation = view.grants_generation + 1
        await channel.put_grants(
            grants_for(job.spec, sources_of(job, batch), self._desk.stores, self._desk.clock.now(), generation)
        )

    async def _advance(self, channel: AgentChannel, batch: Batch, view: JobView) -> None:
        job, status = self._job, view.status
        self._desk.observer.on_progress(job, status)
        if status.state not in _WAITING or all(progress.complete for progress in view.inputs.values()):
            self._end_turn()
        if self._should_stop(status.state) and not self._stop_sent:
            await self._stop(channel)
        if status.state in _WAITING and await self._feed(channel, batch, job, view):
            return
        if status.reason is AttemptReason.GRANTS_EXPIRED:
            await self._renew(channel, batch, job, view)
        if status.state in {AttemptState.DELIVERING, AttemptState.DELIVERED} and view.receipt is not None:
            await self._holding(lambda: self._take_home(channel, batch, job, view))
        elif status.state in {AttemptState.FAILED, AttemptState.STOPPED}:
            await self._end_attempt(channel, job, view)
        else:
            await self._desk.clock.sleep(_POLL_S)

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
        receipt, spec = view.receipt, job.spec
        assert receipt is not None
        assert spec is not None
        told = (receipt.job_id, receipt.attempt, receipt.spec_digest)
        if told != (job.id, job.attempt, spec.digest()):
            raise ProofFailed(f"The receipt is of another order than attempt {job.attempt} of {job.id}.")
        if {entry.slot: entry.name for entry in receipt.outputs} != spec.output_names():
            raise ProofFailed("The receipt names other outputs than the order.")
        store, folder = _target(self._desk, batch, job)
        await collect(self._desk, channel, job, receipt, store, folder)
        await keep_logs(self._desk, channel, job)
        if batch.options.get("preview") and view.has_preview:
            await keep_preview(self._desk, channel, job, store, folder)
        self._desk.ledger.end_attempt(job, AttemptState.DELIVERED, AttemptReason.NONE, "")
        moved = self._desk.ledger.move_job(self._id, JobState.DELIVERED, receipt=receipt.model_dump(mode="json"))
        self._desk.observer.on_job(moved)

    async def _prove_and_publish(self, batch: Batch) -> None:
        job = self._job
        store, folder = _target(self._desk, batch, job)
        if job.state is JobState.DELIVERED:
            assert job.receipt is not None
            mode = VerifyMode(batch.options.get("verify", VerifyMode.SAMPLE))
            for entry in job.receipt.outputs:
                await asyncio.to_thread(prove, store, folder.join(entry.name), entry, mode)
            await asyncio.to_thread(read_manifest, job, store, folder)
            self._desk.observer.on_job(self._desk.ledger.move_job(self._id, JobState.VERIFIED))
        await asyncio.to_thread(publish, self._desk, batch, self._job, store, folder)
        self._desk.observer.on_job(self._job)

    async def _clear(self) -> None:
        """Free the machine's disk and the inbox; what this misses goes with the machine."""
        inbox = self._desk.state.inbox(self._id)
        if inbox.is_dir() and not any(inbox.iterdir()):
            inbox.rmdir()
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
            reason = JobReason.ASKED_TO_STOP if status.reason is AttemptReason.ASKED_TO_STOP else JobReason.LEASE_LOST
            self._back_to_planned(reason, status.message)
        elif status.reason in RETRYABLE_ELSEWHERE:  # how often is the engine's question: it knows which tries count
            self._back_to_planned(JobReason.ATTEMPT_FAILED, f"{status.reason}: {status.message}")
        else:
            self._exclude(JobReason.ATTEMPT_FAILED, f"{status.reason}: {status.message}")

    async def _give_up(self, exc: FramehaulError) -> None:
        """A refusal by the agent, a source that vanished, a store that is full: the job's own failure."""
        job = self._job
        if not job.open or job.state is JobState.VERIFIED:
            self._desk.observer.say(f"{job.name}: {exc}")
            return
        if job.state is JobState.DELIVERED and isinstance(exc, ProofFailed):
            # The agent's word is worth nothing against the store's: the work is to be done again.
            await self._clear()
            self._back_to_planned(JobReason.PROOF_FAILED, str(exc))
            return
        if job.state is JobState.ASSIGNED:
            self._desk.ledger.end_attempt(job, AttemptState.FAILED, AttemptReason.DELIVERY_FAILED, str(exc))
            if isinstance(exc, AgentError) and exc.problem.type == "about:blank":
                self._back_to_planned(JobReason.ATTEMPT_FAILED, str(exc))  # not our agent's word: another machine may
                return
        reason = JobReason.PROOF_FAILED if isinstance(exc, ProofFailed) else JobReason.REFUSED
        self._exclude(reason, str(exc))

    def _back_to_planned(self, reason: JobReason, message: str) -> None:
        job = self._desk.ledger.move_job(self._id, JobState.PLANNED, reason, message=message, lease_id=None)
        self._desk.observer.on_job(job)

    def _exclude(self, reason: JobReason, message: str) -> None:
        self._desk.observer.on_job(self._desk.ledger.move_job(self._id, JobState.EXCLUDED, reason, message=message))


def _target(desk: Desk, batch: Batch, job: Job) -> tuple[Store, Uri]:
    root = parse_uri(batch.target)
    return desk.stores.open(root), root.join(job.folder) if job.folder else root
