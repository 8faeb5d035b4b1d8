"""Hand over what was computed: manifest, receipt, the outputs themselves, and last the sentinel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.attempts.outbox import Outbox, uploads
from agent.attempts.receipts import same_places, write_proofs
from agent.errors import AttemptFailed, is_disk_full
from agent.jobs.job import Job
from agent.jobs.journal import DELIVERED
from framehaul.atomic import sync_folder, write_atomic
from framehaul.clock import Clock
from framehaul.contract.grants import FileOut, RelayOut
from framehaul.contract.receipt import Sentinel
from framehaul.contract.states import AttemptReason, AttemptState

_log = logging.getLogger(__name__)

_DELIVERING = AttemptState.DELIVERING


async def deliver(job: Job, clock: Clock, outbox: Outbox, receipt_copy: Path | None) -> None:
    """Deliver every slot; returns when the last one has arrived, however long its store or its fetcher takes."""
    await asyncio.to_thread(clear_intermediates, job)
    if not job.computed() and (job.receipt is None or uploads(job, undelivered(job))):
        raise AttemptFailed(AttemptReason.DELIVERY_FAILED, "The outputs are gone from the disk.")
    proving = asyncio.create_task(_prove(job, clock, receipt_copy))

    async def proved() -> None:
        await asyncio.shield(proving)

    try:
        await _hand_over(job, outbox, proved)
    except Exception:
        # Its thread cannot be ended, and one that begins beside it would write another receipt.
        await asyncio.wait({proving})
        raise
    finally:
        proving.cancel()
        await asyncio.gather(proving, return_exceptions=True)
    await asyncio.to_thread(drop_placed, job)


async def _prove(job: Job, clock: Clock, receipt_copy: Path | None) -> None:
    """Write manifest and receipt, unless an earlier agent did; uploads need them only for their last step."""
    if job.receipt is None:
        await asyncio.to_thread(write_proofs, job, clock)
        if receipt_copy:
            await asyncio.to_thread(_copy_receipt, job, receipt_copy)


def _copy_receipt(job: Job, target: Path) -> None:
    """Leave a copy for whoever started us, readable for this user alone; it costs no result where that fails."""
    try:
        write_atomic(target, job.folder.receipt.read_bytes(), mode=0o600)
    except OSError as exc:
        _log.warning("job %s: no copy of the receipt in %s: %s", job.spec.job_id, target, exc.strerror)


async def _hand_over(job: Job, outbox: Outbox, proved: Callable[[], Awaitable[None]]) -> None:
    while not job.final:
        await outbox.empty(job, lambda: undelivered(job), proved, lambda slot: mark_delivered(job, slot))
        await proved()
        rung = job.bell.next()
        same_places(job)
        await _place_files(job)
        if not settle(job) and not uploads(job, undelivered(job)):
            job.move(_DELIVERING, AttemptReason.WAITING_FOR_PICKUP)
            await rung.wait()


def undelivered(job: Job) -> set[str]:
    """Name the slots that have not arrived yet; the receipt's own is among them where it is uploaded too."""
    granted = set(job.grants.outputs) if job.grants else set()
    return (granted | set(job.spec.output_names())) - job.journal.slots(DELIVERED)


def mark_delivered(job: Job, slot: str) -> None:
    """Note that a slot has arrived, and end the attempt when it was the last one. Idempotent."""
    if slot in undelivered(job):
        job.journal.add(DELIVERED, slot=slot)
        job.note(f"{slot} has arrived", stage="deliver")
    settle(job)


def settle(job: Job) -> bool:
    """Write the sentinel and call the attempt delivered once nothing is left to deliver."""
    if job.final:
        return True
    if job.receipt is None or undelivered(job):
        return False
    sentinel = Sentinel(job_id=job.spec.job_id, attempt=job.spec.attempt, receipt_sha256=job.receipt.digest())
    write_atomic(job.folder.sentinel, sentinel.canonical())
    job.move(AttemptState.DELIVERED)
    return True


async def _place_files(job: Job) -> None:
    assert job.grants is not None
    for slot in sorted(undelivered(job)):
        grant = job.grants.outputs[slot]
        if isinstance(grant, FileOut):
            try:
                await asyncio.to_thread(_put, job.output_path(slot), Path(grant.path))
            except OSError as exc:
                if is_disk_full(exc):
                    raise
                sentence = f"{grant.path} could not be written: {exc.strerror}."
                raise AttemptFailed(AttemptReason.DELIVERY_FAILED, sentence) from exc
            mark_delivered(job, slot)


def _put(source: Path, target: Path) -> None:
    """Make the file appear whole; a link where both lie on one disk, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{source.stat().st_ino}.framehaul.tmp")
    draft.unlink(missing_ok=True)
    try:
        _link_or_copy(source, draft)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _link_or_copy(source: Path, draft: Path) -> None:
    try:
        os.link(source, draft)
    except OSError:
        shutil.copyfile(source, draft)


def drop_placed(job: Job) -> None:
    """Free what lies elsewhere by now; relayed outputs stay until their job is deleted. Idempotent."""
    granted = job.grants.outputs if job.grants else {}
    for slot in job.spec.output_names():
        if not isinstance(granted.get(slot, RelayOut()), RelayOut):
            job.output_path(slot).unlink(missing_ok=True)


def clear_intermediates(job: Job) -> None:
    """Free what nobody needs once the outputs are made."""
    _empty(job.folder.inputs)
    _empty(job.folder.parts)


def clear_leftovers(job: Job) -> None:
    """Free what an attempt leaves that has failed or was stopped.

    Half an output goes too. A whole one stays: what was being delivered, or what the journal vouches for, may have
    failed by our bookkeeping alone.
    """
    clear_intermediates(job)
    if job.status.state is not _DELIVERING and not job.computed():
        _empty(job.folder.outputs)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # a full disk has no room for a folder either, and nobody needs this one now
        folder.mkdir(exist_ok=True)
