"""Bring an input by ranged GETs: go on where the last reply broke, never mix two objects into one file."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from agent.attempts.partfile import PartFile
from agent.errors import AttemptFailed, GrantsExpired
from framehaul.clock import Clock
from framehaul.contract.grants import HttpGet
from framehaul.contract.spec import InputSpec
from framehaul.contract.states import AttemptReason

_MISMATCH, _FAILED = AttemptReason.INPUT_MISMATCH, AttemptReason.FETCH_FAILED
_FRUITLESS_TRIES = 8
_LONGEST_PAUSE_S = 60.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_TRY_LATER = frozenset({408, 425, 429})
_GONE = frozenset({404, 410})

_log = logging.getLogger(__name__)


class _Hiccup(Exception):
    """Something that passes: a broken line, an overloaded store."""

    def __init__(self, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class HttpFetch:
    """One input on its way. Fails after eight tries in a row that brought no byte."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: Clock,
        entry: InputSpec,
        part: PartFile,
        limit: int,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._entry = entry
        self._part = part
        self._limit = limit if entry.size is None else min(entry.size, limit)
        self._on_progress = on_progress
        self._fruitless = 0

    async def run(self, grant: HttpGet) -> None:
        """Fill the part file; GrantsExpired when the address no longer opens, AttemptFailed when it is hopeless."""
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=lambda _: self._fruitless >= _FRUITLESS_TRIES,
            wait=self._pause,
            retry=retry_if_exception_type(_Hiccup),
            reraise=True,
        )
        try:
            await retrying(self._stream, grant)
        except _Hiccup as exc:
            raise AttemptFailed(_FAILED, f"{self._entry.name} could not be fetched: {exc}.") from exc

    def _pause(self, state: RetryCallState) -> float:
        hiccup = state.outcome.exception() if state.outcome else None
        asked = hiccup.pause_s if isinstance(hiccup, _Hiccup) else 0.0
        backoff = 2.0 ** min(self._fruitless, 6) * random.uniform(0.5, 1.0)
        _log.info("fetching %s: %s; tried again soon", self._entry.name, hiccup)
        return min(max(asked, backoff), _LONGEST_PAUSE_S)

    async def _stream(self, grant: HttpGet) -> None:
        have = self._resume_from()
        if have == self._entry.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._part.validator}
        self._fruitless += 1
        try:
            async with self._client.stream("GET", grant.url.get_secret_value(), headers=headers) as reply:
                self._judge(reply, grant, have)
                await self._take(reply)
        except httpx.TransportError as exc:
            raise _Hiccup(f"{type(exc).__name__} {exc}".strip()) from exc
        finally:
            await self._part.flush()
        if self._entry.size is not None and self._part.size() < self._entry.size:
            raise _Hiccup("the reply ended early")

    def _resume_from(self) -> int:
        """Go on only where the store gave the content a name by which a replaced one can be told."""
        have = self._part.size()
        return have if self._part.validator or have == self._entry.size else 0

    def _judge(self, reply: httpx.Response, grant: HttpGet, have: int) -> None:
        status = reply.status_code
        if status == httpx.codes.PARTIAL_CONTENT and have:
            self._go_on(reply, have)
        elif status == httpx.codes.OK:
            self._begin(reply, have)
        elif status in {401, 403} or (400 <= status < 500 and self._is_past(grant)):
            raise GrantsExpired(f"The address of {self._entry.name} no longer opens (HTTP {status}).")
        elif status in _GONE:
            raise AttemptFailed(_MISMATCH, f"{self._entry.name} is no longer where it was (HTTP {status}).")
        elif status in _TRY_LATER or status >= 500:
            raise _Hiccup(f"the store answered {status}", _retry_after(reply))
        elif status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._part.restart()
            raise _Hiccup("the store has fewer bytes than came before")
        else:
            raise AttemptFailed(_FAILED, f"{self._entry.name} could not be fetched: HTTP {status}.")

    def _begin(self, reply: httpx.Response, have: int) -> None:
        """Take the object from its first byte; when we meant to go on, it must still be the same object."""
        name = _validator(reply)
        if have and name != self._part.validator:
            raise self._replaced()
        self._check_total(reply.headers.get("Content-Length"))
        self._part.restart(name)

    def _go_on(self, reply: httpx.Response, have: int) -> None:
        if (name := _validator(reply)) and name != self._part.validator:
            raise self._replaced()
        told = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have:
            self._part.restart()
            raise _Hiccup("the store answered with another range")
        self._check_total(None if told[3] == "*" else told[3])

    def _replaced(self) -> AttemptFailed:
        return AttemptFailed(_MISMATCH, f"{self._entry.name} was replaced while it was fetched.")

    def _check_total(self, told: str | None) -> None:
        size = self._entry.size
        if told is not None and told.isdigit() and size is not None and int(told) != size:
            raise AttemptFailed(_MISMATCH, f"{self._entry.name} has {told} bytes; {size} were planned.")

    async def _take(self, reply: httpx.Response) -> None:
        received = self._part.size()
        async for data in reply.aiter_raw():
            received += len(data)
            if received > self._limit:
                raise AttemptFailed(_MISMATCH, f"{self._entry.name} has more than {self._limit} bytes.")
            await self._part.append(data)
            self._fruitless = 0
            self._on_progress(received, self._entry.size)

    def _is_past(self, grant: HttpGet) -> bool:
        return grant.expires_at is not None and self._clock.now() >= grant.expires_at


def _validator(reply: httpx.Response) -> str:
    """Give what If-Range accepts: a strong ETag, else the date."""
    etag: str = reply.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else reply.headers.get("Last-Modified", "")


def _retry_after(reply: httpx.Response) -> float:
    told = reply.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 0.0
