"""Make up buckets of a million objects by formulas: their keys in byte order, found by bisection, written nowhere.

A plan is JSON: {"buckets": {NAME: [ROW, …]}}. The rows of a bucket are merged in byte order. A row is one of:

    {"pattern": "in/{folder:04d}/clip {i:07d}.mp4", "count": 1000000}
        keys 0 … count-1, which the pattern must bring out in order; {folder} is i // 1000. Each has an etag, a size and
        an hour: "seed" (md5 of "SEED:i" is the etag), "size" (1000000) plus i % "spread" (1000), "modified" (epoch)
        plus i // 1000
    {"marks": "out/.framehaul/done/", "of": 0, "step": 2, "start": 0, "digest": "0123…"}
        for every `step`-th object from `start` on of this bucket's row `of` (or of "bucket": NAME): the key
        <marks><first 32 of sha256("s3:etag:" + its etag)>.<first 32 of digest>; empty objects
    {"keys_file": PATH}
        a line each, sorted or not: key, or key TAB size TAB etag TAB epoch
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FOLDER_KEYS = 1000
_EMPTY_MD5 = hashlib.md5(b"").hexdigest()


class Thing(NamedTuple):
    """One object, as a list tells of it."""

    key: str
    size: int
    etag: str
    modified: float


class Row(Protocol):
    """Objects in byte order of their keys."""

    def walk(self, after: str, *, inclusive: bool) -> Iterator[Thing]:
        """Give the objects after a key, or from it on."""


@dataclass(frozen=True)
class Formula:
    """Objects whose keys are counted."""

    pattern: str
    count: int
    seed: str = "clip"
    size: int = 1_000_000
    spread: int = 1000
    modified: float = 1_767_225_600.0

    def key(self, number: int) -> str:
        """Give the key of an object by its number."""
        return self.pattern.format(i=number, folder=number // FOLDER_KEYS)

    def etag(self, number: int) -> str:
        """Give the etag of an object by its number."""
        return hashlib.md5(f"{self.seed}:{number}".encode()).hexdigest()

    def walk(self, after: str, *, inclusive: bool) -> Iterator[Thing]:
        """Give the objects after a key, or from it on."""
        find = bisect_left if inclusive else bisect_right
        for number in range(find(range(self.count), after, key=self.key), self.count):
            yield self.thing(number)

    def thing(self, number: int) -> Thing:
        """Give an object by its number."""
        return Thing(
            self.key(number), self.size + number % self.spread, self.etag(number), self.modified + number // 1000
        )


@dataclass(frozen=True)
class Listed:
    """Objects whose keys are known one by one."""

    keys: Sequence[str]
    said: Mapping[str, Thing]

    def walk(self, after: str, *, inclusive: bool) -> Iterator[Thing]:
        """Give the objects after a key, or from it on."""
        find = bisect_left if inclusive else bisect_right
        for place in range(find(self.keys, after), len(self.keys)):
            key = self.keys[place]
            yield self.said.get(key) or Thing(key, 0, _EMPTY_MD5, 1_767_225_600.0)


@dataclass(frozen=True)
class Page:
    """One answer of a list."""

    things: list[Thing]
    folders: list[str]
    last: str | None  # where the next one goes on; None at the end


@dataclass(frozen=True)
class Bucket:
    """Rows, merged."""

    rows: Sequence[Row]

    def find(self, key: str) -> Thing | None:
        """Give one object."""
        found = next(self._walk(key, inclusive=True), None)
        return found if found and found.key == key else None

    def page(self, prefix: str, after: str, delimiter: str, limit: int) -> Page:
        """Give up to `limit` objects and folders below a prefix, after a key or a folder."""
        page = Page([], [], None)
        folded = bool(delimiter) and after.startswith(prefix) and after.endswith(delimiter)
        source = self._from(prefix, _successor(after) if folded else after, inclusive=folded)
        last = after
        while (thing := next(source, None)) and thing.key.startswith(prefix):
            if len(page.things) + len(page.folders) == limit:
                return Page(page.things, page.folders, last)
            name, found, _ = thing.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                last = f"{prefix}{name}{delimiter}"
                page.folders.append(last)
                source = self._walk(_successor(last), inclusive=True)
            else:
                last = thing.key
                page.things.append(thing)
        return page

    def _from(self, prefix: str, after: str, *, inclusive: bool) -> Iterator[Thing]:
        return self._walk(prefix, inclusive=True) if after < prefix else self._walk(after, inclusive=inclusive)

    def _walk(self, after: str, *, inclusive: bool) -> Iterator[Thing]:
        rows = [row.walk(after, inclusive=inclusive) for row in self.rows]
        started = [(first, row) for row in rows if (first := next(row, None)) is not None]
        return heapq.merge(*(_chain(first, row) for first, row in started))


def buckets(plan: Mapping[str, Any]) -> dict[str, Bucket]:
    """Build what a plan describes."""
    rows: dict[str, list[Row]] = {}
    for name, specs in plan["buckets"].items():
        rows[name] = []
        for spec in specs:
            rows[name].append(_row(name, spec, rows))
    return {name: Bucket(found) for name, found in rows.items()}


def _row(name: str, spec: dict[str, Any], rows: Mapping[str, list[Row]]) -> Row:
    match spec:
        case {"pattern": _}:
            return Formula(**spec)
        case {"marks": str(prefix), "of": int(place), "digest": str(digest)}:
            objects = rows[spec.get("bucket", name)][place]
            if not isinstance(objects, Formula):
                raise ValueError("only objects of a formula can be marked")
            numbers = range(spec.get("start", 0), objects.count, spec.get("step", 1))
            return Listed(sorted(f"{prefix}{_mark(objects.etag(number), digest)}" for number in numbers), {})
        case {"keys_file": str(path)}:
            return _listed(Path(path).read_text(encoding="utf-8").splitlines())
    raise ValueError(f"no such row: {sorted(spec)}")


def _mark(etag: str, digest: str) -> str:
    return f"{hashlib.sha256(f's3:etag:{etag}'.encode()).hexdigest()[:32]}.{digest[:32]}"


def _listed(lines: Sequence[str]) -> Listed:
    said = {}
    for line in lines:
        key, *more = line.split("\t")
        if more:
            said[key] = Thing(key, int(more[0]), more[1], float(more[2]))
    return Listed(sorted(line.partition("\t")[0] for line in lines), said)


def _chain(first: Thing, rest: Iterator[Thing]) -> Iterator[Thing]:
    yield first
    yield from rest


def _successor(prefix: str) -> str:
    """Give the first word after all that begin so."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
