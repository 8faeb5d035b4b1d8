"""The parts of the local store: one gate for the disk's errors, plain files only, drafts that become objects."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from framehaul.atomic import sync_folder
from framehaul.errors import AccessDenied, AlreadyExists, NotFound, StoreError, StoreFull, StoreUnavailable

Link = Callable[[Path, Path], None]

_DRAFT = re.compile(r"\.framehaul-[0-9a-f]{24}-[0-9a-f]{16}\.draft")

# What the system's numbers mean to a caller. Everything else is a plain StoreError.
_MEANING: dict[int, tuple[type[StoreError], str]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), (NotFound, "Nothing lies at {}.")),
    **dict.fromkeys((errno.EACCES, errno.EPERM), (AccessDenied, "The system does not let us use {}.")),
    errno.EROFS: (AccessDenied, "The disk of {} is read-only."),
    errno.EEXIST: (AlreadyExists, "Something lies at {} already."),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), (StoreFull, "The disk of {} is full.")),
    errno.EFBIG: (StoreFull, "This disk does not hold files as big as {}."),
    errno.EISDIR: (StoreError, "A folder lies at {}, where a file should be."),
    **dict.fromkeys(
        (
            *(errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS),
            # A disk behind a network, for a while away.
            *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED),
            *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        ),
        (StoreUnavailable, "The disk of {} does not answer now."),
    ),
}

# The disk has no hard links, or not between these two places.
_NO_LINK = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def disk_errors(place: Path | str) -> Iterator[None]:
    """Translate every OSError; the one gate between the disk and the store's callers."""
    try:
        yield
    except OSError as exc:
        raise disk_error(exc, place) from exc


def disk_error(exc: OSError, place: Path | str) -> StoreError:
    """Say in our words what the system said by number."""
    kind, sentence = _MEANING.get(exc.errno or 0, (StoreError, "The disk fails at {}."))
    # repr: a name may hold a newline, or what a terminal would obey.
    return kind(f"{sentence.format(repr(str(place)))} ({exc.strerror or exc})")


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading; a folder, a pipe or a device is a StoreError, and never waited for."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise StoreError(f"{str(path)!r} is no plain file.")
    return file


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each flushed to disk."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another writer was quicker, or a file lies there
        folder.mkdir()
    if not folder.is_dir():
        raise StoreError(f"A file lies at {str(folder)!r}, where a folder should be.")
    sync_folder(folder.parent)


def draft_path(target: Path) -> Path:
    """Name a new draft in the target's folder. `list` leaves such names out; `drafts_of` finds them again."""
    return target.with_name(f"{_draft_stem(target)}-{secrets.token_hex(8)}.draft")


def is_draft(name: str) -> bool:
    """Say whether a file's name is that of a draft, of whatever target."""
    return _DRAFT.fullmatch(name) is not None


def drafts_of(target: Path) -> list[Path]:
    """Find the unfinished drafts of one target; a folder that is missing has none."""
    stem = _draft_stem(target)
    try:
        return [path for path in target.parent.iterdir() if is_draft(path.name) and path.name.startswith(stem)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _draft_stem(target: Path) -> str:
    # Hashed, because the target's own name may already be as long as a name can be.
    return f".framehaul-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24]}"


def write_draft(draft: Path, pieces: Iterable[bytes], place: Path) -> None:
    """Write a new file through to the disk. What `pieces` raises is the source's own and passes untouched."""
    with disk_errors(place):
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for piece in pieces:
            with disk_errors(place):
                _write_all(handle, piece)
        with disk_errors(place):
            os.fsync(handle)
    finally:
        with disk_errors(place):
            os.close(handle)


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def adopt(source: Path, draft: Path, link: Link) -> bool:
    """Make the source's own bytes the draft, without a copy; False where that is not safe or not possible.

    Safe: a plain file of ours with no other name, so that nobody else holds an end of what is published.
    """
    info = source.lstat()
    if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or info.st_uid != os.geteuid():
        return False
    try:
        link(source, draft)
    except OSError as exc:
        if exc.errno in _NO_LINK:
            return False
        raise
    with open_plain(draft) as file:
        os.fsync(file.fileno())
    return True


def publish(draft: Path, target: Path, *, replace: bool, link: Link) -> None:
    """Give the finished draft its name, in one step that either happens or does not."""
    if replace:
        draft.replace(target)
    else:
        _publish_new(draft, target, link)
    sync_folder(target.parent)


def _publish_new(draft: Path, target: Path, link: Link) -> None:
    """Name the draft where nothing lies yet. A link does not replace, a rename does: hence the link."""
    try:
        link(draft, target)
    except FileExistsError as exc:
        raise occupied(target) from exc
    except OSError as exc:
        if exc.errno not in _NO_LINK:
            raise
        _rename_in_turn(draft, target)


def _rename_in_turn(draft: Path, target: Path) -> None:
    """Rename where nothing lies yet, on a disk without hard links (FAT, some network disks).

    Writers of ours take turns by a lock on the folder; a stranger's write in the same instant could be replaced.
    """
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if os.path.lexists(target):
            raise occupied(target)
        draft.rename(target)
    finally:
        os.close(folder)


def occupied(target: Path) -> StoreError:
    """Say what lies where a new file should go: a file is AlreadyExists, a folder is another mistake."""
    kind, sentence = _MEANING[errno.EISDIR if target.is_dir() else errno.EEXIST]
    return kind(sentence.format(repr(str(target))))
