"""Bring published results home: a batch's own, or whatever the done-markers at an address vouch for.

A marker lies in a bucket, where others may write: what it says of names and folders is confined to the folder that
results are brought to, and where a result lies follows from the address that was asked for, never from the marker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controller.done_marker import DoneMarker, is_of_a_size, read_marker
from controller.errors import ControllerError
from controller.ledger import Batch, Ledger
from controller.retrieval import Errand, Hear, Tell, fetch, is_here
from framehaul.clock import Clock
from framehaul.contract.naming import DONE_PREFIX
from framehaul.contract.receipt import OutputReceipt, Receipt
from framehaul.contract.spec import MANIFEST_SLOT
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import (
    AlreadyExists,
    BadAccount,
    DigestMismatch,
    FramehaulError,
    NoSuchBucket,
    StoreError,
    StoreFull,
)
from framehaul.storage.base import Entry, Store, Stores

PARTS = Path(".framehaul") / "parts"
# A marker is a small object far away: several at once, and not so many, nor such large ones, that memory notices.
_READERS, _AHEAD, _AHEAD_BYTES = 8, 32, 64 << 20


class Fate(StrEnum):
    """What became of one result."""

    FETCHED = "fetched"
    HERE = "here"
    WANTED = "wanted"
    FAILED = "failed"


@dataclass(frozen=True)
class Found:
    """One published object: its entry in the receipt, its folder below the target, and the store's address of it."""

    entry: OutputReceipt
    folder: str
    uri: Uri

    @property
    def inside(self) -> str:
        """Name it below the folder that results are brought to."""
        return self.folder + self.entry.name


@dataclass(frozen=True)
class Unread:
    """A marker that cannot be understood, and why."""

    uri: Uri
    why: str


@dataclass(frozen=True)
class Brought:
    """What became of one result; `why` where it failed."""

    uri: str
    path: str
    size: int
    fate: Fate
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        told = {"from": self.uri, "path": self.path, "size": self.size, "state": str(self.fate)}
        return {**told, "message": self.why} if self.why else told


def found_in_batch(ledger: Ledger, batch: Batch) -> Iterator[Found]:
    """Give what a batch has published, by the receipts that the ledger holds."""
    target = parse_uri(batch.target)
    for job in ledger.published_jobs(batch.id):
        if job.receipt is not None:
            yield from _found(target, job.folder, job.receipt)


def found_at(target: Uri, stores: Stores) -> Iterator[Found | Unread]:
    """Read the done-markers below an address, a few ahead; one that twists its words is told, not obeyed.

    One that cannot be read is told as well, and stops no other; what stops them all is raised.
    """
    store = stores.open(target)
    with ThreadPoolExecutor(_READERS, "markers") as readers:
        ahead: deque[tuple[int, Future[DoneMarker | Unread]]] = deque()
        held = 0
        for entry in store.list(target.join(DONE_PREFIX)):
            size = entry.size if is_of_a_size(entry) and entry.size else 0
            while len(ahead) >= _AHEAD or (ahead and held + size > _AHEAD_BYTES):
                before, reading = ahead.popleft()
                held -= before
                yield from _told_by(target, reading.result())
            held += size
            ahead.append((size, readers.submit(_read, store, entry)))
        while ahead:
            yield from _told_by(target, ahead.popleft()[1].result())


@dataclass(frozen=True)
class Puller:
    """Whoever brings results into one folder."""

    stores: Stores
    clock: Clock
    into: Path
    tell: Tell
    manifests: bool = True
    replace: bool = False
    rehearsal: bool = False

    def pull(self, found: Found | Unread, hear: Hear) -> Brought | None:
        """Bring one result home, or say why not; None where it is not wanted. What would stop every other is raised."""
        if isinstance(found, Unread):
            return Brought(str(found.uri), "", 0, Fate.FAILED, found.why)
        if found.entry.slot == MANIFEST_SLOT and not self.manifests:
            return None
        target = self.into / found.inside
        errand = Errand(found.entry, found.uri, target, self.into / PARTS)
        try:
            return self._told(found, target, self._carried(errand, hear))
        except (StoreFull, BadAccount, NoSuchBucket):
            raise
        except (StoreError, ControllerError, DigestMismatch) as exc:
            if exc.retryable:
                raise
            return self._told(found, target, Fate.FAILED, str(exc))

    def tidy(self) -> None:
        """Remove the folder of halves where none is left."""
        for folder in (self.into / PARTS, (self.into / PARTS).parent):
            try:
                folder.rmdir()
            except OSError:
                return  # a half waits in it, or it is not there

    def _carried(self, errand: Errand, hear: Hear) -> Fate:
        try:
            if is_here(errand):
                return Fate.HERE
        except AlreadyExists:
            if not self.replace:
                raise
        if self.rehearsal:
            return Fate.WANTED
        store = self.stores.open(errand.uri)
        fetch(store, errand, self.clock, replace=self.replace, hear=hear, tell=self.tell)
        return Fate.FETCHED

    def _told(self, found: Found, target: Path, fate: Fate, why: str = "") -> Brought:
        return Brought(str(found.uri), str(target), found.entry.size, fate, why)


def _found(target: Uri, folder: str, receipt: Receipt) -> Iterator[Found]:
    for entry in receipt.outputs:
        yield Found(entry, folder, target.join(folder + entry.name))


def _told_by(target: Uri, marker: DoneMarker | Unread) -> Iterator[Found | Unread]:
    if isinstance(marker, Unread):
        yield marker
    else:
        for one in marker.every():
            yield from _found(target, one.folder, one.receipt)


def _read(store: Store, entry: Entry) -> DoneMarker | Unread:
    try:
        return read_marker(store, entry)
    except ValueError as exc:
        return Unread(entry.uri, _why(exc))
    except (BadAccount, NoSuchBucket):
        raise
    except FramehaulError as exc:
        if exc.retryable:
            raise
        return Unread(entry.uri, str(exc))


def _why(exc: ValueError) -> str:
    if not isinstance(exc, ValidationError):
        return f"It is no done-marker to trust: {exc}."
    error = exc.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, error["loc"]))
    return f"It is no done-marker to trust: {place + ': ' if place else ''}{error['msg']}."
