"""A file is the old one or the new one, never a half."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from framehaul.atomic import sync_folder, write_atomic


@pytest.mark.parametrize(("content", "raw"), [(b"\x00\xff", b"\x00\xff"), ("Кошка\n", "Кошка\n".encode()), ("", b"")])
def test_what_was_written_is_there(tmp_path: Path, content: bytes | str, raw: bytes) -> None:
    """Bytes as they are, text as UTF-8, and nothing beside the file."""
    write_atomic(tmp_path / "status.json", content)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"status.json": raw}


def test_what_comes_in_pieces_is_written_as_a_whole(tmp_path: Path) -> None:
    """What is too large for memory; and where the pieces break off the old file stays, and nothing beside it."""
    path = tmp_path / "results.json"
    write_atomic(path, (b"%d " % number for number in range(3)))

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("It broke.")

    with pytest.raises(RuntimeError):
        write_atomic(path, broken())
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"results.json": b"0 1 2 "}


def test_the_mode_is_that_of_the_new_file(tmp_path: Path) -> None:
    """A file that held no secret becomes private when it holds one."""
    path = tmp_path / "grants.json"
    write_atomic(path, "open")

    write_atomic(path, "secret", mode=0o600)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_has_the_old_file_open_reads_the_old_content(tmp_path: Path) -> None:
    """A new inode takes the name; the old one is not written to."""
    path = tmp_path / "status.json"
    write_atomic(path, "old")

    with path.open() as reader:
        write_atomic(path, "new")
        assert reader.read() == "old"

    assert path.read_text() == "new"


def test_a_reader_never_sees_a_half(tmp_path: Path) -> None:
    """While one thread writes two contents in turn, another sees one or the other, whole."""
    path, contents = tmp_path / "status.json", ("a" * 300_000, "b" * 300_000)
    write_atomic(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(40):
            write_atomic(path, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()

    assert seen <= set(contents)


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    """The new name is a folder's: the rename fails, and what was written beside it is gone."""
    (tmp_path / "taken").mkdir()

    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "taken", "content")

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Folders are their owner's to make."""
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "missing/status.json", "content")


def test_syncing_a_folder_leaks_no_handle(tmp_path: Path) -> None:
    """It is called after every rename, for days."""
    before = lowest_free_handle()

    for _ in range(100):
        sync_folder(tmp_path)

    assert lowest_free_handle() < before + 100


def lowest_free_handle() -> int:
    """Give the number that the next open file would have."""
    handle = os.open("/", os.O_RDONLY)
    os.close(handle)
    return handle
