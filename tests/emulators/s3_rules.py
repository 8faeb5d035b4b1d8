"""Keep the faults that stand, say which of them strike a request, and hold what was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.s3_words import Asked

# What may stand in a fault besides its own words: which requests it means, and how often it strikes.
FILTERS = {"method", "operation", "bucket", "key", "query", "presigned", "times", "after"}
FAULTS: dict[str, set[str]] = {
    "expired": set(),
    "future": set(),
    "reused": set(),
    "deny": set(),
    "status": {"code", "error", "message", "retry_after", "region", "endpoint"},
    "error_in_200": {"error", "message", "done"},
    "lose_reply": set(),
    "other_etag": set(),
    "page_in_200": set(),
    "part_as_200": set(),
    "stall": {"seconds", "bytes", "total_bytes", "way"},
    "cut": {"bytes", "total_bytes", "way"},
    "slow": {"bytes_per_s", "way"},
}
_ONCE = {
    "lose_reply",
    "error_in_200",
    "page_in_200",
    "stall",
    "cut",
}  # of these one is what a test means that says no number


@dataclass
class Fault:
    """One thing that is broken, for the requests that it fits."""

    name: str
    words: dict[str, Any]
    number: int
    times: int | None  # how often it may still strike; None: always
    after: int  # how many that fit it lets pass first
    left_bytes: int | None  # of `total_bytes`, over all bodies that fit
    struck: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    strikes: int = 0

    @property
    def standing(self) -> bool:
        """Say whether it may strike or hold; a stall that counts all bodies holds every one until it is released."""
        return self.times != 0 or (self.name == "stall" and self.left_bytes is not None)

    def release(self) -> None:
        """Let go of what a stall holds, for good."""
        self.released.set()

    def fits(self, asked: Asked) -> bool:
        """Say whether it means this request."""
        words = self.words
        named = {"method": asked.method, "operation": asked.operation, "bucket": asked.bucket}
        if any(name in words and value not in _several(words[name]) for name, value in named.items()):
            return False
        if "presigned" in words and words["presigned"] != asked.presigned:
            return False
        return words.get("key", "") in asked.key and _asks_for(asked, words.get("query", ""))


class Book:
    """All faults that stand, the requests so far, and the bytes of their bodies."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.traffic = {"up": 0, "down": 0}
        self.used: set[str] = set()  # signatures of presigned addresses that were answered with success
        self.lock = threading.Lock()
        self._faults: list[Fault] = []
        self._made = 0

    def add(self, name: str, words: dict[str, Any]) -> Fault:
        """Let a fault stand; one with an unknown word is a test's typing error."""
        odd = set(words) - FILTERS - FAULTS.get(name, set())
        if name not in FAULTS or odd:
            raise ValueError(f"no such fault: {name} {' '.join(sorted(odd))}".strip())
        with self.lock:
            self._made += 1
            times = words.get("times", 1 if name in _ONCE else None)
            made = Fault(name, words, self._made, times, words.get("after", 0), words.get("total_bytes"))
            self._faults.append(made)
            return made

    def mend(self, *names: str) -> None:
        """Take away the faults of these names, or all; what a stall held goes on."""
        with self.lock:
            gone = [fault for fault in self._faults if not names or fault.name in names]
            self._faults = [fault for fault in self._faults if fault not in gone]
        for fault in gone:
            fault.release()

    def release(self) -> None:
        """Let go of what is stalled now."""
        for fault in list(self._faults):
            if fault.struck.is_set():
                fault.release()

    def find(self, number: int) -> Fault | None:
        """Give a fault that stands by its number."""
        return next((fault for fault in self._faults if fault.number == number), None)

    def fitting(self, asked: Asked) -> Rules:
        """Gather what stands in this request's way; those that let some pass first count it."""
        with self.lock:
            found = []
            for fault in self._faults:
                if fault.fits(asked) and fault.standing:
                    if fault.after > 0:
                        fault.after -= 1
                    else:
                        found.append(fault)
            return Rules(self, found)

    def strike(self, fault: Fault) -> bool:
        """Count one strike; False when it was used up meanwhile."""
        with self.lock:
            if fault.times == 0:
                return False
            fault.times = None if fault.times is None else fault.times - 1
            fault.strikes += 1
        fault.struck.set()
        return True


@dataclass
class Rules:
    """The faults that fit one request."""

    book: Book
    faults: list[Fault]

    def named(self, name: str) -> Iterator[Fault]:
        """Give those of a name."""
        return (fault for fault in self.faults if fault.name == name)

    def strike(self, name: str) -> Fault | None:
        """Give the first of a name that strikes now, and count it."""
        return next((fault for fault in self.named(name) if self.book.strike(fault)), None)


def _several(words: Any) -> list[Any]:
    return words if isinstance(words, list) else [words]


def _asks_for(asked: Asked, wanted: str) -> bool:
    """Say whether the query has a word, or a word with this value."""
    name, given, value = wanted.partition("=")
    return not name or (name in asked.words and (not given or asked.words[name] == value))
