"""Move objects one after another, in a process of its own, and print what the last one took.

`bench.transfer` starts it, with the words as JSON on standard input. The first object is small: an agent, as boto3's
client, is warm when the second job comes, with its connections' certificates read and its code imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from agent.attempts.delivery import deliver
from agent.attempts.inputs import Inputs
from agent.attempts.outbox import Outbox
from agent.attempts.room import Room
from agent.attempts.storeline import StoreClient
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED
from agent.jobs.store import JobStore
from bench.rclone import BUCKET, client
from framehaul.clock import SystemClock
from framehaul.contract.grants import GrantSet
from framehaul.contract.spec import JobSpec
from framehaul.contract.states import AttemptState
from framehaul.contract.wire import Json

WORKS = ("boto3-down", "agent-down", "boto3-up", "agent-up")
_STALL_S = 60.0
_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Words:
    """What to move: `path` is the file that is read or written, `folder` the agent's home."""

    work: str
    path: str
    endpoint: str = ""
    key: str = ""
    folder: str = ""
    spec: str = ""
    grants: str = ""


@dataclass
class Taken:
    """What one transfer took; `growth_bytes` is the peak of resident memory over what it was before."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    growth_bytes: int | None = None


@contextmanager
def clocked() -> Iterator[Taken]:
    """Measure the block."""
    taken = Taken()
    before = _resident("VmRSS")
    if _RESET_PEAK.exists():
        _RESET_PEAK.write_text("5")  # the peak from now on: man 5 proc
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    yield taken
    taken.cpu_s, taken.wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    peak = _resident("VmHWM")
    taken.growth_bytes = None if before is None or peak is None else peak - before


async def boto3_down(several: Sequence[Words]) -> Taken:
    """Let boto3 fetch."""
    store = client(several[0].endpoint)
    for words in several:
        with clocked() as taken:
            store.download_file(BUCKET, words.key, words.path)
    return taken


async def boto3_up(several: Sequence[Words]) -> Taken:
    """Let boto3 send."""
    store = client(several[0].endpoint)
    for words in several:
        with clocked() as taken:
            store.upload_file(words.path, BUCKET, words.key)
    return taken


async def agent_down(several: Sequence[Words]) -> Taken:
    """Bring inputs as the agent does, from the presigned address to the file in its place."""
    with httpx.Client(timeout=_STALL_S, follow_redirects=True) as http:
        for words in several:
            job, clock = _job(words), SystemClock()
            inputs = Inputs(http, clock, Room(tuple, clock))
            async with AsyncExitStack() as ahead:
                with clocked() as taken:
                    await inputs.bring(job, ahead)
            job.input_path("source").replace(words.path)
    return taken


async def agent_up(several: Sequence[Words]) -> Taken:
    """Deliver outputs as the agent does: hashed, sent in parts, with manifest and receipt, until all is settled."""
    async with httpx.AsyncClient(timeout=_STALL_S) as http:
        clock = SystemClock()
        outbox = Outbox(StoreClient(http, clock, _STALL_S), clock)
        for words in several:
            job = _computed(words)
            with clocked() as taken:
                await deliver(job, clock, outbox, None)
    return taken


def _computed(words: Words) -> Job:
    """Make a job whose output was just computed."""
    job = _job(words)
    output = job.output_path("result")
    os.link(words.path, output)
    for state in (AttemptState.FETCHING, AttemptState.RUNNING):
        job.move(state)
    facts: dict[str, Json] = {"environment": {}, "stage_seconds": {}, "details": {}}
    job.journal.add(COMPUTED, outputs={"result": output.stat().st_size}, started_at=0.0, finished_at=0.0, **facts)
    job.move(AttemptState.DELIVERING)
    return job


def _job(words: Words) -> Job:
    store = JobStore(Path(words.folder), SystemClock())
    store.scan()
    job = store.create(JobSpec.model_validate_json(words.spec))
    job.accept_grants(GrantSet.model_validate_json(words.grants))
    return job


def _resident(which: str) -> int | None:
    if not _STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[which].split()[0]) << 10


def main() -> None:
    """Do what standard input says: first the small ones, which warm up, then the one that counts."""
    several = [Words(**words) for words in json.load(sys.stdin)]
    works = {"boto3-down": boto3_down, "agent-down": agent_down, "boto3-up": boto3_up, "agent-up": agent_up}
    print(json.dumps(asdict(asyncio.run(works[several[0].work](several)))))


if __name__ == "__main__":
    main()
