"""Files behind plain web addresses: read-only, without listing, resumed where a connection drops."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import httpx
from pydantic import SecretStr

from framehaul.clock import Clock, SystemClock
from framehaul.contract.grants import HttpGet, InputGrant, OutputGrant
from framehaul.contract.uris import Uri
from framehaul.errors import NotFound, NotSupported
from framehaul.storage.accounts import Account
from framehaul.storage.base import Entry, Want, check_range
from framehaul.storage.http_reading import Patience, Reading
from framehaul.storage.http_replies import Version, content_range, refusal, shown, wire_errors

SCHEMES = ("http", "https")

_TIMEOUTS = httpx.Timeout(30.0, connect=10.0)
_MAX_REDIRECTS = 5
_TRIES = 5
# Presigned addresses answer 403 to a HEAD, some servers know GET alone.
_HEAD_REFUSED = {403, 405, 501}


def open_store(uri: Uri, account: Account | None, clock: Clock) -> HttpStore:
    """Give a store with its own pool of connections."""
    return HttpStore(clock=clock)


class HttpStore:
    """The web, read-only. Waits between tries go through the clock; `tries` counts failures without any progress.

    Plain HTTP knows no folders and no agreed way to write: what it lacks raises NotSupported.
    """

    def __init__(
        self, *, transport: httpx.BaseTransport | None = None, clock: Clock | None = None, tries: int = _TRIES
    ) -> None:
        self._transport = transport
        self._clock = clock or SystemClock()
        self._tries = tries

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Give the one object at the address, or nothing where there is none."""
        if prefix.is_folder and not prefix.query:
            raise NotSupported(f"A web server cannot be listed: {shown(prefix)}.", advice="Name one file.")
        return self._just(prefix)

    def stat(self, uri: Uri) -> Entry:
        """Ask by HEAD, or by a GET of one byte where HEAD is refused. The size may stay unknown."""
        version: Version = self._patience().retrying(self._version, uri)
        return Entry(uri, version.size, _fingerprint(uri, version), version.modified)

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a part of the object. Where the server ignores ranges, up to 64 MiB before the part are skipped.

        A body of unknown length that the server closes early (HTTP/1.0) cannot be told from a whole one.
        """
        check_range(start, end)
        if start == end:
            return self._nothing(uri, start)
        return Reading(self._client, uri, start, end, self._patience()).pieces()

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Refuse: there is no agreed way to write."""
        _refuse_writing(uri)

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Hand the address on as it is, secrets in it included; it expires when its server says so."""
        if want == "write":
            _refuse_writing(uri)
        return HttpGet(url=SecretStr(str(uri)))

    def abort(self, grant: OutputGrant) -> None:
        """Refuse: no grant to write was ever given."""
        raise NotSupported("A web server takes no uploads of ours, so there is none to take back.")

    def close(self) -> None:
        """Close idle connections; the next call opens new ones."""
        if "_client" in self.__dict__:
            self._client.close()
            del self._client

    @cached_property
    def _client(self) -> httpx.Client:
        # Made when first needed: reading the certificates takes longer than writing a grant.
        return httpx.Client(
            transport=self._transport,
            timeout=_TIMEOUTS,
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            # Packed bytes would have other lengths and ranges than the file.
            headers={"Accept-Encoding": "identity"},
        )

    def _patience(self) -> Patience:
        return Patience(self._clock, self._tries)

    def _just(self, uri: Uri) -> Iterator[Entry]:
        try:
            entry = self.stat(uri)
        except NotFound:
            return
        yield entry

    def _nothing(self, uri: Uri, position: int) -> Iterator[bytes]:
        """Check an empty range, which HTTP has no words for, and give no bytes."""
        size = self.stat(uri).size
        if position and (size is None or position > size):
            for _ in Reading(self._client, uri, position - 1, position, self._patience()).pieces():
                pass
        yield from ()

    def _version(self, uri: Uri) -> Version:
        with wire_errors(uri):
            reply = self._client.head(str(uri))
            if reply.status_code in _HEAD_REFUSED:
                # Streamed and dropped: a server that ignores the range would send everything.
                with self._client.stream("GET", str(uri), headers={"Range": "bytes=0-0"}) as reply:
                    pass
        is_empty = reply.status_code == 416 and content_range(reply) == (0, 0, 0)
        if reply.status_code not in {200, 206} and not is_empty:
            raise refusal(uri, reply)
        return Version.of(reply)


def _fingerprint(uri: Uri, version: Version) -> str:
    """Name the content by a strong etag, else by length and date, else (all we know) by length and address."""
    length = "" if version.size is None else version.size
    if version.etag:
        return "http:etag:" + version.etag.strip('"')
    if version.date:
        return f"http:{length}:{version.date}"
    address = f"{uri.authority.rpartition('@')[2]}/{uri.key}?{uri.query}"
    return f"http:{length}:@{hashlib.sha256(address.encode()).hexdigest()}"


def _refuse_writing(uri: Uri) -> NoReturn:
    raise NotSupported(
        f"Nothing can be written to a web server: {shown(uri)}.", advice="Use b2:, s3:, hf: or a folder."
    )
