"""Objects are written whole: in parts where they are big, once where a reply is lost, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from framehaul.errors import AccessDenied, AlreadyExists, DigestMismatch, StoreUnavailable
from framehaul.storage.s3_parts import PART_BYTES, file_parts, part_bytes, spooled_parts
from tests.storage.s3_scene import Scene

MIB = 1 << 20
BIG = [bytes([number]) * MIB for number in range(18)]


def _nothing_is_left(scene: Scene) -> bool:
    return list(scene.store.uploads(scene.base)) == [] and list(scene.store.list(scene.base)) == []


def test_few_bytes_go_in_one_request(scene: Scene) -> None:
    """A look before it, and a look behind it."""
    scene.proxy.forget()

    scene.store.put(scene.at("marker"), [b"done"])

    assert scene.asked() == ["HeadObject", "PutObject", "HeadObject"]


def test_many_bytes_go_in_parts(scene: Scene, tmp_path: Path) -> None:
    """From an iterable and from a file alike; what arrived is looked at."""
    source = tmp_path / "source"
    source.write_bytes(b"".join(BIG))

    for name, given in (("pieces", iter(BIG)), ("file", source)):
        scene.proxy.forget()
        entry = scene.store.put(scene.at(name), given, replace=True)

        assert scene.read(entry.uri) == b"".join(BIG)
        assert scene.asked()[:6] == [
            "HeadObject",
            "CreateMultipartUpload",
            *("UploadPart", "UploadPart"),
            "CompleteMultipartUpload",
            "HeadObject",
        ]


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_lost_reply_is_asked_for_again(scene: Scene, operation: str) -> None:
    """The object lies there once and whole, with `replace` or without, and the put succeeds."""
    pieces = [b"few"] if operation == "PutObject" else BIG
    scene.proxy.fault("lose_reply", operation=operation)

    entry = scene.store.put(scene.at("a.mp4"), pieces)

    assert scene.read(entry.uri) == b"".join(pieces)
    assert scene.proxy.count(operation=operation) >= 2


def test_a_part_that_was_cut_is_sent_again(scene: Scene) -> None:
    """From its beginning, and only that part."""
    scene.proxy.fault("cut", bytes=MIB, operation="UploadPart", way="up")

    entry = scene.store.put(scene.at("a.mp4"), BIG)

    assert scene.read(entry.uri) == b"".join(BIG)
    assert scene.proxy.count(operation="UploadPart") == 3


def test_an_error_inside_a_success_is_an_error(scene: Scene) -> None:
    """Amazon says 200 to `complete` before it knows; the upload is completed again."""
    scene.proxy.fault("error_in_200", operation="CompleteMultipartUpload")

    entry = scene.store.put(scene.at("a.mp4"), BIG)

    assert scene.read(entry.uri) == b"".join(BIG)


def test_a_refused_part_leaves_no_upload(scene: Scene) -> None:
    """It is aborted at once: unfinished uploads are billed."""
    scene.proxy.fault("deny", operation="UploadPart")

    with pytest.raises(AccessDenied):
        scene.store.put(scene.at("a.mp4"), BIG)

    assert _nothing_is_left(scene)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit])
def test_who_is_interrupted_leaves_no_upload(scene: Scene, stop: type[BaseException]) -> None:
    """Ctrl-C too, in the middle of the parts."""

    def interrupted() -> Iterator[bytes]:
        yield from BIG
        raise stop

    with pytest.raises(stop):
        scene.store.put(scene.at("a.mp4"), interrupted())

    assert _nothing_is_left(scene)


def test_an_abort_that_fails_hides_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The first error comes through; the log names what is left for the sweep."""
    scene.proxy.fault("deny", operation=["UploadPart", "AbortMultipartUpload"])

    with pytest.raises(AccessDenied, match="upload a part"):
        scene.store.put(scene.at("a.mp4"), BIG)

    assert "in/a.mp4 stays until it is swept" in caplog.text
    scene.proxy.fault(None)
    (left,) = scene.store.uploads(scene.base)
    scene.store.abort_upload(left)
    assert _nothing_is_left(scene)


def test_what_another_wrote_meanwhile_is_not_replaced(scene: Scene) -> None:
    """It came after our first look and before our last; our parts are aborted."""
    uri = scene.at("a.mp4")

    def slow() -> Iterator[bytes]:
        yield from BIG
        scene.store.put(uri, [b"theirs"])

    with pytest.raises(AlreadyExists):
        scene.store.put(uri, slow())

    assert scene.read(uri) == b"theirs"
    assert list(scene.store.uploads(scene.base)) == []


def test_what_the_store_itself_finds_taken_is_taken(scene: Scene) -> None:
    """Stores that heed If-None-Match tell machines apart that looked in the same moment."""
    scene.proxy.fault("status", code=412, error="PreconditionFailed", operation="PutObject")

    with pytest.raises(AlreadyExists):
        scene.store.put(scene.at("a.mp4"), [b"ours"])


def test_a_store_that_knows_no_conditions_is_asked_without(scene: Scene) -> None:
    """501 to If-None-Match is remembered, and costs one request in all."""
    scene.proxy.fault("status", code=501, error="NotImplemented", operation="PutObject", times=1)

    for name in ("a", "b"):
        assert scene.store.put(scene.at(name), [b"ours"]).size == 4

    assert scene.proxy.count(operation="PutObject") == 3


def test_a_store_that_goes_away_is_no_success(scene: Scene) -> None:
    """It is told as unavailable, after waits."""

    def halves() -> Iterator[bytes]:
        yield from BIG
        scene.proxy.down()

    with pytest.raises(StoreUnavailable):
        scene.store.put(scene.at("a.mp4"), halves())


def test_a_file_that_shrinks_while_it_is_sent_is_a_mismatch(scene: Scene, tmp_path: Path) -> None:
    """Its length was promised; nothing lies there."""
    source = tmp_path / "source"
    source.write_bytes(b"clip" * 10)
    with source.open("rb", buffering=0) as file:
        (part,) = file_parts(file, 41, str(source))
        with pytest.raises(DigestMismatch, match="shorter"):
            list(iter(lambda: part.body.read(8), b""))


# Parts


def test_ten_thousand_parts_hold_more_than_any_object(scene: Scene) -> None:
    """5 TiB is the most that an object may have."""
    assert sum(part_bytes(index) for index in range(10_000)) > 5 << 40
    assert max(part_bytes(index) for index in range(10_000)) <= 5 << 30 or part_bytes(8_999) <= 5 << 30


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_a_source_is_cut_the_same_from_file_and_pieces(tmp_path: Path, size: int) -> None:
    """Full parts and a last one, which is marked as last; nothing is an empty part."""
    content = bytes(range(256)) * (size // 256 + 1)
    source = tmp_path / "source"
    source.write_bytes(content[:size])
    pieces = [content[:size][at : at + 5 * MIB] for at in range(0, size, 5 * MIB)]

    with source.open("rb", buffering=0) as file:
        from_file = [(part.size, part.is_last) for part in file_parts(file, size, "source")]

    assert [(part.size, part.is_last) for part in spooled_parts([b"", *pieces, b""])] == from_file
    assert sum(length for length, _ in from_file) == size
    assert [is_last for _, is_last in from_file] == [*([False] * (len(from_file) - 1)), True]
