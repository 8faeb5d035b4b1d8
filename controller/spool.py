"""Long lists and large sets that lie on disk, in a file without a name: nobody else sees it, nothing is left of it.

A plan of a million inputs is made with them in the memory that one of a thousand takes.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_IN_MEMORY = 1000
_PAGE = 1000
# A list is written and read from front to back. A table is asked at random: with less than its size in memory, half a
# million entries (20 MiB) cost half as much CPU time again.
_LIST_KIB, _TABLE_KIB = 2048, 32768
_DIGEST_BYTES = 16


class Spool(Sequence[T], Generic[T]):
    """A list that only grows. The last thousand lie in memory as they are, the others on disk, as JSON."""

    def __init__(self, pack: Callable[[T], Any], unpack: Callable[[Any], T]) -> None:
        self._pack, self._unpack = pack, unpack
        self._db: sqlite3.Connection | None = None
        self._spilled = 0
        self._tail: list[T] = []

    def append(self, item: T) -> None:
        """Add at the end."""
        self._tail.append(item)
        if len(self._tail) >= _IN_MEMORY:
            self._spill()

    def __len__(self) -> int:
        return self._spilled + len(self._tail)

    def __iter__(self) -> Iterator[T]:
        return chain(self._pages(), iter(tuple(self._tail)))

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        """Give one item, or some as a list."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        if self._db is None or number >= self._spilled:
            return self._tail[number - self._spilled]
        (text,) = self._db.execute("SELECT body FROM items WHERE number = ?", (number,)).fetchone()
        return self._unpack(json.loads(text))

    def _spill(self) -> None:
        if self._db is None:
            self._db = scratch(self, "CREATE TABLE items (number INTEGER PRIMARY KEY, body TEXT NOT NULL)", _LIST_KIB)
        rows = [(self._spilled + at, json.dumps(self._pack(item))) for at, item in enumerate(self._tail)]
        self._db.executemany("INSERT INTO items VALUES (?, ?)", rows)
        self._spilled += len(rows)
        self._tail = []

    def _pages(self) -> Iterator[T]:
        """Read what is on disk now, in pages: whoever stops in the middle leaves nothing open."""
        end = self._spilled
        for start in range(0, end, _PAGE):
            assert self._db is not None
            page = self._db.execute(
                "SELECT body FROM items WHERE number >= ? AND number < ? ORDER BY number", (start, start + _PAGE)
            ).fetchall()
            for (text,) in page:
                yield self._unpack(json.loads(text))


class Register:
    """A table from texts to texts that only grows; keys are told apart by 128 bits of their digest."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        self._held: dict[bytes, str] = {}

    def add(self, key: str, value: str = "") -> bool:
        """Enter a key; False, and nothing, where it is entered already."""
        name = _digest(key)
        if name in self._held:
            return False
        if self._db is not None:
            done = self._db.execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", (name, value))
            return done.rowcount == 1
        self._held[name] = value
        if len(self._held) >= _IN_MEMORY:
            self._spill()
        return True

    def get(self, key: str) -> str | None:
        """Give what was entered under a key, None where nothing was."""
        name = _digest(key)
        if self._db is None:
            return self._held.get(name)
        row = self._db.execute("SELECT value FROM entries WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def _spill(self) -> None:
        table = "CREATE TABLE entries (name BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        self._db = scratch(self, table, _TABLE_KIB)
        self._db.executemany("INSERT INTO entries VALUES (?, ?)", sorted(self._held.items()))
        self._held = {}


def scratch(owner: object, table: str, cache_kib: int) -> sqlite3.Connection:
    """Open a database in a file without a name, which goes with its owner; holds so much of it in memory at most."""
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, db.close)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{cache_kib}"):
        db.execute(f"PRAGMA {pragma}")
    db.execute(table)
    db.execute("BEGIN")  # once and for good: a transaction of its own for every row would cost ten times as much
    return db


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
