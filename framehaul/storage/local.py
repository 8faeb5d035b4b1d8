"""Files on this machine's disk: `file:` addresses and plain paths.

Below a folder, plain files are objects, and so are links to files. Left out of a listing:

- links to folders, pipes, sockets and devices: named in a warning of the log;
- drafts (`.framehaul-….draft`, see `disk.draft_path`): they are not objects yet.

A link that leads nowhere is listed with no size, so that `stat` can say of this one what is wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from framehaul.clock import Clock
from framehaul.contract.grants import FileIn, FileOut, InputGrant, OutputGrant
from framehaul.contract.uris import Uri
from framehaul.errors import BadUri, DigestMismatch, NotSupported, StoreError
from framehaul.storage.accounts import Account
from framehaul.storage.base import Entry, Want, check_range
from framehaul.storage.disk import (
    Link,
    adopt,
    disk_error,
    disk_errors,
    draft_path,
    drafts_of,
    is_draft,
    make_folder,
    occupied,
    open_plain,
    publish,
    write_draft,
)

SCHEMES = ("file",)
_PIECE_BYTES = 1 << 20
_EDGE_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def open_store(uri: Uri, account: Account | None, clock: Clock) -> LocalStore:
    """Give the one store that holds every path."""
    return LocalStore()


def disk_fingerprint(path: Path) -> str:
    """Tell a file's content apart at the price of two reads: `disk:<size>:<sha256 of first and last MiB>`.

    Up to two MiB the whole content is hashed, once. An edit in the middle that keeps the size goes unnoticed.
    """
    with disk_errors(path), open_plain(path) as file:
        return _fingerprint(file, path)


class LocalStore:
    """A folder tree as a store. `link` makes hard links; a test passes one that cannot."""

    def __init__(self, *, link: Link = os.link) -> None:
        self._link = link

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Stream the files at or below the address; holds the names of one folder per level, never contents.

        Not a snapshot: what comes or goes meanwhile may be in it or not. `fingerprint` stays empty.
        """
        top = _checked(prefix)
        if os.path.isdir(top):  # noqa: PTH112 - a path that ends in / must be a folder; Path drops the slash
            yield from _walk(top)
        elif (entry := _listed(top)) is not None:
            yield entry

    def stat(self, uri: Uri) -> Entry:
        """Describe one file; reads its first and last MiB."""
        path = _file_path(uri)
        with disk_errors(path):
            return _described(uri, path)

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a part of one file. Who replaces the file meanwhile does not disturb the reader."""
        check_range(start, end)
        return _pieces(_file_path(uri), start, end)

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Write a draft beside the target, flush it, and name it; a Path of ours becomes the draft by a hard link."""
        target = _file_path(uri)
        with disk_errors(target):
            make_folder(target.parent)
            if not replace and os.path.lexists(target):  # spares the copy; `publish` is what decides
                raise occupied(target)
        draft = draft_path(target)
        try:
            self._fill(draft, source, target)
            with disk_errors(target):
                entry = _described(uri, draft)
                publish(draft, target, replace=replace, link=self._link)
        finally:
            with contextlib.suppress(OSError):  # what went wrong before is the better news
                draft.unlink(missing_ok=True)
        return entry

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Name the path. It never expires and cannot be revoked: only an agent on this machine may have it."""
        path = str(_file_path(uri))
        return FileIn(path=path) if want == "read" else FileOut(path=path)

    def abort(self, grant: OutputGrant) -> None:
        """Remove every unfinished draft of the granted file, a killed writer's too; a finished file stays."""
        if not isinstance(grant, FileOut):
            raise NotSupported(f"A disk takes back what it granted itself, not {grant.kind}.")
        with disk_errors(grant.path):
            for draft in drafts_of(Path(grant.path)):
                draft.unlink(missing_ok=True)

    def _fill(self, draft: Path, source: Path | Iterable[bytes], target: Path) -> None:
        if isinstance(source, Path):
            with disk_errors(source):
                if adopt(source, draft, self._link):
                    return
            source = _pieces(source, 0, None)
        write_draft(draft, source, target)


def _checked(uri: Uri) -> str:
    try:
        raw = os.fsencode(uri.key)
    except UnicodeEncodeError as exc:
        raise BadUri(f"No file can be called {uri.key!r}.") from exc
    if b"\0" in raw or not raw.startswith(b"/"):
        raise BadUri(f"Not a path from the root: {uri.key!r}.")
    return uri.key


def _file_path(uri: Uri) -> Path:
    if uri.is_folder:
        raise StoreError(f"{uri.key!r} names a folder; one file is wanted.")
    return Path(_checked(uri))


def _walk(top: str) -> Iterator[Entry]:
    """Descend without recursion: a generator per level would hand every entry up through all of them."""
    levels = [_below(top)]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif path.endswith("/"):
            levels.append(_below(path))
        elif (entry := _listed(path)) is not None:
            yield entry


def _below(folder: str) -> Iterator[str]:
    """Give a folder's paths in the order of their keys; folders end in a slash, which sorts `a-b` before `a/b`."""
    base = folder if folder.endswith("/") else folder + "/"
    try:
        with os.scandir(base) as found:
            names = [_sort_key(entry) for entry in found if not is_draft(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return iter(())  # gone since the folder above was read
    except OSError as exc:
        raise disk_error(exc, base) from exc
    names.sort()
    return (base + os.fsdecode(name) for name in names)


def _sort_key(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _listed(path: str) -> Entry | None:
    """Describe a listed name from the inode alone; None for what is no object, or gone by now."""
    uri = Uri("file", "", path)
    try:
        info = os.stat(path)  # noqa: PTH116 - a million paths are not made into objects
    except OSError as exc:
        if os.path.islink(path):  # noqa: PTH114
            return Entry(uri, None, "")
        if isinstance(exc, FileNotFoundError | NotADirectoryError):
            return None
        raise disk_error(exc, path) from exc
    if not stat.S_ISREG(info.st_mode):
        _log.warning("Not listed, since it is no plain file: %r", path)
        return None
    return Entry(uri, info.st_size, "", info.st_mtime)


def _described(uri: Uri, path: Path) -> Entry:
    with open_plain(path) as file:
        info = os.fstat(file.fileno())
        return Entry(uri, info.st_size, _fingerprint(file, path), info.st_mtime)


def _fingerprint(file: BinaryIO, path: Path) -> str:
    size = os.fstat(file.fileno()).st_size
    digest = hashlib.sha256()
    for start, end in ((0, min(size, _EDGE_BYTES)), (max(_EDGE_BYTES, size - _EDGE_BYTES), size)):
        for piece in _span(file, path, start, end):
            digest.update(piece)
    return f"disk:{size}:{digest.hexdigest()}"


def _pieces(path: Path, start: int, end: int | None) -> Iterator[bytes]:
    with disk_errors(path), open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        stop = size if end is None else end
        if max(start, stop) > size:
            raise StoreError(f"{str(path)!r} has {size} bytes; [{start}, {stop}) reaches past its end.")
        yield from _span(file, path, start, stop)


def _span(file: BinaryIO, path: Path, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end:
        piece = file.read(min(_PIECE_BYTES, end - start))
        if not piece:
            raise DigestMismatch(f"{str(path)!r} became shorter while it was read.")
        start += len(piece)
        yield piece
