"""What is kept of a machine that will be gone: a job's logs, and its before/after picture."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import AgentError
from controller.ledger import Job
from controller.state import StateFolder
from framehaul.atomic import write_atomic
from framehaul.contract.routes import LOG_STREAMS
from framehaul.contract.uris import Uri
from framehaul.storage.base import Store

# A machine that is not ours may write for ever; a log is read by a person.
_MAX_LOG_BYTES = 64 << 20


def kept_log(state: StateFolder, job_id: str, attempt: int, stream: str) -> Path:
    """Name the copy of one attempt's log; an earlier version kept one a job."""
    mine, old = state.logs(job_id) / f"{stream}.{attempt}.log", state.logs(job_id) / f"{stream}.log"
    return old if old.exists() and not mine.exists() else mine


async def keep_logs(desk: Desk, channel: AgentChannel, job: Job) -> None:
    """Save both logs; a laptop's disk that refuses them is told, and costs no result."""
    folder = desk.state.logs(job.id)
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        for stream in LOG_STREAMS:
            path = folder / f"{stream}.{job.attempt}.log"
            await asyncio.to_thread(write_atomic, path, await _log(channel, job.id, stream))
    except OSError as exc:
        desk.observer.say(f"{job.name}: its logs could not be kept: {exc}")


async def keep_preview(desk: Desk, channel: AgentChannel, job: Job, store: Store, folder: Uri) -> None:
    """Put the picture beside the result, and remember where. An agent that has none after all costs no result."""
    uri = folder.join(f"{job.outputs[0].name}.preview.jpg")
    try:
        picture = await channel.preview(job.id)
    except AgentError as exc:
        if exc.retryable:
            raise
        desk.observer.say(f"{job.name}: its preview could not be kept: {exc}")
        return
    await asyncio.to_thread(store.put, uri, [picture], replace=True)
    desk.ledger.note_job(job.id, figures={**job.figures, "preview": str(uri)})


async def _log(channel: AgentChannel, job_id: str, stream: str) -> bytes:
    text, offset = bytearray(), 0
    while len(text) < _MAX_LOG_BYTES:
        piece, offset = await channel.log(job_id, stream, offset)
        if not piece:
            break
        text += piece
    return bytes(text)
