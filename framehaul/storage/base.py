"""The six verbs of a store, each with its promise. Every store passes `tests/conformance/test_stores.py`.

Stores block; the controller calls them in threads. A store may be used from several threads at once.
Whatever goes wrong is a `FramehaulError`; `retryable` says whether asking again later can help.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, Self, TypeGuard

import framehaul.storage as folder
from framehaul.clock import Clock, SystemClock
from framehaul.contract.grants import InputGrant, MultipartPut, OutputGrant
from framehaul.contract.uris import Uri
from framehaul.errors import BadUri, FramehaulError
from framehaul.storage.accounts import Accounts

Want = Literal["read", "write"]
_NO_STORES = frozenset({"base", "accounts"})


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


@dataclass(frozen=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted. `begun_at` is None where nobody knows."""

    uri: Uri
    upload_id: str
    begun_at: float | None = None


class UploadStore(Store, Protocol):
    """A store that an agent can write to by itself, in parts, under an id that the ledger keeps."""

    def begin_upload(self, uri: Uri) -> str:
        """Open an upload and give its id. Not idempotent: write the id down before anybody may use it."""
        ...

    def sign_upload(self, upload: Upload, *, parts: int, expires_at: float) -> MultipartPut:
        """Write addresses for the first `parts` parts, for completing, aborting and reading back. Asks nobody."""
        ...

    def uploads(self, prefix: Uri) -> Iterator[Upload]:
        """Stream the unfinished uploads at or below the address."""
        ...

    def is_open(self, upload: Upload) -> bool:
        """Say whether the upload can still be written to: neither completed, nor aborted, nor swept by the store."""
        ...

    def abort_upload(self, upload: Upload) -> None:
        """End an upload; its parts are removed and its addresses are worth nothing any more. Idempotent."""
        ...


def takes_uploads(store: Store) -> TypeGuard[UploadStore]:
    """Say whether agents can write to this store by themselves."""
    return callable(getattr(store, "sign_upload", None))


def pinned(store: Store, entry: Entry) -> Entry:
    """Give the entry with its fingerprint; asks the store only where the listing left it empty."""
    return entry if entry.fingerprint else store.stat(entry.uri)


def check_range(start: int, end: int | None) -> None:
    """Refuse a range that no object could satisfy; a mistake of the caller, hence ValueError."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"not a range of bytes: [{start}, {end})")


class Stores:
    """Open stores by address, each bucket or host once, with its scheme's account. May be used by threads."""

    def __init__(self, accounts: Accounts = MappingProxyType({}), clock: Clock | None = None) -> None:
        self._accounts = accounts
        self._clock = clock or SystemClock()
        self._opened: dict[tuple[str, str], Store] = {}
        self._lock = threading.Lock()

    def open(self, uri: Uri) -> Store:
        """Give the store that speaks the address's scheme: a module here that names it in `SCHEMES`."""
        with self._lock:
            place = (uri.scheme, uri.authority)
            if place not in self._opened:
                self._opened[place] = self._load(uri)
            return self._opened[place]

    def endpoint(self, uri: Uri) -> str:
        """Name where the store answers: buckets of one name lie in many places. Asks nobody, "" where nobody knows.

        Where the account leaves it open, the store may know better: a profile of the person's can say it.
        """
        account = self._accounts.get(uri.scheme)
        if account is not None and account.endpoint:
            return account.endpoint
        with contextlib.suppress(FramehaulError):  # whoever uses the store is told
            tell: Callable[[], str] | None = getattr(self.open(uri), "endpoint", None)
            if tell is not None:
                return tell()
        return account.region or "" if account is not None else ""

    def close(self) -> None:
        """Close the connections of the stores that keep any; whoever asks again opens them anew."""
        with self._lock:
            opened, self._opened = list(self._opened.values()), {}
        for store in opened:
            close = getattr(store, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, uri: Uri) -> Store:
        for module in pkgutil.iter_modules(folder.__path__):
            if module.name in _NO_STORES:
                continue
            found = importlib.import_module(f"{folder.__name__}.{module.name}")
            if uri.scheme in getattr(found, "SCHEMES", ()):  # a module without is a part of another one
                store: Store = found.open_store(uri, self._accounts.get(uri.scheme), self._clock)
                return store
        raise BadUri(f"This version has no store for {uri.scheme}:// addresses yet.", advice=f"Asked for: {uri}")
