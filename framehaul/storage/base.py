"""The six verbs of a store, each with its promise. Every store passes `tests/conformance/test_stores.py`.

Stores block; the controller calls them in threads. A store may be used from several threads at once.
Whatever goes wrong is a `FramehaulError`; `retryable` says whether asking again later can help.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import framehaul.storage as folder
from framehaul.contract.grants import InputGrant, OutputGrant
from framehaul.contract.uris import Uri
from framehaul.errors import BadUri

Want = Literal["read", "write"]


@dataclass(frozen=True)
class Entry:
    """One object: where, how big, and the store's own fingerprint of its content.

    `fingerprint` is "" in a listing where it would cost a read of each object; `stat` and `put` always give it,
    and `pinned` asks for it where it is missing. `size` is None where the store does not say.
    """

    uri: Uri
    size: int | None
    fingerprint: str
    modified: float | None = None


class Store(Protocol):
    """A place that holds bytes under addresses."""

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Stream every object at or below the address, in the byte order of their keys, never all in memory.

        An address of one object gives that object; an empty or missing folder gives nothing. An address is a
        place and not the beginning of a text: `in/c1` does not list `in/c10`. Opens no object.
        """
        ...

    def stat(self, uri: Uri) -> Entry:
        """Describe one object, fingerprint included; NotFound when there is none."""
        ...

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream the bytes [start, end) of one object in pieces; a short answer is an error, never silence.

        A range that reaches past the end is a StoreError, an empty one gives nothing. All pieces are of one
        version: an object replaced meanwhile is a DigestMismatch. Nothing is asked before the first piece is.
        """
        ...

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Write one object as a whole: readers see nothing or all of it. AlreadyExists unless `replace`.

        Of several writers at once without `replace`, one wins. Folders on the way are made. A failure leaves
        nothing behind; what an iterable raises comes through as it is. A Path is given up: the store may keep
        the very file (a hard link), so it must never be written to again, only read or deleted.
        """
        ...

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Let an agent read or write this one object without any account key. Idempotent for reading.

        It is written, not tried: that an object is missing shows when the grant is used.
        """
        ...

    def abort(self, grant: OutputGrant) -> None:
        """Take back a grant to write; what was uploaded under it and not completed is removed. Idempotent."""
        ...


def pinned(store: Store, entry: Entry) -> Entry:
    """Give the entry with its fingerprint; asks the store only where the listing left it empty."""
    return entry if entry.fingerprint else store.stat(entry.uri)


def check_range(start: int, end: int | None) -> None:
    """Refuse a range that no object could satisfy; a mistake of the caller, hence ValueError."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"not a range of bytes: [{start}, {end})")


def open_store(uri: Uri) -> Store:
    """Load the store that speaks the address's scheme: a module here that names it in `SCHEMES`."""
    for module in pkgutil.iter_modules(folder.__path__):
        if module.name == "base":
            continue
        found = importlib.import_module(f"{folder.__name__}.{module.name}")
        if uri.scheme in getattr(found, "SCHEMES", ()):  # a module without is a part of another one
            store: Store = found.open_store(uri)
            return store
    raise BadUri(f"This version has no store for {uri.scheme}:// addresses yet.", advice=f"Asked for: {uri}")


@contextmanager
def opened_store(uri: Uri) -> Iterator[Store]:
    """Load a store for a while; the connections of one that keeps any are closed at the end."""
    store = open_store(uri)
    try:
        yield store
    finally:
        close = getattr(store, "close", None)
        if close is not None:
            close()
