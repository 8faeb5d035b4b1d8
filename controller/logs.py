"""Read a job's log: from its machine while that lives, from the copy on the laptop afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable, ConfigError
from controller.ledger import Job, Ledger
from controller.providers.base import Provider
from framehaul.contract.states import JobState

_LONG_POLL_S = 20.0


def find_job(ledger: Ledger, text: str) -> Job:
    """Find a job by its id, the end of its id, or its input's name; the latest of several."""
    jobs = ledger.jobs()
    found = [job for job in jobs if text in (job.id, job.name) or job.id.endswith(text)]
    if not found:
        raise ConfigError(f"The ledger knows no job {text!r}.", advice="List them: framehaul ps --all.")
    return found[-1]


async def follow(desk: Desk, provider: Provider, job: Job, stream: str, *, keep_on: bool) -> AsyncIterator[bytes]:
    """Give the log from its first byte; with `keep_on` until the job is over, or nobody works on it any more."""
    offset = 0
    while True:
        was, job = job, desk.ledger.job(job.id)
        if job.attempt != was.attempt:
            offset = 0  # another attempt writes another log
        at_work = desk.state.is_locked()
        piece, offset = await _next(desk, provider, job, stream, offset, keep_on=keep_on)
        if piece:
            yield piece
        elif not keep_on or not at_work or not (_on_its_way(job) or job.state is JobState.PLANNED):
            return
        else:
            await desk.clock.sleep(1.0)


async def _next(
    desk: Desk, provider: Provider, job: Job, stream: str, offset: int, *, keep_on: bool
) -> tuple[bytes, int]:
    """Read on from an offset: from the kept copy, else from the machine."""
    kept = desk.state.logs(job.id) / f"{stream}.log"
    if not _on_its_way(job) and kept.exists():
        text = kept.read_bytes()[offset:]
        return text, offset + len(text)
    try:
        return await _from_agent(desk, provider, job, stream, offset, _LONG_POLL_S if keep_on else 0.0)
    except (AgentUnreachable, AgentError):
        return b"", offset


async def _from_agent(
    desk: Desk, provider: Provider, job: Job, stream: str, offset: int, wait_s: float
) -> tuple[bytes, int]:
    if job.lease_id is None:
        return b"", offset
    lease = desk.ledger.lease(job.lease_id)
    for instance in await provider.instances():
        if instance.label == lease.label and instance.address is not None:
            async with AgentChannel(instance.address, lease.secret) as channel:
                return await channel.log(job.id, stream, offset, wait_s=wait_s)
    return b"", offset


def _on_its_way(job: Job) -> bool:
    return job.state is JobState.ASSIGNED
