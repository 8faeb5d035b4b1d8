"""The log as resumable bytes with a long poll, and the preview picture."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from agent.errors import Refusal
from agent.jobs.job import Job
from agent.service import Agent
from framehaul.clock import Clock, wait_for_event
from framehaul.contract import routes

_MOST_BYTES = 1 << 20
_LONGEST_WAIT_S = 30.0
# The worker writes stdout.log by itself, so nothing rings when it grows.
_STDOUT_LOOK_S = 0.5

Stream = Literal["progress", "stdout"]


def log_routes(agent: Agent) -> APIRouter:
    """Tell a job's story as it grows."""
    router = APIRouter()

    @router.get(routes.LOG)
    async def get_log(
        job_id: str,
        stream: Stream = "progress",
        offset: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
        wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)] = 0,
    ) -> Response:
        job = agent.job(job_id)
        path = job.folder.progress_log if stream == "progress" else job.folder.stdout_log
        look_s = _LONGEST_WAIT_S if stream == "progress" else _STDOUT_LOOK_S
        await _wait_for_more(job, path, offset, wait, look_s, agent.clock)
        data, following = await asyncio.to_thread(_read, path, offset)
        return Response(
            data, media_type="text/plain; charset=utf-8", headers={routes.NEXT_OFFSET_HEADER: str(following)}
        )

    @router.get(routes.PREVIEW)
    async def get_preview(job_id: str) -> Response:
        job = agent.job(job_id)
        if not job.folder.preview.is_file():
            raise Refusal(404, "no-preview", "There is no preview yet.", retryable=not job.final)
        return Response(await asyncio.to_thread(job.folder.preview.read_bytes), media_type="image/jpeg")

    return router


async def _wait_for_more(job: Job, path: Path, offset: int, wait_s: float, look_s: float, clock: Clock) -> None:
    until = clock.now() + wait_s
    while True:
        rung = job.bell.next()
        left = until - clock.now()
        # Beyond the end is answered at once: the reader holds an offset of another attempt.
        if job.final or left <= 0 or _size(path) != offset:
            return
        await wait_for_event(clock, rung, min(left, look_s))


def _read(path: Path, offset: int) -> tuple[bytes, int]:
    if offset >= _size(path):
        return b"", _size(path)
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(_MOST_BYTES)
    return data, offset + len(data)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
