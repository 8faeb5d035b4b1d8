"""What the plan pinned of an input's content, held against what a reply says of it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx

from framehaul.contract.naming import etag_of

_S3 = "s3:"
_HTTP = "http:"
# What signed uploads in pieces leave behind in some stores; it says nothing of how the bytes lie there.
_PLAIN = frozenset({"", "identity", "aws-chunked"})


class Pin:
    """One input's fingerprint: an entity tag, or a length and a date, or what cannot be seen in a reply.

    The length stands in the order too, and is held there.
    """

    def __init__(self, fingerprint: str) -> None:
        self._etag = etag_of(fingerprint)
        self._date = "" if self._etag else _date_of(fingerprint)
        self._from_s3 = fingerprint.startswith(_S3)

    def contradicts(self, reply: httpx.Response) -> bool:
        """Say whether the reply is of another content. A weak tag is that of the same object, differently packed."""
        if self._etag and (told := reply.headers.get("ETag", "")):
            return _opaque(told) != self._etag
        if self._date and (told := reply.headers.get("Last-Modified", "")):
            return _hour(told) != _hour(self._date)
        return False

    def is_unseen(self, reply: httpx.Response, *, first: bool) -> bool:
        """Say whether the reply shows nothing of what was pinned. A later part may leave the date out, not the tag."""
        if self._etag:
            return not reply.headers.get("ETag")
        return bool(self._date) and first and not reply.headers.get("Last-Modified")

    def packing(self, reply: httpx.Response) -> str:
        """Name the coding in which a server sends the bytes; "" where they come as they lie there.

        S3 stores pack nothing: there the word is a label that whoever uploaded the object gave to it.
        """
        told = str(reply.headers.get("Content-Encoding", "")).strip().lower()
        return "" if self._from_s3 or told in _PLAIN else told


def _date_of(fingerprint: str) -> str:
    """Give the date in `http:<length>:<date>`; "" where an address's digest stands in its place."""
    if not fingerprint.startswith(_HTTP):
        return ""
    date = fingerprint.removeprefix(_HTTP).partition(":")[2]
    return "" if date.startswith("@") else date


def _opaque(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def _hour(date: str) -> float | str:
    """Read a date, so that two ways to write it are one; what is no date stands for itself."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return date
