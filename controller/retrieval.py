"""Bring one object home: by ranges and resumable, held against its receipt chunk by chunk, placed by one step.

The half lies in `<parts>/<sha256>.part`, named by content: what was begun for these bytes is gone on with, by whichever
command wants them next. What lies there already is hashed again first; from the first chunk on that is not what the
receipt says, it is fetched anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from controller.errors import ProofFailed
from framehaul.clock import Clock
from framehaul.contract.receipt import OutputReceipt
from framehaul.contract.uris import Uri
from framehaul.errors import AlreadyExists, NotFound, StoreError, StoreFull
from framehaul.storage.base import Store
from framehaul.storage.disk import disk_errors, make_folder, open_plain, publish

_READ_BYTES = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
# A store that is down for ten minutes is waited for; one that gives nothing for this long is given up.
PATIENCE_S = 900.0

Hear = Callable[[int], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Errand:
    """One result to bring home: what the receipt says of it, where it lies, and where it goes."""

    entry: OutputReceipt
    uri: Uri
    target: Path
    parts: Path

    @property
    def part(self) -> Path:
        """Where its half lies."""
        return self.parts / f"{self.entry.sha256}.part"


class Proof:
    """Hash a stream as it comes; ProofFailed at the end of the first chunk that is not what the receipt says."""

    def __init__(self, errand: Errand) -> None:
        self._entry, self._uri = errand.entry, errand.uri
        self._whole, self._chunk = hashlib.sha256(), hashlib.sha256()
        # The whole as it was where the last good chunk ended.
        self._good = (0, self._whole.copy())
        self.size = 0

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while view:
            end = min(self._entry.size, self._good[0] + self._entry.chunk_bytes)
            if self.size >= end:
                raise ProofFailed(f"{self._uri} gives more than the {self._entry.size} bytes of its receipt.")
            piece, view = view[: end - self.size], view[end - self.size :]
            self._whole.update(piece)
            self._chunk.update(piece)
            self.size += len(piece)
            if self.size == end:
                self._close_chunk()

    def back_to_good(self) -> int:
        """Forget what came after the last good chunk; gives how many bytes are left."""
        self.size, self._whole = self._good[0], self._good[1].copy()
        self._chunk = hashlib.sha256()
        return self.size

    def check_whole(self) -> None:
        """Hold the whole against the receipt; its chunks may all be right in a receipt that contradicts itself."""
        if self._whole.hexdigest() != self._entry.sha256:
            raise ProofFailed(f"{self._uri} is not what the receipt says.")

    def _close_chunk(self) -> None:
        start = self._good[0]
        index = start // self._entry.chunk_bytes
        if self._chunk.hexdigest() != self._entry.chunks[index]:
            raise ProofFailed(f"{self._uri}: chunk {index} (from byte {start}) is not what the receipt says.")
        self._good = (self.size, self._whole.copy())
        self._chunk = hashlib.sha256()


def is_here(errand: Errand) -> bool:
    """Say whether the target holds these very bytes; AlreadyExists where something else lies there."""
    path, entry = errand.target, errand.entry
    if not os.path.lexists(path):
        return False
    with disk_errors(path):
        if path.is_file() and path.stat().st_size == entry.size and _sha256(path) == entry.sha256:
            return True
    raise AlreadyExists(
        f"Something else lies at {str(path)!r}, and is not replaced.", advice="Move it away, or say --replace."
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_plain(path) as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def fetch(store: Store, errand: Errand, clock: Clock, *, replace: bool, hear: Hear, tell: Tell) -> None:
    """Download, check and place; what stops it leaves a half that the next call goes on with.

    ProofFailed where the store does not hold what the receipt says: nothing is placed then.
    """
    _check_there(store, errand)
    with disk_errors(errand.part):
        make_folder(errand.parts)
    with _locked(errand.part) as file:
        proof = _what_is_had(file, errand)
        _check_room(errand, proof.size)
        with disk_errors(errand.part):
            _fill(store, errand, file, proof, _Patience(clock, tell), hear)
            _hold_whole(file, errand, proof)
            os.fsync(file.fileno())
            make_folder(errand.target.parent)
            publish(errand.part, errand.target, replace=replace, link=os.link)
            errand.part.unlink(missing_ok=True)


def _check_there(store: Store, errand: Errand) -> None:
    try:
        size = store.stat(errand.uri).size
    except NotFound as exc:
        raise ProofFailed(f"Nothing lies at {errand.uri} any more.") from exc
    if size != errand.entry.size:
        raise ProofFailed(f"{errand.uri} holds {size} bytes, the receipt says {errand.entry.size}.")


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open a half for reading and writing; two commands must not write into one."""
    with disk_errors(part):
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StoreError("Another command is fetching this now.", advice="Wait for its end.") from exc
        yield file


def _what_is_had(file: BinaryIO, errand: Errand) -> Proof:
    """Hash a half that an earlier call left, and cut it off where it ceases to be good."""
    proof = Proof(errand)
    with disk_errors(errand.part):
        try:
            while piece := file.read(_READ_BYTES):
                proof.take(piece)
        except ProofFailed:
            file.truncate(proof.back_to_good())
        file.seek(proof.size)
    return proof


def _check_room(errand: Errand, had: int) -> None:
    with disk_errors(errand.parts):
        free = shutil.disk_usage(errand.parts).free
    lacking = errand.entry.size - had - free
    if lacking > 0:
        raise StoreFull(
            f"{errand.entry.name} needs {lacking / 1e9:.2f} GB more than the disk of {str(errand.parts)!r} has free."
        )


def _fill(store: Store, errand: Errand, file: BinaryIO, proof: Proof, patience: _Patience, hear: Hear) -> None:
    """Fetch what is lacking; a store that does not answer is asked again, from the byte that was reached."""
    while proof.size < errand.entry.size:
        before = proof.size
        try:
            for piece in store.get(errand.uri, proof.size, errand.entry.size):
                _write_all(file, piece)
                proof.take(piece)
                hear(proof.size)
        except ProofFailed:
            file.truncate(proof.back_to_good())
            raise
        except StoreError as exc:
            patience.bear(exc, progress=proof.size > before)


def _hold_whole(file: BinaryIO, errand: Errand, proof: Proof) -> None:
    try:
        proof.check_whole()
    except ProofFailed:
        errand.part.unlink(missing_ok=True)
        raise


def _write_all(file: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


class _Patience:
    """Wait between tries, longer each time, until nothing has come for too long."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock, self._tell = clock, tell
        self._since: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def bear(self, exc: StoreError, *, progress: bool) -> None:
        """Wait and let it be tried again; raises what happened where that cannot help, or no longer."""
        now = self._clock.now()
        if progress or self._since is None:
            self._since, self._pause_s = now, _FIRST_PAUSE_S
            if exc.retryable:
                self._tell(f"{exc.message} Trying again.")
        if not exc.retryable or now - self._since >= PATIENCE_S:
            raise exc
        self._clock.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
