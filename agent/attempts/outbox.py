"""Carry what can be uploaded into the store: the outputs, then the manifest, then the receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.attempts.answers import Refused
from agent.attempts.parts import Tally
from agent.attempts.patience import until_renewed
from agent.attempts.storeline import StoreClient, Superseded
from agent.attempts.upload import SlotUpload
from agent.jobs.job import Job
from framehaul.clock import Clock
from framehaul.contract.grants import MultipartPut
from framehaul.contract.spec import MANIFEST_SLOT, RECEIPT_SLOT
from framehaul.contract.states import AttemptReason

_STAGE = "deliver"
_PROOFS = (MANIFEST_SLOT, RECEIPT_SLOT)


class Outbox:
    """Upload slots by `multipart-put` grants, and wait where only other grants can help. Never gives up by itself."""

    def __init__(self, store: StoreClient, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def empty(
        self,
        job: Job,
        undelivered: Callable[[], set[str]],
        proved: Callable[[], Awaitable[None]],
        arrived: Callable[[str], None],
    ) -> None:
        """Return when every slot that the newest grants want uploaded has arrived."""
        while slots := uploads(job, undelivered()):
            if job.status.stage != _STAGE:
                job.begin_stage(_STAGE, "bytes")
            generation = job.grants.generation if job.grants else 0
            tally = _tally(job, slots)
            try:
                for slot in slots:
                    if slot in _PROOFS:
                        await proved()
                    await SlotUpload(self._store, job, slot, _path(job, slot), tally, proved).run()
                    arrived(slot)
            except Superseded:
                continue
            except Refused as exc:
                await self._until_renewed(job, generation, str(exc))

    async def _until_renewed(self, job: Job, generation: int, message: str) -> None:
        job.explain(AttemptReason.GRANTS_EXPIRED, f"{message} The result stays on this machine.")
        if await until_renewed(self._clock, job, generation):
            job.explain()  # a controller is not waited for any more


def uploads(job: Job, undelivered: set[str]) -> list[str]:
    """List the slots that are to be uploaded, in the order in which they go: what proves the others comes last."""
    granted = job.grants.outputs if job.grants else {}
    order = [*(output.slot for output in job.spec.outputs), *_PROOFS]
    return [slot for slot in order if slot in undelivered and isinstance(granted.get(slot), MultipartPut)]


def _path(job: Job, slot: str) -> Path:
    return job.folder.receipt if slot == RECEIPT_SLOT else job.output_path(slot)


def _tally(job: Job, waiting: list[str]) -> Tally:
    """Begin to count, with what has arrived before; manifest and receipt join once they are written."""
    tally = Tally(job)
    for slot in uploads(job, set(job.grants.outputs) if job.grants else set()):
        path = _path(job, slot)
        if path.exists():
            tally.expect(slot, path.stat().st_size, arrived=slot not in waiting)
    return tally
