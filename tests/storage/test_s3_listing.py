"""Listings are streams of pages, read without botocore's parser, and refused where they cannot be relied on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from pydantic import SecretStr

from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import StoreError, StoreUnavailable
from framehaul.storage.accounts import Account
from framehaul.storage.base import pinned
from framehaul.storage.s3 import S3Store, open_store
from tests.conformance.store_rows import at_most
from tests.emulators.s3_shelf import S3Shelf
from tests.storage.s3_scene import Scene
from tests.storage.skipping_clock import SkippingClock

MIB = 1 << 20
BASE = Uri("b2", "clips", "in/")


@contextmanager
def _opened(endpoint: str) -> Iterator[S3Store]:
    account = Account(SecretStr("id"), SecretStr("hush"), endpoint=endpoint)
    with closing(open_store(BASE, account, SkippingClock())) as store:
        yield store


class _Pages(ThreadingHTTPServer):
    """Answers each request with the next body, the last one for ever."""

    daemon_threads = True

    def __init__(self, bodies: Sequence[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Reader)
        self.bodies = list(bodies)


class _Reader(BaseHTTPRequestHandler):
    server: _Pages
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.server.bodies.pop(0) if len(self.server.bodies) > 1 else self.server.bodies[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Describe every object alike, by no tag."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.send_header("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


@contextmanager
def _answering(*bodies: bytes) -> Iterator[S3Store]:
    with _Pages(bodies) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with _opened(f"http://127.0.0.1:{server.server_address[1]}") as store:
                yield store
        finally:
            server.shutdown()
            thread.join()


def _page(
    *keys: str, quoted: bool = True, token: str = "", more: bool = False, size: int = 5, etag: str = "&quot;e-1&quot;"
) -> bytes:
    write = quote_plus if quoted else escape
    items = "".join(
        f"<Contents><Key>{write(key)}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
        f"<ETag>{etag}</ETag><Size>{size}</Size><Owner><ID>Key</ID></Owner></Contents>"
        for key in keys
    )
    kind = "<EncodingType>url</EncodingType>" if quoted else ""
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>clips</Name>{following}<IsTruncated>{str(more).lower()}</IsTruncated>{items}{kind}</ListBucketResult>\n"
    ).encode()


ODD = [
    "in/a b+c.mp4",
    "in/a&amp;<b>.mp4",
    'in/"quoted".mp4',
    "in/%41.mp4",
    "in/line\nbreak",
    "in/Кошка",
    "in/🎬",
    "in//x",
]


@pytest.mark.parametrize("quoted", [True, False])
def test_odd_keys_come_as_they_are(quoted: bool) -> None:
    """Whether the service quotes them as it is asked to, or does not know how."""
    keys = sorted(ODD, key=str.encode)
    with _answering(_page(*keys, quoted=quoted)) as store:
        entries = list(store.list(BASE))

    assert [entry.uri.key for entry in entries] == keys
    assert [parse_uri(str(entry.uri)) for entry in entries] == [entry.uri for entry in entries]
    assert {(entry.size, entry.fingerprint, entry.modified) for entry in entries} == {
        (5, "s3:etag:e-1", 1_767_323_045.0)
    }


@pytest.mark.parametrize("etag", ["", "&quot;&quot;", '""'])
def test_an_object_without_a_tag_has_no_fingerprint(etag: str) -> None:
    """Or all of them would be one content, and done once one of them is; `pinned` asks, and says what is wrong."""
    with _answering(_page("in/a", "in/b", etag=etag)) as store:
        entries = list(store.list(BASE))

        assert [entry.fingerprint for entry in entries] == ["", ""]
        with pytest.raises(StoreError, match=r"gives .*in/a no entity tag") as caught:
            pinned(store, entries[0])
    assert not caught.value.retryable


def test_empty_objects_that_stand_for_folders_are_left_out() -> None:
    """Consoles make them; one that holds bytes is an object."""
    with _answering(_page("in/", "in/sub/", size=0)) as store:
        assert list(store.list(BASE)) == []
    with _answering(_page("in/sub/", size=5)) as store:
        assert [entry.uri.key for entry in store.list(BASE)] == ["in/sub/"]


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ([_page("in/b", "in/a")], "out of order"),
        ([_page("in/b", more=True, token="t"), _page("in/b")], "out of order"),
        ([_page("in/b", more=True)], "not where"),
        ([_page(more=True, token="t")], "not where"),
        ([b"<html>Welcome</html>"], "does not answer as S3 does"),
    ],
)
def test_a_listing_that_cannot_be_relied_on_is_an_error(pages: list[bytes], sentence: str) -> None:
    """Out of order, without end, or from somebody who is no S3 service: never a shorter list."""
    with _answering(*pages) as store, pytest.raises(StoreError, match=sentence):
        list(store.list(BASE))


def test_half_a_page_is_asked_for_again() -> None:
    """It was cut by someone who said its length after that."""
    whole = _page("in/a", "in/b")
    with _answering(whole[:-80], whole) as store:
        assert len(list(store.list(BASE))) == 2
    with _answering(whole[:-80]) as store, pytest.raises(StoreUnavailable, match="in part"):
        list(store.list(BASE))


def test_thousands_of_keys_are_never_all_in_memory(tmp_path: Path) -> None:
    """30 pages as one stream; only their pages are asked for, and a listing costs no call an object."""
    plan = {"buckets": {"clips": [{"pattern": "in/{folder:04d}/clip {i:07d}.mp4", "count": 30_000}]}}
    with S3Shelf(plan) as shelf, _opened(shelf.endpoint) as store:
        next(store.list(BASE))
        with at_most(6 * MIB):
            found = sum(entry.fingerprint.startswith("s3:etag:") for entry in store.list(BASE))

        assert found == 30_000
        assert shelf.counts() == {"ListObjectsV2": 31}


def test_uploads_lie_below_a_place_too(scene: Scene) -> None:
    """`in/c1` has its own and those below it, not those of `in/c10`; odd names come as they are."""
    names = ("c1", "c1/a b+ё.mp4", "c10/b.mp4")
    ids = {scene.at(name): scene.store.begin_upload(scene.at(name)) for name in names}

    found = {upload.uri: upload for upload in scene.store.uploads(scene.at("c1"))}

    assert set(found) == {scene.at("c1"), scene.at("c1/a b+ё.mp4")}
    assert {uri: upload.upload_id for uri, upload in found.items()} == {uri: ids[uri] for uri in found}
    assert all(upload.begun_at for upload in found.values())
