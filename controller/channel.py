"""Speak to one agent over HTTPS, with the certificate and the token that its lease secret gives."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from controller.errors import AgentError, AgentUnreachable
from framehaul.contract import routes
from framehaul.contract.grants import GrantSet
from framehaul.contract.lease_secret import SERVER_NAME, LeaseSecret
from framehaul.contract.problem import Problem
from framehaul.contract.receipt import OutputReceipt
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import Health, Info, JobView, LeaseOrder, LeaseView, OutputReceived
from framehaul.errors import InputError

M = TypeVar("M", bound=BaseModel)

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# The fleet asks one machine after another: a frozen one must not hold up the rest for long.
_SHORT = httpx.Timeout(5.0)
_PIECE_BYTES = 1 << 20
# One PUT carries at most this much of an input, so that a broken connection costs little.
_INPUT_SPAN_BYTES = 64 << 20


class AgentChannel:
    """One agent, addressed. Every call raises AgentError (it answered) or AgentUnreachable (it did not)."""

    def __init__(
        self, address: tuple[str, int], secret: LeaseSecret, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        host, port = address
        self._client = httpx.AsyncClient(
            base_url=f"https://{host}:{port}",
            headers={"Authorization": f"Bearer {secret.token}"},
            verify=pinned_context(secret),
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=False,  # a proxy of the user's has no business between us and a pinned certificate
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def health(self) -> Health:
        """Ask whether it can take work."""
        return _read(Health, await self._call("GET", routes.HEALTH, timeout=_SHORT))

    async def info(self) -> Info:
        """Ask what it is."""
        return _read(Info, await self._call("GET", routes.INFO))

    async def put_job(self, spec: JobSpec) -> JobView:
        """Ship the order; shipping twice is shipping once."""
        return _read(JobView, await self._call("PUT", _job(routes.JOB, spec.job_id), content=spec.canonical()))

    async def put_grants(self, grants: GrantSet) -> None:
        """Replace the grants of a job by a later generation."""
        await self._call("PUT", _job(routes.GRANTS, grants.job_id), content=grants.canonical())

    async def job(self, job_id: str) -> JobView:
        """Ask how a job stands."""
        return _read(JobView, await self._call("GET", _job(routes.JOB, job_id)))

    async def remove_job(self, job_id: str, *, discard: bool = False) -> None:
        """Stop a job that runs, forget one that ended; results that nobody fetched go only with `discard`."""
        query = {"discard": "true"} if discard else {}
        await self._call("DELETE", _job(routes.JOB, job_id), params=query)

    async def log(self, job_id: str, stream: str, offset: int, *, wait_s: float = 0.0) -> tuple[bytes, int]:
        """Read a log from an offset; give the bytes and the offset to go on from."""
        query = {"stream": stream, "offset": str(offset), "wait": f"{wait_s:g}"}
        reply = await self._call(
            "GET", _job(routes.LOG, job_id), params=query, timeout=httpx.Timeout(30.0 + wait_s, connect=10.0)
        )
        following = reply.headers.get(routes.NEXT_OFFSET_HEADER, "")
        if not following.isdecimal():
            raise AgentError(_odd("A log came without the offset to go on from."))
        return reply.content, int(following)

    async def preview(self, job_id: str) -> bytes:
        """Fetch the before/after picture."""
        return (await self._call("GET", _job(routes.PREVIEW, job_id))).content

    async def heartbeat(self, order: LeaseOrder) -> LeaseView:
        """Say that the controller lives."""
        return _read(LeaseView, await self._call("POST", routes.LEASE, content=order.canonical(), timeout=_SHORT))

    async def drain(self) -> LeaseView:
        """Take no new jobs."""
        return _read(LeaseView, await self._call("POST", routes.DRAIN, timeout=_SHORT))

    async def put_input(self, job_id: str, slot: str, path: Path, *, offset: int, total: int) -> None:
        """Send the next span of an input, from `offset` on: at most 64 MiB of it."""
        end = min(total, offset + _INPUT_SPAN_BYTES)
        headers = {"Content-Length": str(end - offset)}
        if total:
            headers["Content-Range"] = f"bytes {offset}-{end - 1}/{total}"
        address = routes.INPUT.format(job_id=job_id, slot=slot)
        await self._call("PUT", address, headers=headers, content=_span(path, offset, end) if total else b"")

    @asynccontextmanager
    async def output(self, job_id: str, slot: str, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream an output from an offset on."""
        address = routes.OUTPUT.format(job_id=job_id, slot=slot)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with _translated():
            async with self._open_client().stream(
                "GET", address, headers=headers, extensions={"sni_hostname": SERVER_NAME}
            ) as reply:
                if not reply.is_success:
                    await reply.aread()
                    raise AgentError(_problem(reply))
                yield reply.aiter_bytes(_PIECE_BYTES)

    async def received(self, job_id: str, entry: OutputReceipt) -> None:
        """Tell the agent what arrived, so that it may call the output delivered."""
        body = OutputReceived(size=entry.size, sha256=entry.sha256).canonical()
        await self._call("POST", routes.OUTPUT_RECEIVED.format(job_id=job_id, slot=entry.slot), content=body)

    async def _call(self, method: str, address: str, **options: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        with _translated():
            reply = await self._open_client().request(
                method, address, headers=headers, extensions={"sni_hostname": SERVER_NAME}, **options
            )
        if not reply.is_success:
            raise AgentError(_problem(reply))
        return reply

    def _open_client(self) -> httpx.AsyncClient:
        if self._client.is_closed:  # by the fleet, while somebody still holds this channel
            raise AgentUnreachable("The connection to the agent was closed.")
        return self._client


def pinned_context(secret: LeaseSecret) -> ssl.SSLContext:
    """Trust the one certificate that this lease's agent can have, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=secret.certificate_pem.decode())
    return context


def _job(route: str, job_id: str) -> str:
    return route.format(job_id=job_id)


def _read(model: type[M], reply: httpx.Response) -> M:
    try:
        return model.model_validate_json(reply.content)
    except ValidationError as exc:
        raise AgentError(_odd(str(exc.errors()[0]["msg"]))) from exc


def _odd(detail: str) -> Problem:
    return Problem(title="The agent's answer is odd.", status=502, detail=detail)


def _problem(reply: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(reply.content)
    except ValidationError:
        # Something between us and the agent answered, or the agent is not one of ours.
        return Problem(title="The agent refused.", status=max(400, reply.status_code), detail=reply.text[:200])


@contextmanager
def _translated() -> Iterator[None]:
    """The one gate through which httpx's errors leave as ours."""
    try:
        yield
    except (httpx.RequestError, httpx.StreamError, ssl.SSLError) as exc:
        raise AgentUnreachable(f"The agent does not answer: {exc or type(exc).__name__}.") from exc


async def _span(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = end - start
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(_PIECE_BYTES, left))
            if not piece:
                raise InputError(f"{path.name} became shorter while it was sent.")
            left -= len(piece)
            yield piece
