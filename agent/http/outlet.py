"""GET of an output, ranged; and the word of whoever fetched it that it has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agent.attempts.delivery import mark_delivered
from agent.errors import Refusal
from agent.http.bodies import body
from agent.http.describe import BODY_STATUSES, bytes_of, heeds, problems, takes
from agent.http.ranges import asked
from agent.jobs.job import Job
from agent.service import Agent
from framehaul.contract import routes
from framehaul.contract.grants import RelayOut
from framehaul.contract.receipt import OutputReceipt
from framehaul.contract.status import JobView, OutputReceived

_READ_BYTES = 1 << 20
_BYTES_TYPE = "application/octet-stream"


def outlet_routes(agent: Agent) -> APIRouter:
    """Give outputs to whoever holds the lease."""
    router = APIRouter()

    @router.get(
        routes.OUTPUT,
        response_class=Response,
        responses=bytes_of(_BYTES_TYPE, headers={"ETag": "the sha256"})
        | bytes_of(_BYTES_TYPE, 206, {"ETag": "the sha256", "Content-Range": "which bytes"})
        | problems(404, 409, 416),
        openapi_extra=heeds("Range", "If-Range"),
    )
    async def get_output(job_id: str, slot: str, request: Request) -> Response:
        job = agent.job(job_id)
        output = _relayed(job, slot)
        etag = f'"{output.sha256}"'
        # If-Range: who goes on with a download must go on with the same bytes.
        same = request.headers.get("if-range", etag) == etag
        span = asked(request.headers.get("range"), output.size) if same else None
        start, end = span or (0, output.size)
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
        if span:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{output.size}"
        return StreamingResponse(
            _stream(job.output_path(slot), start, end),
            206 if span else 200,
            headers=headers,
            media_type=_BYTES_TYPE,
        )

    @router.post(
        routes.OUTPUT_RECEIVED,
        responses=problems(*BODY_STATUSES, 404, 409, 507),
        openapi_extra=takes(OutputReceived),
    )
    async def received(
        job_id: str, slot: str, found: Annotated[OutputReceived, Depends(body(OutputReceived))]
    ) -> JobView:
        job = agent.job(job_id)
        output = _relayed(job, slot)
        if (found.size, found.sha256) != (output.size, output.sha256):
            sentence = f"{slot} has {output.size} bytes with sha256 {output.sha256}; something else arrived."
            raise Refusal(409, "digest-differs", sentence, retryable=True, advice="Fetch it again from the start.")
        mark_delivered(job, slot)
        return job.view()

    return router


def _relayed(job: Job, slot: str) -> OutputReceipt:
    """Find the receipt's entry of a slot that is delivered by this route."""
    if slot not in job.spec.output_names():
        raise Refusal(404, "unknown-slot", f"The order names no output slot {slot!r}.")
    if job.receipt is None:
        sentence = f"The attempt is {job.status.state}; its outputs are not ready."
        raise Refusal(409, "not-ready", sentence, retryable=not job.final)
    if job.grants is None or not isinstance(job.grants.outputs[slot], RelayOut):
        raise Refusal(409, "not-relayed", f"{slot} is delivered elsewhere: see the receipt.")
    return job.receipt.output(slot)


async def _stream(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, start)
        left = end - start
        while left and (data := await asyncio.to_thread(file.read, min(left, _READ_BYTES))):
            left -= len(data)
            yield data
    finally:
        file.close()
