"""Find and pin inputs: which bytes, exactly, a job will work on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from controller.inputs.choice import Choice, meeting
from controller.inputs.patterns import is_pattern, is_whole, is_within
from controller.inputs.results import without_results
from controller.inputs.selection import Selection, SetAside
from framehaul.contract.naming import check_file_name
from framehaul.contract.pipeline import Takes
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import InputError, NotFound, StoreError
from framehaul.storage.base import Entry, Store, Stores, pinned

# What counts as a video when a folder is walked; a file that is named outright is taken at its word.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)


@dataclass(frozen=True)
class Source:
    """One input. `folder` is its place below the folder that was named, and becomes the output's.

    `fingerprint` pins the bytes; it is "" where they were only looked at.
    """

    uri: Uri
    name: str
    folder: str
    size: int | None
    fingerprint: str


@dataclass(frozen=True)
class Refusal:
    """An input that cannot be worked on, and why."""

    uri: str
    why: str


@dataclass(frozen=True)
class Root:
    """One input as it was named: a file, a folder, or a pattern for what lies below a folder."""

    text: str
    uri: Uri
    pattern: str = ""

    def below(self, uri: Uri) -> str:
        """Give the path below the folder that was named; the name alone where the file itself was named."""
        base = self.uri.key if self.uri.key.endswith("/") or not self.uri.key else self.uri.key + "/"
        return uri.key[len(base) :] if uri.key.startswith(base) else uri.name

    def names(self, uri: Uri) -> bool:
        """Say whether this very file was named: outright, or by a pattern that spells its suffix."""
        if not self.pattern:
            return uri == self.uri
        suffix = PurePosixPath(self.pattern).suffix
        return bool(suffix) and not is_pattern(suffix) and is_whole(self.below(uri), self.pattern)

    def holds(self, uri: Uri) -> bool:
        """Say whether a pattern wants this file: by its path, or by a folder above it, as a shell's list would."""
        return not self.pattern or is_within(self.below(uri), self.pattern)


def find_sources(
    inputs: Sequence[str],
    takes: Takes,
    target: Uri,
    stores: Stores,
    selection: Selection | None = None,
    aside: SetAside | None = None,
) -> Iterator[Source | Refusal]:
    """Walk every input, each file once, pinned; InputError when a name leads nowhere.

    What lies in the output folder is no input. Whoever has enough stops asking: nothing is listed ahead.
    """
    for store, below, entry in find_entries(inputs, takes, target, stores, selection, aside):
        yield _pin(store, entry, below)


def look_at_sources(
    inputs: Sequence[str],
    takes: Takes,
    target: Uri,
    stores: Stores,
    selection: Selection | None = None,
    aside: SetAside | None = None,
) -> Iterator[Source | Refusal]:
    """Walk like `find_sources`, but read nothing of the files: their fingerprints stay empty.

    Who names the output folder, or a place in it, wants to see the results there.
    """
    for store, below, entry in find_entries(inputs, takes, target, stores, selection, aside, with_results=True):
        yield _pin(store, entry, below, read=entry.size is None)  # such as a link that leads nowhere


def find_entries(
    inputs: Sequence[str],
    takes: Takes,
    target: Uri,
    stores: Stores,
    selection: Selection | None,
    aside: SetAside | None,
    *,
    with_results: bool = False,
) -> Iterator[tuple[Store, str, Entry]]:
    """Stream what is wanted, each address once, with its path below the input; what is left out counts in `aside`."""
    named = [parse_uri(text) for text in inputs]
    choice = Choice(selection or Selection(), aside if aside is not None else SetAside())
    for text, uri, meets in zip(inputs, named, meeting(named), strict=True):
        store = stores.open(uri)
        root, found = _root(text, uri, store), False
        falls_on = choice.falls_once_on if meets else choice.falls_on
        for entry, below in _counting(store, root, takes, target, with_results=with_results):
            found = True
            if falls_on(entry, below):
                yield store, below, entry
        if not found:
            raise _nothing_there(root, takes)


def _root(text: str, uri: Uri, store: Store) -> Root:
    """Take an input apart: the longest part that really is there, and below it a pattern."""
    if uri.scheme in {"http", "https"} or not is_pattern(uri.key) or _is_there(store, uri):
        return Root(text, uri)
    names = uri.key.split("/")
    for depth, name in enumerate(names):
        above = Uri(uri.scheme, uri.authority, "/".join(names[:depth]) + "/" if depth else "")
        if is_pattern(name) and not _is_there(store, above.join(name)):
            return Root(text, above, "/".join(names[depth:]))
    return Root(text, uri)


def _is_there(store: Store, uri: Uri) -> bool:
    """Say whether something is really called so, however odd the name."""
    if uri.scheme == "file" and os.path.lexists(uri.key):
        return True
    return next(store.list(uri), None) is not None


def _counting(
    store: Store, root: Root, takes: Takes, target: Uri, *, with_results: bool
) -> Iterator[tuple[Entry, str]]:
    """Stream what counts as an input below a root, wanted or not, each with its path there."""
    within = _is_below(root.uri, target)
    # What earlier runs put into an output folder that is an input too is no input again.
    entries = without_results(store.list(root.uri)) if within and not with_results else store.list(root.uri)
    for entry in entries:
        below = root.below(entry.uri)
        if root.holds(entry.uri) and _counts(entry.uri, below, root, takes, None if within else target):
            yield entry, below


def _counts(uri: Uri, inside: str, root: Root, takes: Takes, target: Uri | None) -> bool:
    """Say whether a file counts; what lies in the `target`, where one is given, does not."""
    if not root.pattern and root.names(uri):
        return True
    hidden = (inside.startswith(".") or "/." in inside) and not {".", ".."} & set(inside.split("/"))
    if hidden:  # `a/../b.mp4` is not hidden: such a key has to be refused, and told of
        return False
    if target is not None and _is_below(uri, target):
        return False
    return takes.kind != "video" or _suffix(uri.name) in VIDEO_SUFFIXES or root.names(uri)


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def _pin(store: Store, entry: Entry, below: str, *, read: bool = True) -> Source | Refusal:
    folder, name = below.rpartition("/")[0], entry.uri.name
    why = _bad_folder(folder) or _bad_name(below.rpartition("/")[2]) or _bad_name(name)
    if why:
        return Refusal(entry.uri.public(), why)
    try:
        found = pinned(store, entry) if read else entry
        return Source(found.uri, name, folder and folder + "/", found.size, found.fingerprint)
    except NotFound:
        return Refusal(entry.uri.public(), "nothing is there: a broken link, or gone since the folder was read")
    except StoreError as exc:
        if exc.retryable:
            raise  # the store is down: that says nothing of this one input
        return Refusal(entry.uri.public(), str(exc))


@lru_cache(1024)
def _bad_folder(folder: str) -> str:
    """Say why no folder for results can be called so; "" where one can, and for no folder. Neighbours share theirs."""
    return next(filter(None, map(_bad_name, folder.split("/"))), "") if folder else ""


def _bad_name(name: str) -> str:
    """Say why a file cannot be called so here; "" when it can."""
    if not name:
        return "two slashes follow each other in it, or it ends in one: a folder without a name cannot be made"
    try:
        check_file_name(name)
    except ValueError as exc:
        return str(exc)
    return ""


def _is_below(uri: Uri, folder: Uri) -> bool:
    same_store = (uri.scheme, uri.authority) == (folder.scheme, folder.authority)
    if not same_store:
        return False
    base = folder.key.rstrip("/")
    return not base or uri.key == base or uri.key.startswith(base + "/")


def _nothing_there(root: Root, takes: Takes) -> InputError:
    if root.pattern:
        return InputError(f"Nothing fits the pattern {root.text!r}.", advice="** goes to any depth, * does not.")
    shown = root.uri.key if root.uri.scheme == "file" else root.uri.public()
    if root.uri.scheme == "file" and not os.path.lexists(root.uri.key):
        return InputError(f"Nothing lies at {shown}.", advice="Check the name.")
    if takes.kind != "video":
        return InputError(f"There is nothing in {shown}.")
    return InputError(f"There is no video in {shown}.", advice=f"Looked for {', '.join(sorted(VIDEO_SUFFIXES))}.")
