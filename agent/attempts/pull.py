"""Take one reply of a store into a part file, in a thread, and refuse every byte that may be of another object.

A thread that reads 64 KiB and writes them at once moves a gigabyte for a third of the CPU that an event loop takes for
it: the bytes never leave the processor's cache (bench/README.md).
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import threading
from collections.abc import Callable

import httpx

from agent.attempts.answers import Answer, Hiccup, check_passing
from agent.attempts.partfile import PartFile
from agent.attempts.patience import asked_pause_s
from agent.attempts.pins import Pin
from agent.errors import AttemptFailed, GrantsExpired
from framehaul.contract.grants import HttpGet
from framehaul.contract.spec import InputSpec
from framehaul.contract.states import AttemptReason

_MISMATCH, _FAILED = AttemptReason.INPUT_MISMATCH, AttemptReason.FETCH_FAILED
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_GONE = frozenset({404, 410})
_TELL_EVERY_BYTES = 4 << 20
_BEGINNING_BYTES = 8 << 20
_REFUSAL_BYTES = 16 << 10


class Halted(Exception):
    """Raised in the thread once nobody wants its bytes any more."""


class Pull:
    """One request for what is missing of one input. `on_bytes` hears, in the thread, how much is there."""

    def __init__(
        self, client: httpx.Client, entry: InputSpec, part: PartFile, limit: int, on_bytes: Callable[[int], None]
    ) -> None:
        self._client = client
        self._entry = entry
        self._part = part
        self._limit = limit if entry.size is None else min(entry.size, limit)
        self._on_bytes = on_bytes
        self._pin = Pin(entry.fingerprint)
        self.halted = False
        self._disk = threading.Lock()
        self._socket: socket.socket | None = None

    def run(self, grant: HttpGet, past: Callable[[], bool]) -> None:
        """Go on where the part file ends. Hiccup when it may work later; `past` says that the grant's hour is over.

        A long object's beginning is asked for by itself: whatever is wrong shows after a few bytes, and some stores
        (rclone) hash what is read from its first byte on to the last, at two thirds of their speed.
        """
        if (self._entry.size or 0) > _BEGINNING_BYTES and not self._resume_from():
            self._ask(grant, past, _BEGINNING_BYTES)
        self._ask(grant, past)

    def _ask(self, grant: HttpGet, past: Callable[[], bool], most: int | None = None) -> None:
        """Make one request: for `most` bytes from the first on, else for all that is missing."""
        have = self._resume_from()
        if have == self._entry.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._part.validator}
        elif most:
            headers["Range"] = f"bytes=0-{most - 1}"
        try:
            with self._client.stream("GET", grant.url.get_secret_value(), headers=headers) as reply:
                self._remember(reply)
                self._judge(reply, have, past)
                self._take(reply)
                goal = most if most and is_partial(reply) else self._whole_size(reply)
        except httpx.TransportError as exc:
            raise Hiccup(_broken(exc)) from exc
        finally:
            self._socket = None
        if goal is not None and self._part.size() < goal:
            raise Hiccup("the reply ended early")

    def _whole_size(self, reply: httpx.Response) -> int | None:
        """Give the object's size: the plan's, else the store's, which may send less of it than was asked for."""
        if self._entry.size is not None:
            return self._entry.size
        told = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        return int(told[3]) if told and told[3] != "*" else None

    def halt(self) -> None:
        """Let nothing be written from now on, and wake the thread if it waits for bytes; called from another."""
        with self._disk:
            self.halted = True
        if line := self._socket:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _remember(self, reply: httpx.Response) -> None:
        stream = reply.extensions.get("network_stream")
        self._socket = stream.get_extra_info("socket") if stream else None

    def _resume_from(self) -> int:
        """Go on only where the store gave the content a name by which a replaced one can be told."""
        have = self._part.size()
        return have if self._part.validator or have == self._entry.size else 0

    def _judge(self, reply: httpx.Response, have: int, past: Callable[[], bool]) -> None:
        status = reply.status_code
        if is_partial(reply):
            self._go_on(reply, have)
        elif status == httpx.codes.OK:
            self._begin(reply, have)
        elif status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if self._pin.contradicts(reply):
                raise self._replaced("since it was planned")
            if not have:
                self._check_total(reply.headers.get("Content-Range", "").removeprefix("bytes */"))
            self._restart()
            raise Hiccup("the store has fewer bytes than came before")
        else:
            self._refused(reply, past)

    def _refused(self, reply: httpx.Response, past: Callable[[], bool]) -> None:
        status, name = reply.status_code, self._entry.name
        answer = Answer(status, _beginning(reply), asked_pause_s(reply))
        check_passing(answer)  # before 403: B2 says so where a cap on downloads is reached
        if status in {401, 403} or (status >= 400 and (past() or answer.is_expired)):
            raise GrantsExpired(f"The address of {name} no longer opens: {answer.words}.")
        if status in _GONE:
            raise AttemptFailed(_MISMATCH, f"{name} is no longer where it was (HTTP {status}).")
        raise AttemptFailed(_FAILED, f"{name} could not be fetched: {answer.words}.")

    def _begin(self, reply: httpx.Response, have: int) -> None:
        """Take the object from its first byte; when we meant to go on, it must still be the same object."""
        self._check_pin(reply, have)
        name = _validator(reply)
        if have and name != self._part.validator:
            raise self._replaced("while it was fetched")
        self._check_total(reply.headers.get("Content-Length"))
        self._restart(name)

    def _go_on(self, reply: httpx.Response, have: int) -> None:
        self._check_pin(reply, have)
        name = _validator(reply)
        if have and name and name != self._part.validator:
            raise self._replaced("while it was fetched")
        told = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have:
            self._restart()
            raise Hiccup("the store answered with another range")
        self._check_total(None if told[3] == "*" else told[3])
        if not have:
            self._restart(name)

    def _check_pin(self, reply: httpx.Response, have: int) -> None:
        """Hold a reply that brings bytes against the plan, and let none in that are packed."""
        name = self._entry.name
        if self._pin.contradicts(reply):
            raise self._replaced("since it was planned")
        if self._pin.is_unseen(reply, first=not have):
            sentence = f"The store does not say whether {name} is still what was planned: the tag or date is missing."
            raise AttemptFailed(_MISMATCH, sentence)
        if packing := self._pin.packing(reply):
            sentence = f"The server sends {name} packed ({packing[:20]}), although it was asked for the plain bytes."
            raise AttemptFailed(_MISMATCH, sentence, advice="Have it served as it is, or bring it from another store.")

    def _replaced(self, when: str) -> AttemptFailed:
        return AttemptFailed(_MISMATCH, f"{self._entry.name} was replaced {when}.", advice="Plan it again.")

    def _check_total(self, told: str | None) -> None:
        size = self._entry.size
        if told is not None and told.isdecimal() and size is not None and int(told) != size:
            raise AttemptFailed(_MISMATCH, f"{self._entry.name} has {told} bytes; {size} were planned.")

    def _restart(self, validator: str = "") -> None:
        with self._disk:
            if self.halted:
                raise Halted
            self._part.restart(validator)

    def _take(self, reply: httpx.Response) -> None:
        received = told = self._part.size()
        self._on_bytes(received)
        with self._part.open() as file:
            for data in reply.iter_raw():
                received += len(data)
                if received > self._limit:
                    raise AttemptFailed(_MISMATCH, f"{self._entry.name} has more than {self._limit} bytes.")
                self._write(file, data)
                if received - told >= _TELL_EVERY_BYTES:
                    told = received
                    self._on_bytes(received)
        self._on_bytes(received)

    def _write(self, file: io.FileIO, data: bytes) -> None:
        with self._disk:
            if self.halted:
                raise Halted
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]


def is_partial(reply: httpx.Response) -> bool:
    """Say whether a part was sent. Some stores (rclone) call that 200, and only the range tells."""
    partial = httpx.codes.PARTIAL_CONTENT
    return reply.status_code == partial or (reply.status_code == httpx.codes.OK and "Content-Range" in reply.headers)


def _beginning(reply: httpx.Response) -> str:
    """Read the beginning of a refusal, in which a store says by a word what it means."""
    raw = bytearray()
    for data in reply.iter_raw():  # not decoded: what it says of its coding may be false
        raw += data
        if len(raw) >= _REFUSAL_BYTES:
            break
    return raw[:_REFUSAL_BYTES].decode(errors="replace")


def _strong_etag(reply: httpx.Response) -> str:
    etag: str = reply.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def _validator(reply: httpx.Response) -> str:
    """Give what If-Range accepts: a strong ETag, else the date."""
    return _strong_etag(reply) or reply.headers.get("Last-Modified", "")


def _broken(exc: httpx.TransportError) -> str:
    """Say what happened to the line, in words of ours: the exception's may name the address."""
    if isinstance(exc, httpx.TimeoutException):
        return "the store was silent for too long"
    if isinstance(exc, httpx.ConnectError):
        return "the store cannot be reached"
    return f"the line to the store broke ({type(exc).__name__})"
