"""Bring a relayed output home: from the agent's route into the inbox, checked, then into the store as a whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import ProofFailed
from controller.ledger import Job
from controller.verify import VerifyMode, prove
from framehaul.contract.receipt import ChunkHasher, OutputReceipt, Receipt
from framehaul.contract.states import AttemptState
from framehaul.contract.uris import Uri
from framehaul.errors import AlreadyExists
from framehaul.storage.base import Store

_READ_BYTES = 1 << 20
_MORE_TRIES = 2
_MOVE_IT = "Move it away."


async def collect(desk: Desk, channel: AgentChannel, job: Job, receipt: Receipt, store: Store, folder: Uri) -> None:
    """Fetch every output, put it, and tell the agent; each step may be repeated after a crash."""
    desk.ledger.note_receipt(job, receipt)  # before the first put: what we put is known as ours ever after
    for entry in receipt.outputs:
        target = folder.join(entry.name)
        if not await asyncio.to_thread(_already_there, store, target, entry):
            path = await _fetch(desk, channel, job, entry)
            await asyncio.to_thread(_put, desk, job, store, target, path, entry)
        await channel.received(job.id, entry)


def _is_ours(desk: Desk, job: Job, entry: OutputReceipt, store: Store, target: Uri) -> bool:
    """Say whether an earlier attempt at this job put what lies there, whole, or damaged since."""
    for attempt in desk.ledger.attempts(job.id):
        if attempt.attempt >= job.attempt or attempt.receipt is None:
            continue
        for old in attempt.receipt.outputs:
            delivered = attempt.state is AttemptState.DELIVERED
            if old.name == entry.name and (delivered or _holds(store, target, old)):
                return True
    return False


async def _fetch(desk: Desk, channel: AgentChannel, job: Job, entry: OutputReceipt, tries: int = _MORE_TRIES) -> Path:
    inbox = desk.state.inbox(job.id)
    await asyncio.to_thread(inbox.mkdir, parents=True, exist_ok=True)
    # Named by content, so that an earlier attempt's half is never continued with a later one's bytes.
    path = inbox / f"{entry.sha256}.part"
    have = path.stat().st_size if path.exists() else 0
    if have < entry.size:
        async with channel.output(job.id, entry.slot, have) as pieces:
            with path.open("ab") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
                    have += len(piece)
                    if have > entry.size:
                        break  # no more than was promised, and paid for in disk
                    desk.observer.on_transfer(job, f"fetching {entry.name}", have, entry.size)
    elif entry.size == 0:
        path.touch()
    try:
        await asyncio.to_thread(_check, path, entry)
    except ProofFailed:
        if tries == 0:
            raise
        return await _fetch(desk, channel, job, entry, tries - 1)  # once more, from nothing: the machine has it still
    return path


def _check(path: Path, entry: OutputReceipt) -> None:
    hasher = ChunkHasher(entry.chunk_bytes)
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            hasher.update(piece)
    if hasher.receipt(entry.slot, entry.name, entry.uri).sha256 != entry.sha256:
        path.unlink()  # the next try starts from nothing
        raise ProofFailed(f"{entry.name} arrived damaged: it is not what the receipt says.")


def _put(desk: Desk, job: Job, store: Store, target: Uri, path: Path, entry: OutputReceipt) -> None:
    try:
        store.put(target, path)
    except AlreadyExists as exc:
        if not _is_ours(desk, job, entry, store, target):
            # Not a failed proof: the result is whole, and waits until its place is free.
            raise AlreadyExists(f"Something else lies at {target}, and is not replaced.", advice=_MOVE_IT) from exc
        store.put(target, path, replace=True)  # ours, from a machine that was lost before all of it was home
    path.unlink(missing_ok=True)


def _already_there(store: Store, target: Uri, entry: OutputReceipt) -> bool:
    """Say whether a run before a crash put exactly this."""
    return next(iter(store.list(target)), None) is not None and _holds(store, target, entry)


def _holds(store: Store, target: Uri, entry: OutputReceipt) -> bool:
    try:
        prove(store, target, entry, VerifyMode.FULL)
    except ProofFailed:
        return False
    return True
