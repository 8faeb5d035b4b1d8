"""Ranged GETs that break off are taken up where they broke, and never mix two versions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from framehaul.errors import DigestMismatch, StoreError, StoreUnavailable
from tests.storage.s3_scene import Scene

MIB = 1 << 20
BODY = b"".join(bytes([number]) * MIB for number in range(6))


def test_a_cut_is_taken_up_where_it_happened(scene: Scene) -> None:
    """What lay before it is not asked for again, but for less than the last MiB, which came only in part."""
    uri = scene.laid("a.mp4", BODY)
    scene.proxy.fault("cut", bytes=3 * MIB + 5, operation="GetObject", way="down")

    assert scene.read(uri) == BODY

    assert scene.asked() == ["GetObject", "GetObject"]
    assert scene.proxy.traffic()["down"] < len(BODY) + MIB + 10_000
    assert scene.clock.waits == [0.5]


def test_a_part_of_an_object_is_resumed_too(scene: Scene) -> None:
    """Start and end stay what they were."""
    uri = scene.laid("a.mp4", BODY)
    scene.proxy.fault("cut", bytes=2 * MIB, operation="GetObject", way="down")

    assert b"".join(scene.store.get(uri, 7, 4 * MIB + 1)) == BODY[7 : 4 * MIB + 1]


def test_progress_makes_failures_forgotten(scene: Scene) -> None:
    """More cuts than tries, each after some bytes, and the object still arrives."""
    uri = scene.laid("a.mp4", BODY)
    scene.proxy.fault("cut", bytes=MIB + 5, operation="GetObject", way="down", times=5)

    assert scene.read(uri) == BODY


def test_a_store_that_gives_nothing_is_given_up(scene: Scene) -> None:
    """Five tries without a byte; what was read before stays right."""
    uri = scene.laid("a.mp4", BODY)
    pieces = scene.store.get(uri)
    read = next(pieces)
    scene.proxy.down()

    with pytest.raises(StoreUnavailable):
        _read_on(pieces, read)


def test_an_object_replaced_between_two_connections_is_a_mismatch(scene: Scene) -> None:
    """The etag of the second reply is not that of the first, although rclone heeds no If-Match."""
    uri = scene.laid("a.mp4", BODY)
    scene.proxy.fault("cut", bytes=2 * MIB, operation="GetObject", way="down")
    pieces = scene.store.get(uri)
    read = next(pieces)
    scene.store.put(uri, [BODY[::-1]], replace=True)

    with pytest.raises(DigestMismatch, match="was replaced while it was read"):
        _read_on(pieces, read)


def test_an_object_that_became_shorter_is_a_mismatch(scene: Scene) -> None:
    """Where the range lies past the new one's end, that is not the answer to the first question."""
    uri = scene.laid("a.mp4", BODY)
    scene.proxy.fault("cut", bytes=2 * MIB, operation="GetObject", way="down")
    pieces = scene.store.get(uri)
    next(pieces)
    scene.store.put(uri, [b"short"], replace=True)

    with pytest.raises(DigestMismatch):
        list(pieces)


def test_a_range_past_the_end_is_one_error_and_no_retry(scene: Scene) -> None:
    """The size is named; empty ranges are answered without a GET."""
    uri = scene.laid("a.mp4", b"clip")

    with pytest.raises(StoreError, match="4 bytes"):
        list(scene.store.get(uri, 2, 5))
    assert list(scene.store.get(uri, 4, None)) == []

    scene.proxy.forget()
    assert list(scene.store.get(uri, 2, 2)) == []
    assert scene.asked() == ["HeadObject"]
    assert scene.clock.waits == []


def test_a_reader_that_leaves_early_frees_its_connection(scene: Scene) -> None:
    """The rest of the object is not fetched."""
    uri = scene.laid("a.mp4", BODY * 4)
    pieces = scene.store.get(uri)
    next(pieces)

    pieces.close()  # type: ignore[attr-defined] # it is a generator

    assert scene.read(uri) == BODY * 4


def _read_on(pieces: Iterator[bytes], read: bytes) -> None:
    """Read to the end, or to what is raised; every byte on the way is the first object's."""
    for piece in pieces:
        read += piece
        assert BODY.startswith(read)
