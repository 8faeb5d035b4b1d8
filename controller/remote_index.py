"""What the laptop remembers of a target's done-markers: a copy of its listing, which may be thrown away at any time.

A listing is taken over as a whole or not at all. Several processes may read, list and write at once: whoever reads
sees the copy as it was when the plan began, and a marker that is published while somebody lists goes into both copies.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from framehaul.contract.naming import DONE_PREFIX

T = TypeVar("T")

_VERSION = 1
_BUSY_TIMEOUT_S = 30.0
_ROWS_AT_ONCE = 5000
# A listing takes minutes; one that is older than this was given up by whoever began it.
_GIVEN_UP_S = 24 * 3600.0
_CACHE_KIB = 32768  # asked at random: as in `spool`
_SCHEMA = """
CREATE TABLE IF NOT EXISTS listings (
    id INTEGER PRIMARY KEY, target TEXT NOT NULL, endpoint TEXT NOT NULL, begun_at REAL NOT NULL, whole INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS markers (
    listing INTEGER NOT NULL, fingerprint BLOB NOT NULL, params BLOB NOT NULL,
    PRIMARY KEY (listing, fingerprint, params)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Place:
    """Which output folder: its address with a slash at the end, and where its store answers."""

    target: str
    endpoint: str


@dataclass(frozen=True)
class Copy:
    """A listing that was taken over as a whole."""

    id: int
    begun_at: float


class RemoteIndex:
    """The file. Whatever goes wrong with it is a `sqlite3.Error`: who asks can always list instead."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def latest(self, place: Place) -> Copy | None:
        """Find the newest listing of a place."""
        with self._opened() as db:
            return _latest(db, place)

    def take_over(self, place: Place, names: Iterable[str], now: float) -> Copy:
        """Write a listing of markers, given by their names below the target; what the stream raises comes through."""
        with self._opened() as db:
            made = Copy(_begun(db, place, now), now)
            try:
                for keys in _pieces(filter(None, map(marker_keys, names))):
                    with _transaction(db):
                        db.executemany(
                            "INSERT OR IGNORE INTO markers VALUES (?, ?, ?)", ((made.id, *key) for key in keys)
                        )
                with _transaction(db):
                    db.execute("UPDATE listings SET whole = 1 WHERE id = ?", (made.id,))
                    # By the order in which they were begun, whatever the hour: this laptop's clock may have been ahead.
                    _forget(db, place, "whole = 1 AND id < ?", (made.id,))
            except BaseException:
                with contextlib.suppress(sqlite3.Error), _transaction(db):
                    _forget(db, place, "id = ?", (made.id,))
                raise
            return made

    def add(self, place: Place, name: str) -> None:
        """Note a marker that was just published, in every copy of this place; nothing where there is none."""
        keys = marker_keys(name)
        if keys is None or not self.path.exists():
            return
        with self._opened() as db, _transaction(db):
            db.execute(
                "INSERT OR IGNORE INTO markers SELECT id, ?, ? FROM listings WHERE target = ? AND endpoint = ?",
                (*keys, place.target, place.endpoint),
            )

    @contextlib.contextmanager
    def reading(self, copy: Copy, params: bytes) -> Iterator[Callable[[bytes], bool]]:
        """Give the question whether an input is done with these params, answered as the copy is now, to the end."""
        with self._opened() as db:
            db.execute("BEGIN")
            if db.execute("SELECT 1 FROM listings WHERE id = ? AND whole = 1", (copy.id,)).fetchone() is None:
                raise sqlite3.OperationalError("the listing was replaced in this moment")
            query = "SELECT 1 FROM markers WHERE listing = ? AND fingerprint = ? AND params = ?"
            yield lambda fingerprint: db.execute(query, (copy.id, fingerprint, params)).fetchone() is not None

    def discard(self) -> None:
        """Throw the file away."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self._connection()) as db:
            yield db

    def _connection(self) -> sqlite3.Connection:
        try:
            self.path.touch(mode=0o600)
        except OSError as exc:
            raise sqlite3.OperationalError(str(exc.strerror)) from exc
        db = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", f"cache_size=-{_CACHE_KIB}"):
                db.execute(f"PRAGMA {pragma}")
            _prepare(db)
        except BaseException:
            db.close()
            raise
        return db


def marker_keys(name: str) -> tuple[bytes, bytes] | None:
    """Take a marker's name apart: fingerprint and params, 16 bytes each; None where it is no marker of ours."""
    fingerprint, dot, params = name.removeprefix(DONE_PREFIX).partition(".")
    if not dot or len(fingerprint) != 32 or len(params) != 32:
        return None
    try:
        return bytes.fromhex(fingerprint), bytes.fromhex(params)
    except ValueError:
        return None


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables in a fresh file; what another version wrote is forgotten."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == _VERSION:
        return
    with _transaction(db):
        for table in ("listings", "markers"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_VERSION}")


def _latest(db: sqlite3.Connection, place: Place) -> Copy | None:
    row = db.execute(
        "SELECT id, begun_at FROM listings WHERE target = ? AND endpoint = ? AND whole = 1 ORDER BY id DESC",
        (place.target, place.endpoint),
    ).fetchone()
    return None if row is None else Copy(*row)


def _begun(db: sqlite3.Connection, place: Place, now: float) -> int:
    with _transaction(db):
        _forget(db, place, "whole = 0 AND begun_at < ?", (now - _GIVEN_UP_S,))
        made = db.execute(
            "INSERT INTO listings (target, endpoint, begun_at, whole) VALUES (?, ?, ?, 0)",
            (place.target, place.endpoint, now),
        )
        assert made.lastrowid is not None
        return made.lastrowid


def _forget(db: sqlite3.Connection, place: Place, which: str, values: tuple[float | int, ...]) -> None:
    """Delete listings of a place with their markers; `which` is a condition of ours."""
    query = f"SELECT id FROM listings WHERE target = ? AND endpoint = ? AND {which}"  # noqa: S608 - no word of a stranger
    for (listing,) in db.execute(query, (place.target, place.endpoint, *values)).fetchall():
        db.execute("DELETE FROM markers WHERE listing = ?", (listing,))
        db.execute("DELETE FROM listings WHERE id = ?", (listing,))


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _pieces(items: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(items)
    while piece := list(islice(stream, _ROWS_AT_ONCE)):
        yield piece
