"""Pass a body on in pieces, past the faults that stand in it: a cut, a stall, a slow line."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tests.emulators.s3_rules import Book, Fault, Rules

_SLOW_STEPS_PER_S = 20
_LOOK_EVERY_S = 0.1


class Cut(Exception):
    """Raised where a fault ends the connection."""


class Stream:
    """One body on its way `up` to the store or `down` to the client."""

    def __init__(
        self,
        rules: Rules,
        way: str,
        entry: dict[str, Any],
        keep_bytes: int,
        closing: threading.Event,
        client: socket.socket,
    ) -> None:
        self.passed = 0
        self.kept = bytearray()
        self._book: Book = rules.book
        self._client = client
        self._way, self._entry, self._keep_bytes, self._closing = way, entry, keep_bytes, closing
        here = [fault for fault in rules.faults if fault.words.get("way", way) == way]
        self._slow = next((fault.words["bytes_per_s"] for fault in here if fault.name == "slow"), None)
        self._traps = [fault for fault in here if _place(fault) is not None]

    def pieces(self, source: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
        """Give the body's pieces, cut at the bytes where a fault strikes; raises Cut."""
        self._spring()
        for piece in source:
            view = memoryview(piece)
            while view:
                room = self._claim(len(view))
                if room:
                    self._count(view[:room])
                    yield view[:room]
                    self._idle(room)
                view = view[room:]
                self._spring()

    def _count(self, view: memoryview) -> None:
        """Count before they leave: who has read them may look at the counters at once."""
        self.passed += len(view)
        self._entry[f"{self._way}_bytes"] = self.passed
        with self._book.lock:
            self._book.traffic[self._way] += len(view)
        self.kept += view[: max(0, self._keep_bytes - len(self.kept))]

    def _idle(self, count: int) -> None:
        if self._slow:
            self._closing.wait(count / self._slow)

    def _claim(self, wanted: int) -> int:
        """Say how many bytes may pass before the next fault, at most `wanted`."""
        if self._slow:
            wanted = min(wanted, max(1, int(self._slow / _SLOW_STEPS_PER_S)))
        with self._book.lock:
            room = min([wanted, *(self._distance(fault) for fault in self._traps)])
            for fault in self._traps:
                if fault.left_bytes is not None:
                    fault.left_bytes -= room
        return room

    def _distance(self, fault: Fault) -> int:
        if fault.left_bytes is not None:
            return fault.left_bytes
        return int(fault.words["bytes"]) - self.passed

    def _spring(self) -> None:
        """Strike with whatever stands at this byte."""
        for fault in [fault for fault in self._traps if self._distance(fault) <= 0]:
            self._traps.remove(fault)
            struck = self._book.strike(fault)
            if struck and fault.name == "cut":
                self._entry["fault"] = "cut"
                raise Cut
            if fault.name == "stall" and (struck or fault.left_bytes is not None):
                self._entry["fault"] = "stall"  # one that counts all bodies holds all of them
                hold(fault, self._client)


def hold(fault: Fault, client: socket.socket) -> None:
    """Answer nothing until the stall's seconds are over or somebody lets go; Cut when the client has hung up.

    A store notices that too. One that did not would keep a part locked, and let nobody send it again (rclone).
    """
    seconds = fault.words.get("seconds")
    until = None if seconds is None else time.monotonic() + seconds
    while not fault.released.wait(_LOOK_EVERY_S):
        if until is not None and time.monotonic() >= until:
            return
        if _has_hung_up(client):
            raise Cut


def _has_hung_up(client: socket.socket) -> bool:
    watch = select.poll()
    watch.register(client, select.POLLRDHUP)
    return bool(watch.poll(0))


def _place(fault: Fault) -> object:
    return fault.words.get("bytes", fault.words.get("total_bytes")) if fault.name in {"cut", "stall"} else None
