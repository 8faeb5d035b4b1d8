"""Find, pin and probe inputs: which bytes, exactly, a job will work on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from framehaul.contract.naming import DONE_PREFIX, check_file_name
from framehaul.contract.pipeline import Takes
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import InputError, MediaError, NotFound, StoreError
from framehaul.media.probe import MediaInfo, probe
from framehaul.storage.base import Entry, Store, open_store, pinned

# What counts as a video when a folder is walked; a file that is named outright is taken at its word.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)
RESULTS_NAME = "results.json"
_MANIFEST = ".manifest.json"
_READ_AHEAD_BYTES = 256 << 10


@dataclass(frozen=True)
class Source:
    """One input, pinned. `folder` is its place below the folder that was named, and becomes the output's."""

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


def find_sources(inputs: Sequence[str], takes: Takes, target: Uri) -> Iterator[Source | Refusal]:
    """Walk every input, each once; what lies in the output folder is none. InputError when a name leads nowhere."""
    seen: set[str] = set()
    for text in inputs:
        root = parse_uri(text)
        store = open_store(root)
        found = False
        made = _made_here(store, root, target)
        for entry in store.list(root):
            named = str(entry.uri) == str(root)
            if not named and (str(entry.uri) in made or _skipped(entry.uri, root, takes, target)):
                continue
            found = True
            if str(entry.uri) not in seen:
                seen.add(str(entry.uri))
                yield _pin(store, entry, root)
        if not found:
            raise _nothing_there(root, takes)


def probe_source(source: Source) -> MediaInfo:
    """Read the header by ranged reads, wherever the bytes lie; MediaError when it is no video."""
    if source.size == 0:
        raise MediaError(f"{source.name} is empty (0 bytes).")
    reader = io.BufferedReader(_RangedReader(source), _READ_AHEAD_BYTES)
    return probe(cast(BinaryIO, reader))


def _pin(store: Store, entry: Entry, root: Uri) -> Source | Refusal:
    try:
        check_file_name(entry.uri.name)
        for part in _below(entry.uri, root).split("/")[:-1]:
            check_file_name(part)
        entry = pinned(store, entry)
    except ValueError as exc:
        return Refusal(entry.uri.public(), f"{exc}")
    except NotFound:
        return Refusal(entry.uri.public(), "it vanished while the folder was read")
    except StoreError as exc:
        if exc.retryable:
            raise  # the store is down: that says nothing of this one input
        return Refusal(entry.uri.public(), str(exc))
    return Source(entry.uri, entry.uri.name, _below(entry.uri, root), entry.size, entry.fingerprint)


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


def _below(uri: Uri, root: Uri) -> str:
    base = root.key.rstrip("/") + "/"
    if not uri.key.startswith(base):
        return ""
    parent = str(PurePosixPath(uri.key[len(base) :]).parent)
    return "" if parent == "." else parent + "/"


def _skipped(uri: Uri, root: Uri, takes: Takes, target: Uri) -> bool:
    inside = uri.key[len(root.key.rstrip("/")) + 1 :]
    if any(part.startswith(".") for part in inside.split("/")) or DONE_PREFIX in inside:
        return True
    if _is_below(uri, target) and not _is_below(root, target):
        return True
    return takes.kind == "video" and PurePosixPath(uri.name).suffix.lower() not in VIDEO_SUFFIXES


def _is_below(uri: Uri, folder: Uri) -> bool:
    same_store = (uri.scheme, uri.authority) == (folder.scheme, folder.authority)
    return same_store and (uri.key.rstrip("/") + "/").startswith(folder.key.rstrip("/") + "/")


def _nothing_there(root: Uri, takes: Takes) -> InputError:
    if root.scheme == "file" and not Path(root.key).exists():
        return InputError(f"Nothing lies at {_shown(root)}.", advice="Check the name.")
    if takes.kind != "video":
        return InputError(f"There is nothing in {_shown(root)}.")
    known = ", ".join(sorted(VIDEO_SUFFIXES))
    return InputError(f"There is no video in {_shown(root)}.", advice=f"Looked for {known}.")


def _shown(uri: Uri) -> str:
    return uri.key if uri.scheme == "file" else uri.public()


class _RangedReader(io.RawIOBase):
    """A seekable file over a store's ranged reads, so that only the header travels."""

    def __init__(self, source: Source) -> None:
        if source.size is None:
            raise MediaError(f"{source.name}: its server does not say how long it is.")
        self.name = source.name
        self._store, self._uri, self._size = open_store(source.uri), source.uri, source.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._size, self._at + len(buffer))
        if self._at >= end:
            return 0
        data = b"".join(self._store.get(self._uri, self._at, end))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
