"""What an HTTP server says, in our words: refusals as errors, headers as versions, addresses without secrets."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from framehaul.contract.uris import Uri
from framehaul.errors import AccessDenied, BadUri, NotFound, StoreError, StoreUnavailable

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_TRY_LATER = {408, 425, 429}


class Busy(StoreUnavailable):
    """Raised when the server asks for patience, perhaps by its own number of seconds."""

    def __init__(self, message: str, after_s: float | None) -> None:
        super().__init__(message)
        self.after_s = after_s


def shown(uri: Uri) -> str:
    """Write an address for an error: user, password and query may be secrets and are left out."""
    host = uri.authority.rpartition("@")[2]
    return f"{uri.scheme}://{host}/{uri.key}{'?***' if uri.query else ''}"


@contextlib.contextmanager
def wire_errors(uri: Uri) -> Iterator[None]:
    """Translate every error of the HTTP library; the one gate between it and the store's callers."""
    try:
        yield
    except httpx.InvalidURL as exc:
        raise BadUri(f"Not an address of the web: {shown(uri)}.") from exc
    except httpx.UnsupportedProtocol as exc:
        raise StoreError(f"{shown(uri)} leads away from the web.") from exc
    except httpx.TransportError as exc:
        if _distrusted(exc):
            raise StoreError(f"The server's certificate is not valid: {shown(uri)}.") from exc
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
            raise StoreUnavailable(f"The server cannot be reached: {shown(uri)}.") from exc
        raise StoreUnavailable(f"The server does not answer in full: {shown(uri)} ({type(exc).__name__}).") from exc
    except (httpx.HTTPError, httpx.StreamError) as exc:
        raise StoreError(f"{shown(uri)} cannot be read ({type(exc).__name__}).") from exc


def _distrusted(exc: BaseException | None) -> bool:
    """Look for the certificate's refusal below the transport's error: it will not heal by itself."""
    while exc is not None and not isinstance(exc, ssl.SSLCertVerificationError):
        exc = exc.__cause__ or exc.__context__
    return exc is not None


def refusal(uri: Uri, reply: httpx.Response) -> StoreError:
    """Say what a status that brings no bytes means."""
    status, place = reply.status_code, shown(uri)
    if status in {401, 403, 407}:
        return AccessDenied(f"The server does not let us read {place} (HTTP {status}).")
    if status in {404, 410}:
        return NotFound(f"Nothing lies at {place} (HTTP {status}).")
    if status in _TRY_LATER or status >= 500:
        after_s = seconds_of(reply.headers.get("retry-after", ""))
        return Busy(f"The server cannot answer now: {place} (HTTP {status}).", after_s)
    return StoreError(f"The server gives no bytes of {place} (HTTP {status}).")


@dataclass(frozen=True)
class Version:
    """What a reply says about the object itself: enough to name it and to notice that it was replaced."""

    size: int | None
    etag: str  # strong ones only, with their quotes; "" when there is none
    date: str  # Last-Modified as it was sent, or ""

    @classmethod
    def of(cls, reply: httpx.Response) -> Version:
        """Read the headers of a reply to HEAD or GET."""
        etag = reply.headers.get("etag", "")
        return cls(_size(reply), "" if etag.startswith("W/") else etag, reply.headers.get("last-modified", ""))

    @property
    def validator(self) -> str:
        """The word that If-Range takes, or ""."""
        return self.etag or self.date

    @property
    def modified(self) -> float | None:
        """The date as seconds since the epoch, where it is one."""
        try:
            return parsedate_to_datetime(self.date).timestamp()
        except (ValueError, OverflowError):
            return None

    def is_replaced_by(self, later: Version) -> bool:
        """Compare with what another connection says; a 206 may leave the date out, but never the etag."""
        if self.etag:
            return later.etag != self.etag
        sizes_differ = None not in (self.size, later.size) and self.size != later.size
        return sizes_differ or later.date not in {"", self.date}


def _size(reply: httpx.Response) -> int | None:
    if found := content_range(reply):
        return found[2]
    length = reply.headers.get("content-length", "")
    return int(length) if reply.status_code == 200 and length.isdecimal() else None


def seconds_of(told: str) -> float | None:
    """Read a plain number of seconds, as Retry-After may give it; None where it is something else."""
    return float(told) if told.isdecimal() else None  # "²" is a digit, and no number


def content_range(reply: httpx.Response) -> tuple[int, int, int | None] | None:
    """Read `bytes first-last/size` as [first, last + 1) and the size; of `bytes */size` the range is empty."""
    found = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", ""))
    if reply.status_code not in {206, 416} or not found:
        return None
    size = None if found[3] == "*" else int(found[3])
    return (0, 0, size) if found[1] is None else (int(found[1]), int(found[2]) + 1, size)
