"""Which inputs are done at a target: by its done-markers, from one listing or from what is remembered of one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Self

from controller.remote_index import Copy, Place, RemoteIndex
from controller.spool import Register
from framehaul.contract.naming import DONE_PREFIX, fingerprint_key
from framehaul.contract.uris import Uri
from framehaul.storage.base import Stores

# For so long a listing is taken for what lies there. What this laptop publishes is added to it; what others publish or
# delete shows after this time at the latest. Long enough for plan, try and run of one sitting to list once.
REMEMBERED_S = 15 * 60.0


class Markers:
    """The question whether an input is done with the plan's parameters. To be closed."""

    def __init__(self, target: Uri, params_digest: str, stores: Stores, index: RemoteIndex | None, now: float) -> None:
        """Look at nothing yet. Folders of this disk are never remembered: to list them costs nothing."""
        self._target, self._stores, self._now = target.join(""), stores, now
        self._digest = params_digest
        self._index = None if target.scheme == "file" else index
        self._place = place_of(target, stores)
        self._ask: Callable[[bytes], bool] = lambda fingerprint: False
        self._open = contextlib.ExitStack()
        self.trouble = ""
        # How many seconds ago the listing was made that answers; None where it was made for this plan.
        self.age_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def look(self, *, refresh: bool) -> None:
        """Take what is remembered while it is fresh, else list."""
        self._open.close()
        self.age_s = None
        try:
            self._remember(refresh=refresh)
        except sqlite3.OperationalError as exc:
            self._do_without(f"The remote index could not be used ({exc}); the results' folder was listed instead.")
        except sqlite3.DatabaseError:
            assert self._index is not None
            self._index.discard()
            self.trouble = "The remote index was damaged; it was thrown away, and is made anew."
            with contextlib.suppress(sqlite3.Error):
                self._remember(refresh=True)
                return
            self._do_without(self.trouble)

    def hold(self, fingerprint: str) -> bool:
        """Say whether this input is done."""
        key = bytes.fromhex(fingerprint_key(fingerprint))
        try:
            return self._ask(key)
        except sqlite3.Error as exc:
            self._do_without(f"The remote index failed ({exc}); the results' folder was listed instead.")
            return self._ask(key)

    def _remember(self, *, refresh: bool) -> None:
        if self._index is None:
            self._do_without("")
            return
        copy = None if refresh else self._index.latest(self._place)
        if copy is not None and 0 <= self._now - copy.begun_at < REMEMBERED_S:
            self.age_s = self._now - copy.begun_at
        else:
            copy = self._index.take_over(self._place, self._names(), self._now)
        self._read(copy)

    def _read(self, copy: Copy) -> None:
        assert self._index is not None
        self._ask = self._open.enter_context(self._index.reading(copy, bytes.fromhex(self._digest[:32])))

    def _do_without(self, trouble: str) -> None:
        """List, and keep what concerns these parameters for this plan alone."""
        self._open.close()
        self.trouble, self.age_s = trouble, None
        ending, held = f".{self._digest[:32]}", Register()
        for name in self._names():
            if name.endswith(ending):
                held.add(name.removeprefix(DONE_PREFIX).removesuffix(ending))
        self._ask = lambda fingerprint: fingerprint.hex() in held

    def _names(self) -> Iterator[str]:
        """Stream the markers' names below the target, from one listing."""
        start = len(self._target.key)
        for entry in self._stores.open(self._target).list(self._target.join(DONE_PREFIX)):
            yield entry.uri.key[start:]


def place_of(target: Uri, stores: Stores) -> Place:
    """Name a results' folder in one way."""
    return Place(str(target.join("")), stores.endpoint(target))


def remember_done(index: RemoteIndex, target: Uri, stores: Stores, marker: str) -> None:
    """Add a marker that was just written to what is remembered; where that fails, rather forget it all.

    An index that lacks a marker would have the work done, and paid for, a second time.
    """
    if target.scheme == "file":
        return
    try:
        index.add(place_of(target, stores), marker)
    except sqlite3.Error:
        with contextlib.suppress(OSError):
            index.discard()
