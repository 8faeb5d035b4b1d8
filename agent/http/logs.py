"""The log as resumable bytes with a long poll, and the preview picture."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from agent.errors import Refusal
from agent.http.describe import bytes_of, problems
from agent.jobs.job import Job
from agent.service import Agent
from framehaul.clock import Clock, wait_for_event
from framehaul.contract import routes

_MOST_BYTES = 1 << 20
_LONGEST_WAIT_S = 30.0
# The worker writes stdout.log by itself, so nothing rings when it grows.
_STDOUT_LOOK_S = 0.5
_LOG_TYPE = "text/plain; charset=utf-8"
_PICTURE_TYPE = "image/jpeg"


class LogQuery(BaseModel):
    """What GET /jobs/{id}/log may be asked.

    The answer holds bytes from `offset` on, at most 1 MiB, and X-Next-Offset, from where to go on. Bytes, not lines: a
    reader whose connection broke asks again from the last X-Next-Offset that it got, and reads each byte once.

    `wait` holds the answer back (for s seconds at most) until there is a byte beyond `offset`; an attempt that has
    ended answers at once. A negative offset is refused (422). One beyond the end is another attempt's, whose log was
    longer: it is answered at once, without bytes, and X-Next-Offset, smaller than what was asked, names the end. A
    reader who sees that begins at 0 if it wants the story of this attempt.
    """

    model_config = ConfigDict(extra="forbid")

    stream: Literal["progress", "stdout"] = "progress"
    offset: int = Field(0, ge=0, lt=1 << 63)
    wait: float = Field(0, ge=0, le=_LONGEST_WAIT_S)


def log_routes(agent: Agent) -> APIRouter:
    """Tell a job's story as it grows."""
    router = APIRouter()

    @router.get(
        routes.LOG,
        response_class=Response,
        responses=bytes_of(_LOG_TYPE, headers={routes.NEXT_OFFSET_HEADER: "where to go on"}) | problems(404, 422),
    )
    async def get_log(job_id: str, asked: Annotated[LogQuery, Query()]) -> Response:
        job = agent.job(job_id)
        path = job.folder.progress_log if asked.stream == "progress" else job.folder.stdout_log
        look_s = _LONGEST_WAIT_S if asked.stream == "progress" else _STDOUT_LOOK_S
        await _wait_for_more(job, path, asked.offset, asked.wait, look_s, agent.clock)
        data, following = await asyncio.to_thread(_read, path, asked.offset)
        return Response(data, media_type=_LOG_TYPE, headers={routes.NEXT_OFFSET_HEADER: str(following)})

    @router.get(routes.PREVIEW, response_class=Response, responses=bytes_of(_PICTURE_TYPE) | problems(404))
    async def get_preview(job_id: str) -> Response:
        job = agent.job(job_id)
        try:
            picture = await asyncio.to_thread(job.folder.preview.read_bytes)
        except FileNotFoundError as exc:
            raise Refusal(404, "no-preview", "There is no preview yet.", retryable=not job.final) from exc
        return Response(picture, media_type=_PICTURE_TYPE)

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
