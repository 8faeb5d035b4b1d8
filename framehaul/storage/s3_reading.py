"""One object's bytes as one stream, over as many ranged GETs as it takes, all of one version."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framehaul.contract.uris import Uri
from framehaul.errors import DigestMismatch, StoreError, StoreUnavailable
from framehaul.storage.s3_errors import Occupied, RangeRefused, wire_errors
from framehaul.storage.s3_listing import fingerprint_of

if TYPE_CHECKING:
    from framehaul.storage.http_reading import Patience
    from framehaul.storage.s3_client import Bucket

_PIECE_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class Reading:
    """The bytes [start, end) of one version of one object; `end` None means its end. The range is not empty."""

    def __init__(self, bucket: Bucket, uri: Uri, start: int, end: int | None, patience: Patience) -> None:
        self._bucket = bucket
        self._uri = uri
        self._start = start
        self._position = start
        self._end = end
        self._etag = ""
        self._patience = patience

    def pieces(self) -> Iterator[bytes]:
        """Stream the bytes; where a connection breaks the next one goes on, if it is still the same object."""
        for attempt in self._patience.retrying:
            with attempt:
                try:
                    yield from self._one_connection()
                except StoreUnavailable:
                    if self._left() == 0:  # it broke behind the last byte that was asked for
                        return
                    if self._position > self._start and not self._etag:
                        self._patience.give_up()  # bytes of two versions could be mixed
                    raise

    def _left(self) -> int | None:
        return None if self._end is None else self._end - self._position

    def _one_connection(self) -> Iterator[bytes]:
        reply = self._ask()
        with contextlib.closing(reply["Body"]) as body:
            self._judge(reply)
            while piece := self._read(body):
                self._position += len(piece)
                self._patience.note_progress()
                yield piece
        if self._left():
            raise StoreUnavailable(f"{self._bucket.site.place} broke off {self._uri} at byte {self._position}.")

    def _ask(self) -> Any:
        asked: dict[str, str] = {}
        if self._position or self._end is not None:
            asked["Range"] = f"bytes={self._position}-{'' if self._end is None else self._end - 1}"
        if self._position > self._start:
            asked["IfMatch"] = f'"{self._etag}"'
        try:
            return self._bucket.once("get_object", self._uri, Key=self._uri.key, **asked)
        except Occupied:
            raise self._replaced() from None
        except RangeRefused:
            if self._position > self._start:
                raise self._replaced() from None
            raise

    def _judge(self, reply: Any) -> None:
        """Hold a reply against the range that was asked for, and against the first reply."""
        etag = fingerprint_of(reply.get("ETag", "")).removeprefix("s3:etag:")
        if self._position == self._start:
            self._etag = etag
        elif etag != self._etag:
            raise self._replaced()
        begins, size = self._span(reply)
        if begins != self._position:
            raise StoreError(f"Asked for {self._uri} from byte {self._position}, the store sent it from {begins}.")
        if size < (self._end or 0):
            raise StoreError(f"{self._uri} has {size} bytes; the range up to {self._end} reaches past its end.")
        self._end = size if self._end is None else self._end

    def _span(self, reply: Any) -> tuple[int, int]:
        """Give where the reply begins, and how big the whole object is."""
        found = _CONTENT_RANGE.fullmatch(reply.get("ContentRange", ""))
        return (int(found[1]), int(found[2])) if found else (0, int(reply["ContentLength"]))

    def _read(self, body: Any) -> bytes:
        left = self._left()
        wanted = _PIECE_BYTES if left is None else min(_PIECE_BYTES, left)
        if wanted == 0:
            return b""
        with wire_errors(self._bucket.site, "get_object", self._uri):
            piece: bytes = body.read(wanted)
        return piece

    def _replaced(self) -> DigestMismatch:
        return DigestMismatch(f"{self._uri} was replaced while it was read.", advice="Plan it again.")
