"""What a job comes to, whoever carried it: delivered, proven, published; planned again; or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from controller.delivery import revoke, target_of
from controller.desk import Desk
from controller.errors import AgentError, ProofFailed
from controller.ledger import Batch, Job
from controller.ledger.rows import WishWord
from controller.publish import publish, read_manifest
from controller.verify import VerifyMode, prove
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState
from framehaul.errors import AlreadyExists, FramehaulError, NoSuchBucket, NotFound, StoreError

HOLD_PAUSE_S = 10.0
_KEPT = "The result is kept; trying again."
_NOT_STORED = "The result could not be stored"


class Closing:
    """The last steps of one job. Each may be repeated after a crash."""

    def __init__(self, desk: Desk, job_id: str, wish: Callable[[], WishWord]) -> None:
        self._desk = desk
        self._id = job_id
        self._wish = wish
        self._told = ""

    @property
    def job(self) -> Job:
        """Read the job as it is now."""
        return self._desk.ledger.job(self._id)

    @property
    def batch(self) -> Batch:
        """Read its batch."""
        batch = self._desk.ledger.batch(self.job.batch_id)
        assert batch is not None
        return batch

    async def holding(
        self, step: Callable[[], Awaitable[None]], *, meanwhile: str = _KEPT, otherwise: str = _NOT_STORED
    ) -> None:
        """Repeat a step while the store cannot take or show the result: what there is is kept, nothing is lost.

        Ended by the lease's deadline, or by a person who wants everything to stop now.
        """
        while True:
            try:
                return await step()
            except (StoreError, OSError) as exc:
                gone = isinstance(exc, NotFound) and not isinstance(exc, NoSuchBucket)
                if gone and self.job.state is not JobState.ASSIGNED:
                    raise ProofFailed(f"The result is no longer where it was put: {exc}") from exc
                await self.wait_for_store(exc, meanwhile=meanwhile, otherwise=otherwise)

    async def wait_for_store(
        self, exc: StoreError | OSError, *, meanwhile: str = _KEPT, otherwise: str = _NOT_STORED
    ) -> None:
        """Say once what is wrong and let some time pass; StoreError where nobody wants to wait any more."""
        if self._wish() is WishWord.NOW:
            raise StoreError(f"{otherwise}: {exc}") from exc
        if str(exc) != self._told:
            self._told = str(exc)
            self._desk.observer.say(f"{self.job.name}: {self._told} {meanwhile}")
        await self._desk.clock.sleep(HOLD_PAUSE_S)

    def accept(self, receipt: Receipt, message: str = "") -> None:
        """Call the job delivered by this receipt, which was judged before."""
        job = self.job
        self._desk.ledger.end_attempt(job, AttemptState.DELIVERED, AttemptReason.NONE, message)
        moved = self._desk.ledger.move_job(self._id, JobState.DELIVERED, receipt=receipt.model_dump(mode="json"))
        self._desk.observer.on_job(moved)

    async def publish(self) -> None:
        """Prove a delivered job from the store itself, and write its marker last."""
        await self.holding(self._prove_and_publish)
        inbox = self._desk.state.inbox(self._id)
        if inbox.is_dir() and not any(inbox.iterdir()):
            inbox.rmdir()

    async def _prove_and_publish(self) -> None:
        job, batch = self.job, self.batch
        store, folder = await asyncio.to_thread(target_of, self._desk, batch, job)
        assert job.receipt is not None
        await asyncio.to_thread(revoke, self._desk, self._id)
        # What was proven by an earlier command is only looked at: it may have been deleted since.
        mode = VerifyMode(batch.options.get("verify", VerifyMode.SAMPLE))
        mode = mode if job.state is JobState.DELIVERED else VerifyMode.HEAD
        for entry in job.receipt.outputs:
            await asyncio.to_thread(prove, store, folder.join(entry.name), entry, mode)
        if job.state is JobState.DELIVERED:
            await asyncio.to_thread(read_manifest, job, store, folder)
            self._desk.observer.on_job(self._desk.ledger.move_job(self._id, JobState.VERIFIED))
        await asyncio.to_thread(publish, self._desk, batch, self.job, store, folder)
        self._desk.observer.on_job(self.job)

    async def plan_again(self, reason: JobReason, message: str) -> None:
        """Hand the job back, once no earlier attempt can write any more: two must never write one name.

        StoreError where that cannot be had, and nobody wants to wait: then the job is left as it is.
        """
        await self.holding(
            lambda: asyncio.to_thread(revoke, self._desk, self._id),
            meanwhile="Trying again.",
            otherwise="It cannot be handed out again yet",
        )
        job = self._desk.ledger.move_job(self._id, JobState.PLANNED, reason, message=message, lease_id=None)
        self._desk.observer.on_job(job)

    async def exclude(self, reason: JobReason, message: str) -> None:
        """Give the job up; an upload that cannot be aborted now is named, and left to `sweep`."""
        try:
            await asyncio.to_thread(revoke, self._desk, self._id)
        except FramehaulError as exc:
            self._desk.observer.say(f"{self.job.name}: {exc}")
        self._desk.observer.on_job(self._desk.ledger.move_job(self._id, JobState.EXCLUDED, reason, message=message))

    async def give_up(self, exc: FramehaulError, before: Callable[[], Awaitable[None]]) -> None:
        """Judge a failure: the agent refuses, a source vanished, a store is full. `before` frees the machine."""
        try:
            await self._give_up(exc, before)
        except StoreError as trouble:  # everything is to stop now: left as it is, for `resume`
            self._desk.observer.say(f"{self.job.name}: {trouble}")

    async def _give_up(self, exc: FramehaulError, before: Callable[[], Awaitable[None]]) -> None:
        job = self.job
        if isinstance(exc, StoreError) and self._wish() is WishWord.NOW:
            raise exc
        proven_wrong = isinstance(exc, ProofFailed) and job.state in {JobState.DELIVERED, JobState.VERIFIED}
        if not job.open or (job.state is JobState.VERIFIED and not proven_wrong):
            self._desk.observer.say(f"{job.name}: {exc}")
        elif proven_wrong:
            # The agent's word is worth nothing against the store's: the work is to be done again.
            await before()
            await self.plan_again(JobReason.PROOF_FAILED, str(exc))
        elif job.state is JobState.ASSIGNED and isinstance(exc, AgentError) and exc.problem.type == "about:blank":
            self._end_failed(job, exc)
            await self.plan_again(JobReason.ATTEMPT_FAILED, str(exc))  # not our agent's word: another machine may
        elif job.state is JobState.ASSIGNED and isinstance(exc, StoreError) and not isinstance(exc, AlreadyExists):
            await before()
            await self._pause(job, exc)
        else:
            self._end_failed(job, exc)
            reason = JobReason.PROOF_FAILED if isinstance(exc, ProofFailed) else JobReason.REFUSED
            await self.exclude(reason, str(exc))

    async def _pause(self, job: Job, exc: FramehaulError) -> None:
        """Let the whole batch wait: what a store refuses one job (a right, a bucket, room), it would refuse all."""
        ledger = self._desk.ledger
        if ledger.pause(job.batch_id, str(exc)):  # first, or the job would be handed out again at once
            self._desk.observer.say(
                f"{job.batch_id} waits, since a store refuses what it needs: {exc} Then: framehaul resume"
            )
        ledger.end_attempt(job, AttemptState.STOPPED, AttemptReason.ASKED_TO_STOP, str(exc))
        try:
            await asyncio.to_thread(revoke, self._desk, self._id)
        except StoreError as trouble:  # nobody was granted them: `sweep` may end them at any time
            self._desk.observer.say(f"{job.name}: {trouble}")
        moved = ledger.move_job(self._id, JobState.PLANNED, JobReason.REFUSED, message=str(exc), lease_id=None)
        self._desk.observer.on_job(moved)

    def _end_failed(self, job: Job, exc: FramehaulError) -> None:
        if job.state is JobState.ASSIGNED:
            self._desk.ledger.end_attempt(job, AttemptState.FAILED, AttemptReason.DELIVERY_FAILED, str(exc))


def judge_receipt(receipt: Receipt, job: Job) -> None:
    """Refuse the receipt of another order; ProofFailed says in what it differs."""
    assert job.spec is not None
    told = (receipt.job_id, receipt.attempt, receipt.spec_digest)
    if told != (job.id, job.attempt, job.spec.digest()):
        raise ProofFailed(f"The receipt is of another order than attempt {job.attempt} of {job.id}.")
    if {entry.slot: entry.name for entry in receipt.outputs} != job.spec.output_names():
        raise ProofFailed("The receipt names other outputs than the order.")
