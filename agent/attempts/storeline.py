"""Ask a store by presigned addresses, again and again while what hinders it may pass."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import h11
import httpx
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from agent.attempts.answers import Answer, Hiccup, Refused, judge
from agent.attempts.partline import PartLine
from agent.attempts.parts import Part, pieces
from agent.attempts.patience import Patience, asked_pause_s
from agent.attempts.pull import is_partial
from agent.jobs.job import Job
from framehaul.clock import Clock
from framehaul.contract.grants import MultipartPut
from framehaul.contract.states import AttemptReason, AttemptState

T = TypeVar("T")

# A store puts a large object together while it answers `complete`.
_COMPLETING_STALLS = 5
_MOST_BODY_BYTES = 64 << 10
_CONTENT_RANGE = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_TROUBLE = frozenset({AttemptReason.STORE_UNAVAILABLE, AttemptReason.GRANTS_EXPIRED})


class Superseded(Exception):
    """Raised when a later generation of grants names another upload for the slot."""


class Door:
    """What the newest grants say of one slot, as long as they mean the same upload."""

    def __init__(self, job: Job, slot: str) -> None:
        self.job = job
        self.slot = slot
        self._first = self._newest()

    def grant(self) -> MultipartPut:
        """Give the newest addresses of the upload that was begun."""
        newest = self._newest()
        if (newest.uri, newest.upload_id) != (self._first.uri, self._first.upload_id):
            raise Superseded
        return newest

    def _newest(self) -> MultipartPut:
        grant = self.job.grants.outputs.get(self.slot) if self.job.grants else None
        if not isinstance(grant, MultipartPut):
            raise Superseded
        return grant


class StoreClient:
    """Speak to stores. What passes is tried again without end, by the clock; `Refused` wants other grants."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock, stall_s: float) -> None:
        self._client = client
        self._clock = clock
        self._stall_s = stall_s

    def part_line(self) -> PartLine:
        """Give a connection for parts; whoever asked for it closes it."""
        return PartLine(self._trust, self._stall_s)

    async def put_part(self, door: Door, line: PartLine, path: Path, part: Part, on_sent: Callable[[int], None]) -> str:
        """Send one part until the store has it; give what the store calls it."""

        async def once(grant: MultipartPut) -> str:
            sent = 0

            def count(now: int) -> None:
                nonlocal sent
                sent = now
                on_sent(now)
                if door.job.status.reason is AttemptReason.GRANTS_EXPIRED:
                    _all_is_well(door.job)  # a part may take an hour: whose bytes go out has been let in

            if part.number > len(grant.part_urls):
                raise Refused(f"The newest grants are for {len(grant.part_urls)} parts; part {part.number} is wanted.")
            address = grant.part_urls[part.number - 1]
            try:
                reply = await line.put(address.get_secret_value(), part.size, lambda: pieces(path, part, count))
            except (OSError, h11.ProtocolError) as exc:
                raise Hiccup(_broken(exc), moved=sent > 0) from exc
            judge(_answer(reply, reply.content), past=self._past(grant))
            if etag := reply.headers.get("ETag"):
                return str(etag)
            raise Refused("The store took a part and gave no ETag for it.")

        return await self._persist(door, once)

    async def complete(self, door: Door, body: str) -> str:
        """Ask the store to make one object of the parts; give what it calls that, "" where it does not say."""

        async def once(grant: MultipartPut) -> str:
            patient_s = self._stall_s * _COMPLETING_STALLS
            async with self._reply("POST", grant.complete_url, content=body.encode(), read_s=patient_s) as reply:
                answer = _answer(reply, await _read(reply))
            judge(answer, past=self._past(grant))
            if not answer.made_an_object:
                raise Hiccup(f"what answered is no S3 store: {answer.words} without a result", pause_s=answer.pause_s)
            return answer.etag

        return await self._persist(door, once)

    async def read_back(self, door: Door, start: int, length: int) -> tuple[int, bytes] | None:
        """Give the object's size and `length` of its bytes from `start` on; None where there is no object."""

        async def once(grant: MultipartPut) -> tuple[int, bytes] | None:
            # An empty object has no range that could be asked for.
            headers = {"Range": f"bytes={start}-{start + length - 1}"} if length else {}
            async with self._reply("GET", grant.read_back_url, headers=headers) as reply:
                if is_partial(reply):
                    return _size(reply), await _read(reply, length)
                if reply.status_code == httpx.codes.OK:  # it knows no ranges
                    return _size(reply), b"" if start else await _read(reply, length)
                if reply.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return _size(reply), b""
                answer = _answer(reply, await _read(reply))
                if reply.status_code == httpx.codes.NOT_FOUND:
                    return None
                judge(answer, past=self._past(grant))
                raise Refused(f"The store gives no answer that could be read: HTTP {reply.status_code}.")

        return await self._persist(door, once)

    async def abort(self, grant: MultipartPut) -> None:
        """Give up an upload that is not needed, in one try: the controller keeps a list of them too."""
        try:
            async with self._reply("DELETE", grant.abort_url) as reply:
                await _read(reply)
        except (Hiccup, Refused):
            return

    async def _persist(self, door: Door, ask: Callable[[MultipartPut], Awaitable[T]]) -> T:
        async def once() -> T:
            heard = await ask(door.grant())
            _all_is_well(door.job)
            return heard

        patience = Patience(self._clock)

        def pause_s(state: RetryCallState) -> float:
            hiccup = state.outcome.exception() if state.outcome else None
            assert isinstance(hiccup, Hiccup)
            if state.attempt_number > 1:
                _tell(door.job, hiccup)
            if hiccup.moved:
                patience.renew()
            patience.spend()
            return patience.pause_s(hiccup.pause_s)

        retrying = AsyncRetrying(sleep=self._clock.sleep, wait=pause_s, retry=retry_if_exception_type(Hiccup))
        return await retrying(once)

    @asynccontextmanager
    async def _reply(
        self,
        method: str,
        url: SecretStr,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Open one exchange. No redirect is followed: a signed address is for one host, and so are the bytes."""
        timeout = httpx.Timeout(self._stall_s, connect=20.0, read=read_s or self._stall_s, pool=None)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        try:
            async with self._client.stream(
                method, url.get_secret_value(), content=content, headers=sent, timeout=timeout, follow_redirects=False
            ) as reply:
                yield reply
        except (httpx.TransportError, OSError) as exc:  # httpx lets an SSLError through as it is
            raise Hiccup(_broken(exc)) from exc

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    def _past(self, grant: MultipartPut) -> bool:
        return self._clock.now() >= grant.expires_at


def _answer(reply: httpx.Response, body: bytes) -> Answer:
    return Answer(reply.status_code, body.decode(errors="replace"), asked_pause_s(reply))


def _tell(job: Job, hiccup: Hiccup) -> None:
    """Say what hinders, from the second try in vain on: one 503 among many parts is a store's daily life."""
    if job.status.reason not in _TROUBLE:
        sentence = f"{hiccup}; it is tried again until it works."
        job.explain(AttemptReason.STORE_UNAVAILABLE, sentence[0].upper() + sentence[1:])


def _all_is_well(job: Job) -> None:
    if job.status.state is AttemptState.DELIVERING and job.status.reason in _TROUBLE:
        job.explain()


def _broken(exc: Exception) -> str:
    """Say what happened to the line. Not in the exception's words, which may name the address."""
    if isinstance(exc, TimeoutError | httpx.TimeoutException):
        return "the store was silent for too long"
    if isinstance(exc, httpx.ConnectError | ConnectionRefusedError | socket.gaierror):
        return "the store cannot be reached"
    return f"the line to the store broke ({type(exc).__name__})"


def _size(reply: httpx.Response) -> int:
    """Give the whole object's size."""
    told = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    if told:
        return int(told[1])
    length = reply.headers.get("Content-Length", "")
    whole = reply.status_code == httpx.codes.OK and length.isdecimal()
    return int(length) if whole else -1


async def _read(reply: httpx.Response, most: int = _MOST_BODY_BYTES) -> bytes:
    data = bytearray()
    async for piece in reply.aiter_raw():
        data += piece
        if len(data) >= most:
            break
    return bytes(data[:most])
