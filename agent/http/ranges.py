"""Read the two range headers: what a sender brings, and what a reader asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.errors import Refusal

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Brought:
    """A piece of an input: where it starts, how long it says it is, and how long the whole is (None: not told)."""

    start: int
    length: int | None
    total: int | None


def brought(content_range: str | None, content_length: str | None) -> Brought:
    """Read Content-Range; without one the body is the whole."""
    told = int(content_length) if content_length and content_length.isdigit() else None
    if content_range is None:
        return Brought(0, told, told)
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None:
        raise Refusal(422, "bad-range", "Content-Range must read: bytes FIRST-LAST/TOTAL.")
    first, last, total = (int(group) for group in match.groups())
    if not first <= last < total:
        raise Refusal(422, "bad-range", f"Content-Range {content_range!r} is no range.")
    if told is not None and told != last - first + 1:
        raise Refusal(422, "bad-range", f"The body has {told} bytes, its range {last - first + 1}.")
    return Brought(first, last - first + 1, total)


def asked(header: str | None, size: int) -> tuple[int, int] | None:
    """Read Range as [start, end); None means the whole. Several ranges, or another unit, may be ignored (RFC 9110)."""
    match = _RANGE.fullmatch(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    if start >= size or end <= start:
        raise Refusal(416, "bad-range", f"There are {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return start, end
