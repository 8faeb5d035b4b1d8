"""Reading over connections that drop and servers that cheat: whole and unmixed, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import DigestMismatch, NotSupported, StoreError, StoreUnavailable
from framehaul.storage.http import HttpStore
from framehaul.storage.http_reading import MAX_SKIP_BYTES
from tests.emulators.files import FileServer
from tests.loopback import loopback
from tests.storage.skipping_clock import SkippingClock

CONTENT = bytes(range(251)) * 1000
SIZE = len(CONTENT)
HALF = SIZE // 2
TRIES = 3
PARTS = [(0, None), (0, SIZE), (1000, None), (1000, SIZE - 1000)]
every_part = pytest.mark.parametrize(("start", "end"), PARTS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """Serve one clip."""
    (tmp_path / "clip.mp4").write_bytes(CONTENT)
    with FileServer(tmp_path) as running:
        yield running


@pytest.fixture
def clock() -> SkippingClock:
    """Give the clock that the store waits by."""
    return SkippingClock()


@pytest.fixture
def store(server: FileServer, clock: SkippingClock) -> Iterator[HttpStore]:
    """Open a store that gives up after three failures in a row."""
    with closing(HttpStore(transport=loopback(), clock=clock, tries=TRIES)) as opened:
        yield opened


@pytest.fixture
def clip(server: FileServer) -> Uri:
    """Give the clip's address."""
    return parse_uri(f"{server.url}/clip.mp4")


def read(store: HttpStore, uri: Uri, start: int = 0, end: int | None = None) -> bytes:
    """Read all pieces."""
    return b"".join(store.get(uri, start, end))


def read_into(got: bytearray, pieces: Iterator[bytes]) -> None:
    """Read all pieces, and keep those that came before an error."""
    for piece in pieces:
        got += piece


# dropped connections


@every_part
def test_a_dropped_connection_is_taken_up_where_it_broke(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None
) -> None:
    """The second request asks for the rest, on the condition that the object is still the same."""
    server.fault("cut_after", bytes=1000, times=1)

    assert read(store, clip, start, end) == CONTENT[start:end]

    first, second = server.log()
    assert (first["if_range"], second["status"]) == (None, 206)
    assert second["range"] == f"bytes={start + 1000}-{'' if end is None else end - 1}"
    assert second["if_range"].startswith('"')


def test_progress_makes_failures_forgotten(
    server: FileServer, store: HttpStore, clip: Uri, clock: SkippingClock
) -> None:
    """A line that drops more often than `tries`, but each time after new bytes, brings the object whole."""
    server.fault("cut_after", bytes=SIZE // 10)

    assert read(store, clip) == CONTENT

    assert len(server.log()) > TRIES + 5
    assert set(clock.waits) == {0.5}


def test_drops_without_progress_are_bounded(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """Three failures in a row without one byte are StoreUnavailable, which the caller may retry later."""
    server.fault("cut_after", bytes=0)

    with pytest.raises(StoreUnavailable, match="does not answer in full") as caught:
        read(store, clip)

    assert caught.value.retryable
    assert len(server.log()) == TRIES


def test_drops_with_crumbs_are_bounded_too(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """A server that gives a few bytes a connection is given up after a hundred."""
    server.fault("cut_after", bytes=10)

    with pytest.raises(StoreUnavailable):
        read(store, clip)

    assert len(server.log()) == 101


def test_without_etag_the_date_guards_the_rest(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """If-Range takes either."""
    server.fault("headers", set={"ETag": None})
    server.fault("cut_after", bytes=HALF, times=1)

    assert read(store, clip) == CONTENT
    assert server.log()[1]["if_range"].endswith("GMT")


def test_without_etag_and_date_nothing_is_taken_up(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """Bytes of two versions could be mixed unseen: only a fresh start is safe, and that is the caller's."""
    server.fault("headers", set={"ETag": None, "Last-Modified": None})
    server.fault("cut_after", bytes=HALF, times=1)

    with pytest.raises(StoreUnavailable):
        read(store, clip)

    assert len(server.log()) == 1


def test_a_drop_before_the_first_byte_needs_no_etag(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """With nothing given out yet, the second connection is itself a fresh start."""
    server.fault("headers", set={"ETag": None, "Last-Modified": None})
    server.fault("cut_after", bytes=0, times=1)

    assert read(store, clip) == CONTENT


def test_a_drop_behind_the_last_byte_that_was_asked_for_is_no_drop(
    server: FileServer, store: HttpStore, clip: Uri
) -> None:
    """Of a server that ignores ranges, only the part has to arrive."""
    server.fault("ignore_range")
    server.fault("cut_after", bytes=60_000)

    assert read(store, clip, 0, 60_000) == CONTENT[:60_000]
    assert len(server.log()) == 1


@pytest.mark.parametrize(("start", "end"), [(1000, None), (0, SIZE), (1000, HALF)])
def test_a_part_that_ends_early_without_a_drop_is_taken_up(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None
) -> None:
    """A 206 may legally bring less than was asked for; without a length, its clean end proves nothing."""
    server.fault("headers", set={"Content-Length": None})
    server.fault("cut_after", bytes=10_000, times=2)

    assert read(store, clip, start, end) == CONTENT[start:end]
    assert len(server.log()) == 3


# replaced objects


@pytest.mark.parametrize("server_cheats", [False, True])
def test_a_replaced_object_is_never_mixed_in(
    server: FileServer, store: HttpStore, clip: Uri, server_cheats: bool
) -> None:
    """Another etag on the second connection ends the read, whether the server heeds If-Range or not."""
    server.fault("cut_after", bytes=HALF, times=1)
    server.fault("change_etag", after=1)
    if server_cheats:
        server.fault("ignore_if_range")
    got = bytearray()

    with pytest.raises(DigestMismatch, match="replaced") as caught:
        read_into(got, store.get(clip))

    assert bytes(got) == CONTENT[:HALF]
    assert not caught.value.retryable
    assert [request["status"] for request in server.log()] == [200, 206 if server_cheats else 200]


def test_without_etag_another_date_tells(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """The date is compared, also where a server ignores If-Range."""
    server.fault("headers", set={"ETag": None, "Last-Modified": "Sat, 01 Jan 2028 00:00:00 GMT"}, times=1)
    server.fault("cut_after", bytes=HALF, times=1)
    server.fault("ignore_if_range")
    pieces = store.get(clip)
    next(pieces)
    server.fault("headers", set={"ETag": None})

    with pytest.raises(DigestMismatch):
        list(pieces)


def test_without_etag_another_size_tells(server: FileServer, store: HttpStore, clip: Uri, tmp_path: Path) -> None:
    """A 206 may leave the date out; the size in Content-Range still speaks."""
    server.fault("headers", set={"ETag": None})
    server.fault("cut_after", bytes=HALF, times=1)
    server.fault("ignore_if_range")
    pieces = store.get(clip)
    next(pieces)
    (tmp_path / "clip.mp4").write_bytes(CONTENT + b"more")
    server.fault("headers", set={"ETag": None, "Last-Modified": None})

    with pytest.raises(DigestMismatch):
        list(pieces)


# servers that answer something else than was asked


@every_part
def test_a_server_that_ignores_ranges_is_cut(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None
) -> None:
    """It sends everything; the bytes before the part are skipped, those behind it left."""
    server.fault("ignore_range")

    assert read(store, clip, start, end) == CONTENT[start:end]


@every_part
def test_a_server_that_ignores_ranges_can_be_taken_up(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None
) -> None:
    """After a drop it starts over, and what was given out already is skipped."""
    server.fault("ignore_range")
    server.fault("cut_after", bytes=HALF, times=1)

    assert read(store, clip, start, end) == CONTENT[start:end]


def test_skipping_has_a_bound(server: FileServer, store: HttpStore, tmp_path: Path) -> None:
    """To throw away more than 64 MiB for a part is refused: such a server cannot be read in parts."""
    with (tmp_path / "big.mp4").open("wb") as file:
        file.truncate(MAX_SKIP_BYTES + 10)
    server.fault("ignore_range")

    with pytest.raises(NotSupported, match="only from its beginning"):
        read(store, parse_uri(f"{server.url}/big.mp4"), MAX_SKIP_BYTES + 1, MAX_SKIP_BYTES + 2)


@pytest.mark.parametrize("by", [-1, 1])
def test_another_part_than_was_asked_for_is_an_error(server: FileServer, store: HttpStore, clip: Uri, by: int) -> None:
    """A 206 has to begin where it was asked to; a cheat is not retried."""
    server.fault("shift_range", by=by)

    with pytest.raises(StoreError, match=r"Asked for .* from byte 100, the server sent 'bytes ") as caught:
        read(store, clip, 100, 200)

    assert not caught.value.retryable
    assert len(server.log()) == 1


@pytest.mark.parametrize("said", [None, "bytes 100-199", "lines 100-199/251000", "bytes */251000"])
def test_a_part_without_its_place_is_an_error(
    server: FileServer, store: HttpStore, clip: Uri, said: str | None
) -> None:
    """A 206 without a readable Content-Range could be any bytes."""
    server.fault("headers", set={"Content-Range": said})

    with pytest.raises(StoreError, match="from byte 100"):
        read(store, clip, 100, 200)


@pytest.mark.parametrize(("start", "end"), [(0, SIZE + 1), (SIZE + 1, None), (SIZE + 1, SIZE + 1), (HALF, SIZE + 1)])
@pytest.mark.parametrize("ranges", [True, False])
def test_past_the_end_is_an_error_also_of_unknown_length(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None, ranges: bool
) -> None:
    """A server that says no length is read to its end, and then the range is held against it."""
    server.fault("headers", set={"Content-Length": None})
    if not ranges:
        server.fault("ignore_range")

    with pytest.raises(StoreError, match=f"has {SIZE} bytes") as caught:
        read(store, clip, start, end)

    assert not caught.value.retryable


@every_part
def test_an_object_of_unknown_length_is_read_to_its_end(
    server: FileServer, store: HttpStore, clip: Uri, start: int, end: int | None
) -> None:
    """Without Content-Length the end of the connection is the end of the object."""
    server.fault("headers", set={"Content-Length": None})
    server.fault("ignore_range")

    assert read(store, clip, start, end) == CONTENT[start:end]


# waits


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again_after_a_while(
    server: FileServer, store: HttpStore, clip: Uri, clock: SkippingClock, code: int
) -> None:
    """Waits go through the clock and grow."""
    server.fault("status", code=code, times=2)
    assert store.stat(clip).size == SIZE
    assert clock.waits == [0.5, 1.0]

    server.fault("status", code=code, times=2)
    assert read(store, clip) == CONTENT
    assert clock.waits == [0.5, 1.0, 0.5, 1.0]


def test_a_busy_server_is_not_asked_for_ever(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """After the third 503 it is the caller's turn."""
    server.fault("status", code=503)

    with pytest.raises(StoreUnavailable, match="503"):
        store.stat(clip)

    assert len(server.log()) == TRIES


@pytest.mark.parametrize(("told", "waited"), [(7, 7.0), (0, 0.0), (86_400, 60.0), ("soon", 0.5), ("²", 0.5)])
def test_the_server_may_say_how_long(
    server: FileServer, store: HttpStore, clip: Uri, clock: SkippingClock, told: object, waited: float
) -> None:
    """Retry-After in seconds is heeded, up to a minute; what cannot be read is not."""
    server.fault("status", code=503, retry_after=told, times=1)

    store.stat(clip)

    assert clock.waits == [waited]


def test_reading_can_be_left_at_any_piece(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """Closing the stream in the middle closes its connection and asks nothing more; the store goes on."""
    pieces = store.get(clip)
    next(pieces)

    assert isinstance(pieces, Iterator)
    getattr(pieces, "close")()  # noqa: B009 - an Iterator by its promise, a generator by nature

    assert len(server.log()) == 1
    assert read(store, clip) == CONTENT
