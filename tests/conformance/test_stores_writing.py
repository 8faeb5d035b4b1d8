"""What every store promises that can be written to: putting, granting, aborting. See `test_stores.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from framehaul.contract.grants import FileOut, MultipartPut, OutputGrant, RelayOut
from framehaul.contract.uris import Uri
from framehaul.errors import AlreadyExists, NotFound, StoreError
from tests.conformance.store_rows import (
    BIG,
    FIFTEEN,
    LATER,
    MIB,
    ODD_NAMES,
    ROWS,
    Servers,
    Subject,
    at_most,
    stores_and_names,
    stores_apart,
    stores_that,
)

having = pytest.mark.parametrize


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> Iterator[Subject]:
    """Open the row's store on an empty place."""
    with ROWS[request.param].open(tmp_path / "store", servers) as opened:
        yield opened


# put


@stores_and_names((*ODD_NAMES, "deep/er/than/before.mp4", ".framehaul/done/marker"), "put")
def test_what_was_put_can_be_got(subject: Subject, name: str) -> None:
    """The entry that put gives is the one that stat gives; folders on the way are made."""
    uri = subject.address(name)

    entry = subject.store.put(uri, [FIFTEEN[:4], b"", FIFTEEN[4:]])

    assert entry == subject.store.stat(uri)
    assert subject.read(uri) == FIFTEEN
    assert [found.uri for found in subject.store.list(subject.base)] == [uri]


@stores_and_names(ODD_NAMES, "put", refused=True)
def test_a_name_that_the_server_refuses_is_an_error(subject: Subject, name: str) -> None:
    """Whatever the server's reason (see its row), nobody takes the object for written, and nothing is listed there."""
    address = subject.address(name)

    with pytest.raises(StoreError):
        subject.store.put(address, [FIFTEEN])

    assert address not in {entry.uri for entry in subject.store.list(subject.base)}


@stores_that("put")
def test_a_file_can_be_put(subject: Subject, tmp_path: Path) -> None:
    """A Path arrives with its bytes, and may be deleted afterwards."""
    source = tmp_path / "source"
    source.write_bytes(FIFTEEN)

    entry = subject.store.put(subject.address("clip.mp4"), source)
    source.unlink(missing_ok=True)

    assert entry.size == 15
    assert subject.read(entry.uri) == FIFTEEN


@stores_that("put")
def test_nothing_can_be_put(subject: Subject) -> None:
    """An empty iterable makes an object of zero bytes."""
    entry = subject.store.put(subject.address("empty"), [])

    assert subject.store.stat(entry.uri).size == 0


@stores_that("put")
def test_a_missing_source_is_not_found(subject: Subject, tmp_path: Path) -> None:
    """The error names the source, and nothing comes to lie at the address."""
    with pytest.raises(NotFound, match="no-such-source"):
        subject.store.put(subject.address("clip.mp4"), tmp_path / "no-such-source")

    assert list(subject.store.list(subject.base)) == []


@having("replace", [False, True])
@stores_that("put")
def test_an_object_is_seen_only_when_it_is_whole(subject: Subject, replace: bool) -> None:
    """While its bytes are still coming, readers see what was there before."""
    uri = subject.address("clip.mp4")
    before = [subject.store.put(uri, [b"old"]).uri] if replace else []
    seen: list[list[Uri]] = []

    def halves() -> Iterator[bytes]:
        yield b"new" * MIB
        seen.append([entry.uri for entry in subject.store.list(subject.base)])
        assert not replace or subject.read(uri) == b"old"
        yield b"new"

    subject.store.put(uri, halves(), replace=replace)

    assert seen == [before]
    assert subject.store.stat(uri).size == 3 * MIB + 3


class Broken(Exception):
    """What a source of ours raises."""


@having("replace", [False, True])
@stores_that("put")
def test_a_source_that_breaks_leaves_nothing(subject: Subject, replace: bool) -> None:
    """Its error comes through as it is; readers see what was there before, and a second try succeeds."""
    uri = subject.address("clip.mp4")
    before = [subject.store.put(uri, [b"old"]).uri] if replace else []

    def breaking() -> Iterator[bytes]:
        yield b"half" * MIB
        raise Broken

    with pytest.raises(Broken):
        subject.store.put(uri, breaking(), replace=replace)

    assert [entry.uri for entry in subject.store.list(subject.base)] == before
    subject.store.put(uri, [b"whole"], replace=replace)
    assert subject.read(uri) == b"whole"


@stores_that("put")
def test_put_never_replaces_unless_told(subject: Subject) -> None:
    """AlreadyExists leaves the first object as it was; a retry would not help."""
    uri = subject.address("clip.mp4")
    first = subject.store.put(uri, [b"first"])

    with pytest.raises(AlreadyExists, match=r"clip\.mp4") as caught:
        subject.store.put(uri, [b"second"])

    assert not caught.value.retryable
    assert subject.store.stat(uri) == first


@stores_that("put")
def test_put_replaces_when_told(subject: Subject) -> None:
    """The new content and a new fingerprint are there, also where nothing was before."""
    uri = subject.address("clip.mp4")
    first = subject.store.put(uri, [b"first"], replace=True)

    second = subject.store.put(uri, [b"second"], replace=True)

    assert subject.read(uri) == b"second"
    assert second.fingerprint != first.fingerprint


@stores_that("put")
def test_of_many_writers_at_once_one_wins(subject: Subject) -> None:
    """Eight threads put under one name: one succeeds, seven get AlreadyExists, the winner's bytes lie there whole."""
    uri, writers = subject.address("clip.mp4"), 8
    start = threading.Barrier(writers)

    def write(number: int) -> int | None:
        def pieces() -> Iterator[bytes]:
            yield bytes([number]) * MIB
            start.wait(timeout=30)  # all of them are past every early check by now
            yield bytes([number]) * MIB

        try:
            subject.store.put(uri, pieces())
        except AlreadyExists:
            return None
        return number

    with ThreadPoolExecutor(writers) as pool:
        (winner,) = (number for number in pool.map(write, range(writers)) if number is not None)

    assert subject.read(uri) == bytes([winner]) * (2 * MIB)
    assert [entry.uri for entry in subject.store.list(subject.base)] == [uri]


@stores_apart("put")
def test_a_big_object_is_written_in_bounded_memory(subject: Subject) -> None:
    """32 MiB go through in the pieces that they come in."""
    with at_most(12 * MIB):
        entry = subject.store.put(subject.address("big.mp4"), (bytes([number]) * MIB for number in range(32)))

    assert entry.size == BIG
    edges = [next(subject.store.get(entry.uri, at, at + 1)) for at in range(0, BIG, MIB)]
    assert all(ord(one) + 1 == ord(next_one) for one, next_one in pairwise(edges))


# grant, abort


@stores_that("grant-write")
def test_a_grant_to_write_shows_nothing_and_can_be_taken_back(subject: Subject) -> None:
    """Neither granting nor aborting makes an object; aborting twice is aborting once."""
    uri = subject.address("deep/clip.mp4")
    grant = grant_to_write(subject, uri)

    for _ in range(2):
        subject.store.abort(grant)
        assert list(subject.store.list(subject.base)) == []

    subject.store.put(uri, [FIFTEEN])
    assert subject.read(uri) == FIFTEEN


@stores_that("grant-write")
def test_taking_a_grant_back_spares_what_is_finished(subject: Subject) -> None:
    """An object that lies whole at the address stays."""
    uri = subject.address("clip.mp4")
    grant = grant_to_write(subject, uri)
    subject.store.put(uri, [FIFTEEN])

    subject.store.abort(grant)

    assert subject.read(uri) == FIFTEEN


def grant_to_write(subject: Subject, uri: Uri) -> OutputGrant:
    """Ask for one, and see that it is none to read."""
    grant = subject.store.grant(uri, "write", expires_at=LATER)
    assert isinstance(grant, MultipartPut | RelayOut | FileOut)
    return grant
