"""What a listing of the disk shows, leaves out and says aloud."""

from __future__ import annotations

import logging
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framehaul.contract.uris import Uri
from framehaul.errors import StoreError
from framehaul.storage.disk import draft_path
from framehaul.storage.local import LocalStore


@pytest.fixture
def store() -> LocalStore:
    """Give the store as `open_store` would."""
    return LocalStore()


def at(path: Path) -> Uri:
    """Write a path as an address."""
    return Uri("file", "", str(path))


def below(store: LocalStore, folder: Path) -> list[str]:
    """List a folder by names alone."""
    return [str(Path(entry.uri.key).relative_to(folder)) for entry in store.list(at(folder))]


def test_a_listing_opens_no_file(store: LocalStore, tmp_path: Path) -> None:
    """Entries come without a fingerprint, which would cost two reads each."""
    (tmp_path / "clip").write_bytes(b"content")

    (entry,) = store.list(at(tmp_path))

    assert (entry.size, entry.fingerprint) == (7, "")


def test_links_to_folders_are_left_out_aloud(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop of links cannot trap the listing, and the log names what was not entered."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/clip").write_bytes(b"x")
    (tmp_path / "in/loop").symlink_to(tmp_path)

    with caplog.at_level(logging.WARNING):
        names = below(store, tmp_path)

    assert names == ["in/clip"]
    assert str(tmp_path / "in/loop") in caplog.text


def test_a_link_to_a_folder_is_entered_when_it_is_the_address(store: LocalStore, tmp_path: Path) -> None:
    """Who names the link means the folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/clip").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")

    assert below(store, tmp_path / "link") == ["clip"]


def test_links_to_files_are_objects(store: LocalStore, tmp_path: Path) -> None:
    """They have the size and the bytes of what they point to."""
    (tmp_path / "real").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to("real")

    assert [(entry.size, b"".join(store.get(entry.uri))) for entry in store.list(at(tmp_path))] == [(5, b"bytes")] * 2


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_to_nowhere_is_listed_so_that_stat_can_complain(store: LocalStore, tmp_path: Path, target: str) -> None:
    """It is neither lost in silence nor the end of the listing; this also holds for a link to itself."""
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "real").write_bytes(b"bytes")

    entries = list(store.list(at(tmp_path)))

    assert [entry.size for entry in entries] == [None, 5]
    assert list(store.list(at(tmp_path / "link"))) == entries[:1]
    with pytest.raises(StoreError, match="link"):
        store.stat(entries[0].uri)


def test_a_pipe_is_no_object_and_is_never_waited_for(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening a pipe would block until somebody writes."""
    os.mkfifo(tmp_path / "pipe")

    assert below(store, tmp_path) == []
    assert "pipe" in caplog.text
    with pytest.raises(StoreError, match="no plain file"):
        store.stat(at(tmp_path / "pipe"))
    with pytest.raises(StoreError, match="no plain file"):
        list(store.get(at(tmp_path / "pipe")))


def test_drafts_are_not_listed(store: LocalStore, tmp_path: Path) -> None:
    """What another process is still writing is no object; a name that only looks alike is one."""
    draft_path(tmp_path / "clip").write_bytes(b"half")
    (tmp_path / ".framehaul-notes.draft").write_bytes(b"whole")

    assert below(store, tmp_path) == [".framehaul-notes.draft"]


def test_a_tree_is_listed_without_holding_it(store: LocalStore, tmp_path: Path) -> None:
    """At most the names of one folder a level are in memory, not the entries of the tree."""
    for folder in range(30):
        (tmp_path / f"{folder}").mkdir()
        for number in range(50):
            (tmp_path / f"{folder}/{number}").touch()

    def peak(use: Callable[[Iterator[object]], int]) -> int:
        tracemalloc.start()
        assert use(store.list(at(tmp_path))) == 1500
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(lambda entries: sum(1 for _ in entries)) * 5 < peak(lambda entries: len(list(entries)))


def test_what_vanishes_while_it_is_listed_is_left_out(store: LocalStore, tmp_path: Path) -> None:
    """A listing is no snapshot, and no reason to fail."""
    for name in ("a/1", "a/2", "b/1", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    entries = store.list(at(tmp_path))
    next(entries)

    (tmp_path / "a/2").unlink()
    shutil.rmtree(tmp_path / "b")

    assert [entry.uri for entry in entries] == [at(tmp_path / "c")]
