"""One HTTP object's bytes as one stream, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import tenacity

from framehaul.clock import Clock
from framehaul.contract.uris import Uri
from framehaul.errors import DigestMismatch, NotSupported, StoreError, StoreUnavailable
from framehaul.storage.http_replies import Busy, Version, content_range, refusal, shown, wire_errors

MAX_SKIP_BYTES = 64 << 20
_MAX_DROPS = 100
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


class Patience:
    """How often one operation is tried: so many failures in a row, and progress makes them forgotten."""

    def __init__(self, clock: Clock, tries: int) -> None:
        self.retrying = tenacity.Retrying(
            sleep=clock.wait, retry=tenacity.retry_if_exception(self._goes_on), wait=self._wait_s, reraise=True
        )
        self._tries = tries
        self._failures = 0
        self._drops = 0

    def note_progress(self) -> None:
        """Forget the failures so far; the total stays bounded all the same."""
        self._failures = 0

    def give_up(self) -> None:
        """Make the next failure the last."""
        self._failures = self._tries

    def _goes_on(self, exc: BaseException) -> bool:
        if not isinstance(exc, StoreUnavailable):
            return False
        self._failures += 1
        self._drops += 1
        return self._failures < self._tries and self._drops <= _MAX_DROPS

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        exc = state.outcome.exception() if state.outcome else None
        told = exc.after_s if isinstance(exc, Busy) else None
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (self._failures - 1) if told is None else told)


class Reading:
    """The bytes [start, end) of one version of one object."""

    def __init__(self, client: httpx.Client, uri: Uri, start: int, end: int | None, patience: Patience) -> None:
        self._client = client
        self._uri = uri
        self._start = start
        self._position = start
        self._end = end
        self._version: Version | None = None
        self._patience = patience

    def pieces(self) -> Iterator[bytes]:
        """Stream the bytes; a dropped connection is taken up where it broke, if it is still the same object."""
        for attempt in self._patience.retrying:
            with attempt:
                try:
                    yield from self._one_connection()
                except StoreUnavailable:
                    if self._left() == 0:  # it broke behind the last byte that was asked for
                        return
                    if not self._can_resume():
                        self._patience.give_up()
                    raise

    def _can_resume(self) -> bool:
        """Without etag and date, bytes of two versions could be mixed: only a fresh start is safe."""
        return self._position == self._start or (self._version is not None and bool(self._version.validator))

    def _one_connection(self) -> Iterator[bytes]:
        with wire_errors(self._uri), self._client.stream("GET", str(self._uri), headers=self._headers()) as reply:
            skip = self._judge(reply)
            for piece in _window(reply.iter_raw(), skip, self._left()):
                self._position += len(piece)
                self._patience.note_progress()
                yield piece
            if reply.status_code == 200:  # perhaps only now is it known how long the object is
                self._hold_range_against(reply.num_bytes_downloaded)
        if self._left():
            raise StoreUnavailable(f"The server broke off {shown(self._uri)} at byte {self._position}.")

    def _headers(self) -> dict[str, str]:
        if self._position == 0 and self._end is None:
            return {}
        headers = {"Range": f"bytes={self._position}-{'' if self._end is None else self._end - 1}"}
        if self._position > self._start and self._version:
            headers["If-Range"] = self._version.validator
        return headers

    def _left(self) -> int | None:
        """Count the bytes still to come; None while nobody has said how many there are."""
        stop = self._end if self._end is not None else self._version.size if self._version else None
        return None if stop is None else stop - self._position

    def _judge(self, reply: httpx.Response) -> int:
        """Refuse what is not ours; say how many bytes of the body lie before the position."""
        if reply.status_code not in {200, 206, 416}:
            raise refusal(self._uri, reply)
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise NotSupported(f"The server packs {shown(self._uri)} although it was asked not to.")
        self._compare(Version.of(reply))
        if reply.status_code == 200:
            return self._may_skip()
        self._check_range(reply)
        return 0

    def _check_range(self, reply: httpx.Response) -> None:
        """Insist that a 206 begins where it was asked to; a 416 is right only behind the last byte."""
        found = content_range(reply)
        begins = None if found is None else found[2] if reply.status_code == 416 else found[0]
        if begins != self._position:
            said = reply.headers.get("content-range", "nothing")
            raise StoreError(f"Asked for {shown(self._uri)} from byte {self._position}, the server sent {said!r}.")

    def _compare(self, version: Version) -> None:
        """Hold the reply against the first one, and the range against the size."""
        if self._version is None or self._position == self._start:
            self._version = version
        elif self._version.is_replaced_by(version):
            raise DigestMismatch(f"{shown(self._uri)} was replaced while it was read.", advice="Plan it again.")
        if self._version.size is not None:
            self._hold_range_against(self._version.size)

    def _hold_range_against(self, size: int) -> None:
        furthest = max(self._position, self._end or 0)
        if furthest > size:
            raise StoreError(f"{shown(self._uri)} has {size} bytes; the range up to {furthest} reaches past its end.")

    def _may_skip(self) -> int:
        """Accept a server that ignores ranges where the bytes before the range are few enough to throw away."""
        if self._position > MAX_SKIP_BYTES:
            self._patience.give_up()
            kind = NotSupported if self._position == self._start else StoreUnavailable
            raise kind(f"The server sends {shown(self._uri)} only from its beginning, not from byte {self._position}.")
        return self._position


def _window(pieces: Iterator[bytes], skip: int, length: int | None) -> Iterator[bytes]:
    """Cut [skip, skip + length) out of a stream; reads on to a clean end, so that the connection can be kept."""
    for piece in pieces:
        cut = piece[skip:] if length is None else piece[skip : skip + length]
        skip = max(0, skip - len(piece))
        if cut:
            yield cut
            length = None if length is None else length - len(cut)
        elif length == 0:
            return
