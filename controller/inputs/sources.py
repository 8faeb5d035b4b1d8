"""Find and pin inputs: which bytes, exactly, a job will work on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from controller.inputs.patterns import is_pattern, is_whole, is_within
from controller.inputs.selection import Selection, SetAside
from framehaul.contract.naming import DONE_PREFIX, check_file_name
from framehaul.contract.pipeline import Takes
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import InputError, NotFound, StoreError
from framehaul.storage.base import Entry, Store, Stores, pinned

# What counts as a video when a folder is walked; a file that is named outright is taken at its word.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)
RESULTS_NAME = "results.json"
_MANIFEST = ".manifest.json"


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
            return str(uri) == str(self.uri)
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
    for store, root, entry in find_entries(inputs, takes, target, stores, selection, aside):
        yield _pin(store, entry, root)


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
    for store, root, entry in find_entries(inputs, takes, target, stores, selection, aside, with_results=True):
        yield _pin(store, entry, root, read=entry.size is None)  # such as a link that leads nowhere


def find_entries(
    inputs: Sequence[str],
    takes: Takes,
    target: Uri,
    stores: Stores,
    selection: Selection | None,
    aside: SetAside | None,
    *,
    with_results: bool = False,
) -> Iterator[tuple[Store, Root, Entry]]:
    """Stream what is wanted, each address once; what `selection` leaves out is counted in `aside`."""
    choice = _Choice(selection or Selection(), aside if aside is not None else SetAside())
    for text in inputs:
        uri = parse_uri(text)
        store = stores.open(uri)
        root, found = _root(text, uri, store), False
        for entry in _counting(store, root, takes, target, with_results=with_results):
            found = True
            if choice.falls_on(entry, root):
                yield store, root, entry
        if not found:
            raise _nothing_there(root, takes)


@dataclass
class _Choice:
    """What was decided so far, so that no file is taken or counted twice."""

    selection: Selection
    aside: SetAside
    judged: set[tuple[str, str]] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def falls_on(self, entry: Entry, root: Root) -> bool:
        """Decide on a file; below another input the same file has another path, and may fit after all."""
        address, below = str(entry.uri), root.below(entry.uri)
        if address in self.taken or (address, below) in self.judged:
            return False
        self.judged.add((address, below))
        if not self.selection.takes(below, entry.modified, self.aside):
            return False
        self.taken.add(address)
        return True


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


def _counting(store: Store, root: Root, takes: Takes, target: Uri, *, with_results: bool) -> Iterator[Entry]:
    """Stream what counts as an input below a root, wanted or not."""
    made = set() if with_results else _made_here(store, root.uri, target)
    for entry in store.list(root.uri):
        if root.holds(entry.uri) and _counts(entry.uri, root, made, takes, target):
            yield entry


def _counts(uri: Uri, root: Root, made: set[str], takes: Takes, target: Uri) -> bool:
    if root.names(uri) and not root.pattern:
        return True
    inside = root.below(uri)
    if str(uri) in made or any(part.startswith(".") for part in inside.split("/")) or DONE_PREFIX in inside:
        return False
    if _is_below(uri, target) and not _is_below(root.uri, target):
        return False
    return root.names(uri) or takes.kind != "video" or PurePosixPath(uri.name).suffix.lower() in VIDEO_SUFFIXES


def _pin(store: Store, entry: Entry, root: Root, *, read: bool = True) -> Source | Refusal:
    why = _bad_name(entry.uri, root)
    if why:
        return Refusal(entry.uri.public(), why)
    try:
        return _source(pinned(store, entry) if read else entry, root)
    except NotFound:
        return Refusal(entry.uri.public(), "nothing is there: a broken link, or gone since the folder was read")
    except StoreError as exc:
        if exc.retryable:
            raise  # the store is down: that says nothing of this one input
        return Refusal(entry.uri.public(), str(exc))


def _bad_name(uri: Uri, root: Root) -> str:
    """Say why a file cannot be called so here; "" when it can."""
    try:
        for name in (*root.below(uri).split("/"), uri.name):
            check_file_name(name)
    except ValueError as exc:
        return str(exc)
    return ""


def _source(entry: Entry, root: Root) -> Source:
    folder = root.below(entry.uri).rpartition("/")[0]
    return Source(entry.uri, entry.uri.name, folder and folder + "/", entry.size, entry.fingerprint)


def _made_here(store: Store, root: Uri, target: Uri) -> set[str]:
    """List what earlier runs put into an output folder that is an input too: no result is an input again."""
    if not _is_below(root, target):
        return set()
    made: set[str] = set()
    for entry in store.list(root):
        name = str(entry.uri)
        if name.endswith(_MANIFEST):
            made |= {name, name.removesuffix(_MANIFEST)}
        elif name.endswith((".preview.jpg", RESULTS_NAME)):
            made.add(name)
    return made


def _is_below(uri: Uri, folder: Uri) -> bool:
    same_store = (uri.scheme, uri.authority) == (folder.scheme, folder.authority)
    return same_store and (uri.key.rstrip("/") + "/").startswith(folder.key.rstrip("/") + "/")


def _nothing_there(root: Root, takes: Takes) -> InputError:
    if root.pattern:
        return InputError(f"Nothing fits the pattern {root.text!r}.", advice="** goes to any depth, * does not.")
    shown = root.uri.key if root.uri.scheme == "file" else root.uri.public()
    if root.uri.scheme == "file" and not os.path.lexists(root.uri.key):
        return InputError(f"Nothing lies at {shown}.", advice="Check the name.")
    if takes.kind != "video":
        return InputError(f"There is nothing in {shown}.")
    return InputError(f"There is no video in {shown}.", advice=f"Looked for {', '.join(sorted(VIDEO_SUFFIXES))}.")
