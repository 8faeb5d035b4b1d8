"""The disk's refusals in our words: none is forgotten, none promises a retry that cannot help."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from framehaul.contract.grants import FileOut
from framehaul.contract.uris import Uri
from framehaul.errors import (
    AccessDenied,
    AlreadyExists,
    BadUri,
    FramehaulError,
    NotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from framehaul.storage.disk import disk_errors
from framehaul.storage.local import LocalStore, disk_fingerprint

MIB = 1 << 20
NOBODY = 65534


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_number_of_the_system_becomes_a_store_error(number: int) -> None:
    """Whatever errno comes, it leaves as a StoreError with the place, the system's words and the cause."""
    with pytest.raises(StoreError, match="/some/place") as caught, disk_errors("/some/place"):
        raise OSError(number, os.strerror(number))

    assert os.strerror(number) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_oserror_without_a_number_is_translated_too() -> None:
    """`shutil` and others raise such."""
    with pytest.raises(StoreError, match="no number") as caught, disk_errors("/some/place"):
        raise OSError("no number")

    assert type(caught.value) is StoreError


MEANINGS: list[tuple[int, type[StoreError], bool]] = [
    (errno.ENOENT, NotFound, False),
    (errno.ENOTDIR, NotFound, False),
    (errno.EACCES, AccessDenied, False),
    (errno.EPERM, AccessDenied, False),
    (errno.EROFS, AccessDenied, False),
    (errno.EEXIST, AlreadyExists, False),
    (errno.ENOSPC, StoreFull, False),
    (errno.EDQUOT, StoreFull, False),
    (errno.EIO, StoreError, False),
    (errno.ESTALE, StoreUnavailable, True),
    (errno.EMFILE, StoreUnavailable, True),
]


@pytest.mark.parametrize(("number", "kind", "retryable"), MEANINGS)
def test_numbers_mean_what_they_say(number: int, kind: type[StoreError], retryable: bool) -> None:
    """The kind tells the caller what happened, `retryable` whether patience helps."""
    with pytest.raises(StoreError) as caught, disk_errors("/some/place"):
        raise OSError(number, os.strerror(number))

    assert (type(caught.value), caught.value.retryable) == (kind, retryable)


VERBS: dict[str, Callable[[LocalStore, Uri, Path], object]] = {
    "list": lambda store, uri, _: list(store.list(uri)),
    "stat": lambda store, uri, _: store.stat(uri),
    "get": lambda store, uri, _: list(store.get(uri)),
    "put": lambda store, uri, _: store.put(uri, [b"new"]),
    "put a path": lambda store, uri, source: store.put(uri, source),
    "replace": lambda store, uri, _: store.put(uri, [b"new"], replace=True),
    "grant": lambda store, uri, _: store.grant(uri, "write", expires_at=0),
    "abort": lambda store, uri, _: store.abort(FileOut(path=uri.key)),
    "fingerprint": lambda store, uri, _: disk_fingerprint(Path(uri.key)),
}
AWKWARD = ("missing", "folder", "folder/", "file/below", "loop", "loop/below", "pipe", "n" * 256, "d" * 300 + "/x")


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("verb", VERBS)
def test_no_oserror_leaks(tmp_path: Path, verb: str, name: str) -> None:
    """At every awkward place every verb works or raises one of ours, and no draft is left."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "source").write_bytes(b"source")
    os.mkfifo(tmp_path / "pipe")

    error = error_of(lambda: VERBS[verb](LocalStore(), Uri("file", "", f"{tmp_path}/{name}"), tmp_path / "source"))

    assert error is None or not error.retryable
    assert not isinstance(error, AlreadyExists) or name in {"loop", "pipe"}
    assert list(tmp_path.rglob(".framehaul-*")) == []


def error_of(call: Callable[[], object]) -> FramehaulError | None:
    """Give the error of ours that the call raises, if it raises one; let every other through."""
    try:
        call()
    except FramehaulError as exc:
        return exc
    return None


@pytest.mark.parametrize("key", ["", "relative/clip", "/nul\0byte", "/half a pair \ud800"])
def test_what_is_no_path_is_a_bad_address(key: str) -> None:
    """No verb hands the system what it cannot take."""
    with pytest.raises((BadUri, StoreError)):
        LocalStore().stat(Uri("file", "", key))
    with pytest.raises(BadUri):
        list(LocalStore().list(Uri("file", "", key)))


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to make files bigger, as a small disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """The system refuses in the middle of a real write: StoreFull, the old object stays, no draft."""
    uri = Uri("file", "", str(tmp_path / "clip"))
    LocalStore().put(uri, [b"old"])

    with pytest.raises(StoreFull) as caught, files_at_most(8 * MIB):
        LocalStore().put(uri, (bytes(MIB) for _ in range(16)), replace=True)

    assert not caught.value.retryable
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that everybody can reach, unlike pytest's own, with two places where nobody may go."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inner in ("locked", "fixed", "tree/locked"):
            (folder / inner).mkdir(parents=True)
        (folder / "unreadable").write_bytes(b"x")
        for path, mode in (("", 0o755), ("locked", 0o000), ("tree/locked", 0o000), ("fixed", 0o555)):
            (folder / path).chmod(mode)
        (folder / "unreadable").chmod(0)
        yield folder
        for inner in ("locked", "tree/locked", "fixed"):
            (folder / inner).chmod(0o755)


FORBIDDEN = """
import os, sys
import framehaul.errors
from framehaul.contract.uris import Uri
from framehaul.storage.local import LocalStore

if os.geteuid() == 0:  # root may do everything
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)

store = LocalStore()
verb, key = sys.argv[1:]
uri = Uri("file", "", key)
try:
    {
        "list": lambda: list(store.list(uri)),
        "stat": lambda: store.stat(uri),
        "get": lambda: list(store.get(uri)),
        "put": lambda: store.put(uri, [b"new"]),
        "replace": lambda: store.put(uri, [b"new"], replace=True),
    }[verb]()
except framehaul.errors.FramehaulError as exc:
    print(type(exc).__name__, exc.retryable)
"""


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        *(("list", "locked"), ("list", "tree"), ("list", "locked/clip")),
        *(("stat", "unreadable"), ("stat", "locked/clip"), ("get", "unreadable"), ("get", "locked/clip")),
        *(("put", "locked/clip"), ("put", "fixed/clip"), ("put", "fixed/new/clip"), ("replace", "fixed/clip")),
    ],
)
def test_what_the_system_forbids_is_access_denied(open_folder: Path, verb: str, name: str) -> None:
    """Also in the middle of a listing: what may not be read is told, not left out. Root becomes nobody for it."""
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, verb, str(open_folder / name)], check=True, capture_output=True, text=True
    )

    assert done.stdout == "AccessDenied False\n"
