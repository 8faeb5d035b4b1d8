"""What the disk promises beyond the common suite: the fingerprint, links, drafts."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framehaul.contract.grants import FileIn, FileOut, RelayOut
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import AlreadyExists, DigestMismatch, NotFound, NotSupported, StoreError
from framehaul.storage.base import Stores
from framehaul.storage.disk import draft_path
from framehaul.storage.local import LocalStore, disk_fingerprint

MIB = 1 << 20


@pytest.fixture
def store() -> LocalStore:
    """Give the store as `open_store` would."""
    return LocalStore()


def at(path: Path) -> Uri:
    """Write a path as an address."""
    return Uri("file", "", str(path))


def no_links(errno_: int) -> Callable[[Path, Path], None]:
    """Make hard links as a disk does that has none."""

    def link(source: Path, target: Path) -> None:
        raise OSError(errno_, os.strerror(errno_), str(source), None, str(target))

    return link


def test_a_path_opens_this_store() -> None:
    """Whatever names no other scheme is a file."""
    assert isinstance(Stores().open(parse_uri("clips/in")), LocalStore)


# the fingerprint


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB - 1, 2 * MIB])
def test_a_small_file_is_hashed_whole(tmp_path: Path, size: int) -> None:
    """Up to two MiB the fingerprint is the size and the sha256 of everything."""
    content = os.urandom(size)
    path = tmp_path / "clip"
    path.write_bytes(content)

    assert disk_fingerprint(path) == f"disk:{size}:{hashlib.sha256(content).hexdigest()}"


def test_a_big_file_is_hashed_at_both_ends(tmp_path: Path) -> None:
    """First and last MiB count; what changes between them with the same size is not seen."""
    content = bytearray(os.urandom(3 * MIB))
    path = tmp_path / "clip"
    path.write_bytes(content)
    expected = f"disk:{3 * MIB}:{hashlib.sha256(content[:MIB] + content[-MIB:]).hexdigest()}"
    assert disk_fingerprint(path) == expected

    content[MIB] ^= 1
    path.write_bytes(content)
    assert disk_fingerprint(path) == expected

    content[MIB - 1] ^= 1
    path.write_bytes(content)
    assert disk_fingerprint(path) != expected


def test_stat_and_the_public_function_agree(store: LocalStore, tmp_path: Path) -> None:
    """The agent recomputes the fingerprint that the plan took from `stat`."""
    (tmp_path / "clip").write_bytes(b"content")

    assert store.stat(at(tmp_path / "clip")).fingerprint == disk_fingerprint(tmp_path / "clip")


# get


def test_a_file_that_shrinks_while_it_is_read_is_an_error(store: LocalStore, tmp_path: Path) -> None:
    """Its size was told before; fewer bytes are not the bytes that were promised."""
    path = tmp_path / "clip"
    path.write_bytes(bytes(3 * MIB))
    pieces = store.get(at(path))
    next(pieces)

    os.truncate(path, MIB + 5)

    with pytest.raises(DigestMismatch, match="shorter"):
        list(pieces)


# put


def test_a_file_of_ours_is_put_without_a_copy(store: LocalStore, tmp_path: Path) -> None:
    """Target and source are one inode; the source keeps its name until its owner deletes it."""
    source, target = tmp_path / "source", tmp_path / "out/target"
    source.write_bytes(b"content")

    store.put(at(target), source)

    assert target.samefile(source)
    assert sorted(path.name for path in target.parent.iterdir()) == ["target"]


def test_a_file_with_a_second_name_is_copied(store: LocalStore, tmp_path: Path) -> None:
    """Whoever holds the other name could write into what is published; so could the first of two targets."""
    source = tmp_path / "source"
    source.write_bytes(b"content")

    for name in ("one", "two"):
        store.put(at(tmp_path / name), source)

    assert (tmp_path / "one").samefile(source)
    assert not (tmp_path / "two").samefile(source)
    assert (tmp_path / "two").read_bytes() == b"content"


def test_what_a_link_points_to_is_copied(store: LocalStore, tmp_path: Path) -> None:
    """A link as the source puts bytes, not the link."""
    (tmp_path / "real").write_bytes(b"content")
    (tmp_path / "link").symlink_to("real")

    store.put(at(tmp_path / "target"), tmp_path / "link")

    assert not (tmp_path / "target").is_symlink()
    assert not (tmp_path / "target").samefile(tmp_path / "real")


@pytest.mark.parametrize("why", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_disk_without_links_can_be_written(tmp_path: Path, why: int) -> None:
    """The source is copied, and a new name is still given only where nothing lies."""
    store = LocalStore(link=no_links(why))
    (tmp_path / "source").write_bytes(b"content")

    entry = store.put(at(tmp_path / "target"), tmp_path / "source")

    assert not (tmp_path / "target").samefile(tmp_path / "source")
    assert entry == store.stat(at(tmp_path / "target"))
    with pytest.raises(AlreadyExists):
        store.put(at(tmp_path / "target"), [b"other"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


@pytest.mark.parametrize("link", [os.link, no_links(errno.EPERM)])
def test_a_name_taken_at_the_last_moment_is_not_replaced(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    """The check that decides comes after the last byte, with links and without."""
    target = tmp_path / "target"

    def pieces() -> Iterator[bytes]:
        yield b"ours"
        target.write_bytes(b"theirs")

    with pytest.raises(AlreadyExists):
        LocalStore(link=link).put(at(target), pieces())

    assert target.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_file_can_be_put_onto_itself(store: LocalStore, tmp_path: Path) -> None:
    """Renaming one name of an inode over another does nothing; nothing may be lost by that."""
    path = tmp_path / "clip"
    path.write_bytes(b"content")

    store.put(at(path), path, replace=True)

    assert path.read_bytes() == b"content"
    assert [found.name for found in tmp_path.iterdir()] == ["clip"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_is_never_replaced_by_a_file(store: LocalStore, tmp_path: Path, replace: bool) -> None:
    """It is not AlreadyExists either, which a caller may take for "done before"."""
    (tmp_path / "target").mkdir()

    with pytest.raises(StoreError, match="folder") as caught:
        store.put(at(tmp_path / "target"), [b"content"], replace=replace)

    assert type(caught.value) is StoreError
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_file_in_the_way_of_a_folder_is_told(store: LocalStore, tmp_path: Path) -> None:
    """The sentence names the file, and it is no AlreadyExists of the target."""
    (tmp_path / "file").write_bytes(b"x")

    with pytest.raises(StoreError, match=r"A file lies at .*/file', where a folder should be") as caught:
        store.put(at(tmp_path / "file/deep/er"), [b"content"])

    assert type(caught.value) is StoreError


def test_a_source_that_fails_with_an_oserror_is_not_taken_for_the_disk(store: LocalStore, tmp_path: Path) -> None:
    """A network that breaks while it feeds us is no full disk."""

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put(at(tmp_path / "target"), pieces())

    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from framehaul.contract.uris import Uri
from framehaul.storage.local import LocalStore

def pieces():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)

LocalStore().put(Uri("file", "", sys.argv[1]), pieces())
"""


def test_a_killed_writer_leaves_nothing_to_see_and_abort_sweeps(store: LocalStore, tmp_path: Path) -> None:
    """SIGKILL in the middle: no object, one hidden draft, which taking back the grant removes; other drafts stay."""
    target, other = tmp_path / "clip", draft_path(tmp_path / "other")
    other.touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (list(store.list(at(tmp_path))), len(list(tmp_path.iterdir()))) == ([], 2)

    store.abort(FileOut(path=str(target)))

    assert list(tmp_path.iterdir()) == [other]


# grant, abort


def test_grants_are_paths(store: LocalStore, tmp_path: Path) -> None:
    """An agent on this machine needs no more."""
    clip = tmp_path / "with space"

    assert store.grant(at(clip), "read", expires_at=0) == FileIn(path=str(clip))
    assert store.grant(at(clip), "write", expires_at=0) == FileOut(path=str(clip))


def test_a_foreign_grant_cannot_be_taken_back_here(store: LocalStore) -> None:
    """A relay is not the disk's to abort."""
    with pytest.raises(NotSupported, match="relay-out"):
        store.abort(RelayOut())


def test_aborting_where_no_folder_is_does_nothing(store: LocalStore, tmp_path: Path) -> None:
    """Idempotent, before anything was written and after everything was deleted."""
    store.abort(FileOut(path=str(tmp_path / "no/such/clip")))

    with pytest.raises(NotFound):
        store.stat(at(tmp_path / "no/such/clip"))
