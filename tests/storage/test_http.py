"""What the web store makes of servers as they are: statuses, headers, redirects, addresses with secrets in them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from framehaul.contract.grants import HttpGet
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import AccessDenied, BadUri, FramehaulError, NotFound, NotSupported, StoreError, StoreUnavailable
from framehaul.storage.base import Entry, Stores
from framehaul.storage.http import HttpStore
from tests.emulators.files import FileServer
from tests.loopback import loopback
from tests.storage.skipping_clock import SkippingClock

CONTENT = bytes(range(256)) * 4
DATE = "Sat, 01 Jan 2028 00:00:00 GMT"
SECRET = "http://user:pa55word@host.example/clip.mp4?token=s3cret"


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
    """Open a store that asks no proxy and is closed before its server."""
    with closing(HttpStore(transport=loopback(), clock=clock)) as opened:
        yield opened


@pytest.fixture
def clip(server: FileServer) -> Uri:
    """Give the clip's address."""
    return parse_uri(f"{server.url}/clip.mp4")


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> HttpStore:
    """Give a store whose every request is answered in this process."""
    return HttpStore(transport=httpx.MockTransport(handler), clock=SkippingClock())


VERBS: dict[str, Callable[[HttpStore, Uri], object]] = {
    "list": lambda store, uri: list(store.list(uri)),
    "stat": lambda store, uri: store.stat(uri),
    "get": lambda store, uri: list(store.get(uri)),
    "get a part": lambda store, uri: list(store.get(uri, 3, 5)),
}
every_verb = pytest.mark.parametrize("verb", VERBS)


@pytest.mark.parametrize("address", ["http://host.example/clip.mp4", "https://host.example/clip.mp4"])
def test_a_web_address_opens_this_store(address: str) -> None:
    """No connection is made for it."""
    assert isinstance(Stores().open(parse_uri(address)), HttpStore)


# stat


@pytest.mark.parametrize(
    ("headers", "fingerprint"),
    [
        ({"ETag": '"abc"', "Last-Modified": DATE}, "http:etag:abc"),
        ({"ETag": 'W/"abc"', "Last-Modified": DATE}, f"http:1024:{DATE}"),
        ({"ETag": None, "Last-Modified": DATE}, f"http:1024:{DATE}"),
        ({"ETag": None, "Last-Modified": DATE, "Content-Length": None}, f"http::{DATE}"),
    ],
)
def test_the_fingerprint_is_the_strongest_word_of_the_server(
    server: FileServer, store: HttpStore, clip: Uri, headers: dict[str, str | None], fingerprint: str
) -> None:
    """A strong etag, else length and date; a weak etag does not promise the same bytes."""
    server.fault("headers", set=headers)

    entry = store.stat(clip)

    assert entry.fingerprint == fingerprint
    assert entry.size == (1024 if "Content-Length" not in headers else None)
    assert entry.modified == 1830297600


def test_without_etag_and_date_the_address_tells_objects_apart(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """Two objects of one length on such a server must not pass for the same input."""
    (server.root / "other.mp4").write_bytes(CONTENT)
    server.fault("headers", set={"ETag": None, "Last-Modified": None})

    prints = [store.stat(uri).fingerprint for uri in (clip, clip, parse_uri(f"{server.url}/other.mp4"))]

    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("code", [403, 405, 501])
@pytest.mark.parametrize("content", [CONTENT, b""])
def test_where_head_is_refused_a_get_of_one_byte_asks(
    server: FileServer, store: HttpStore, clip: Uri, code: int, content: bytes
) -> None:
    """Presigned addresses are signed for GET alone; the entry is the same, also for an object without bytes."""
    (server.root / "clip.mp4").write_bytes(content)
    expected = store.stat(clip)
    server.fault("refuse_head", code=code)

    found = store.stat(clip)

    assert found.size == len(content)
    assert content == b"" or found == expected
    assert server.log()[-1]["range"] == "bytes=0-0"


def test_where_head_is_refused_and_ranges_ignored_the_body_is_left(tmp_path: Path, clock: SkippingClock) -> None:
    """Asking for the size of a big object does not fetch it."""
    with (tmp_path / "big.mp4").open("wb") as file:
        file.truncate(1 << 40)
    with FileServer(tmp_path) as server, closing(HttpStore(transport=loopback(), clock=clock)) as store:
        server.fault("refuse_head", code=405)
        server.fault("ignore_range")

        assert store.stat(parse_uri(f"{server.url}/big.mp4")).size == 1 << 40


def test_an_object_behind_a_query_can_be_listed(server: FileServer, store: HttpStore) -> None:
    """`/?id=5` names one object, although its path ends as a folder's does."""
    (server.root / "index").write_bytes(CONTENT)
    uri = parse_uri(f"{server.url}/?id=5")
    server.fault("redirect", to="/index", times=1)

    assert [entry.uri for entry in store.list(uri)] == [uri]


# refusals


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        *((code, AccessDenied, False) for code in (401, 403, 407)),
        *((code, NotFound, False) for code in (404, 410)),
        *((code, StoreError, False) for code in (204, 300, 400, 409, 418)),
        *((code, StoreUnavailable, True) for code in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
@pytest.mark.parametrize("verb", ["stat", "get", "get a part"])
def test_statuses_mean_what_they_say(
    server: FileServer, store: HttpStore, clip: Uri, verb: str, code: int, kind: type[StoreError], retryable: bool
) -> None:
    """The kind tells the caller what happened, `retryable` whether patience helps."""
    server.fault("status", code=code)

    with pytest.raises(StoreError, match=str(code)) as caught:
        VERBS[verb](store, clip)

    assert isinstance(caught.value, kind)
    assert caught.value.retryable is retryable


def test_a_missing_object_lists_nothing_but_a_forbidden_one_is_told(
    server: FileServer, store: HttpStore, clip: Uri
) -> None:
    """Only NotFound is an empty listing."""
    server.fault("status", code=404, times=1)
    assert list(store.list(clip)) == []

    server.fault("status", code=401)
    with pytest.raises(AccessDenied):
        list(store.list(clip))


def test_packed_bytes_are_refused(server: FileServer, store: HttpStore, clip: Uri) -> None:
    """gzip, although identity was asked for, has other lengths and ranges than the file."""
    server.fault("headers", set={"Content-Encoding": "gzip"})

    with pytest.raises(NotSupported, match="packs"):
        list(store.get(clip))


@every_verb
def test_packed_bytes_are_not_asked_for(verb: str) -> None:
    """Every request says that only the file itself will do."""
    asked: list[str] = []

    def remember(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx.Response(404)

    with closing(answering(remember)) as store:
        error_of(lambda: VERBS[verb](store, parse_uri("http://host.example/clip.mp4")))

    assert asked == ["identity"]


# redirects


@every_verb
def test_redirects_are_followed(server: FileServer, store: HttpStore, clip: Uri, verb: str) -> None:
    """The entry keeps the address that was asked for."""
    expected = VERBS[verb](store, clip)
    server.fault("redirect", to="/clip.mp4?moved", times=2)

    assert VERBS[verb](store, clip) == expected
    assert server.log()[-1]["path"] == "/clip.mp4?moved"


@every_verb
@pytest.mark.parametrize("to", ["/clip.mp4", "file:///etc/hostname", "ftp://host.example/clip.mp4"])
def test_redirects_in_circles_or_off_the_web_are_errors(
    server: FileServer, store: HttpStore, clip: Uri, verb: str, to: str
) -> None:
    """They end, and a retry would walk the same way."""
    server.fault("redirect", to=to)

    with pytest.raises(StoreError) as caught:
        VERBS[verb](store, clip)

    assert not caught.value.retryable
    assert len(server.log()) <= 6


# the gate


def kinds_of(base: type[Exception]) -> Iterator[type[Exception]]:
    """Give every error below this one."""
    yield base
    for kind in base.__subclasses__():
        yield from kinds_of(kind)


# HTTPStatusError wants more words and comes only from raise_for_status; ResponseNotRead and its kin take none.
FOREIGN = [
    kind
    for kind in (*kinds_of(httpx.HTTPError), httpx.InvalidURL, httpx.StreamError)
    if kind is not httpx.HTTPStatusError and kind.__module__.startswith("httpx")
]


@every_verb
@pytest.mark.parametrize("kind", FOREIGN)
def test_no_error_of_the_http_library_leaks(verb: str, kind: Callable[[str], Exception]) -> None:
    """Whatever httpx raises leaves as one of ours, with the cause."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise kind("no good")

    with closing(answering(fail)) as store, pytest.raises((StoreError, BadUri)) as caught:
        VERBS[verb](store, parse_uri("http://host.example/clip.mp4"))

    assert isinstance(caught.value.__cause__, Exception)
    assert type(caught.value.__cause__).__module__.startswith("httpx")


def test_a_server_that_is_gone_is_worth_a_retry(store: HttpStore, server: FileServer, clip: Uri) -> None:
    """Nobody listens on the port: StoreUnavailable."""
    server.close()

    with pytest.raises(StoreUnavailable) as caught:
        store.stat(clip)

    assert caught.value.retryable


def test_a_bad_certificate_is_not_worth_a_retry() -> None:
    """It does not heal while we wait."""
    asked: list[httpx.Request] = []

    def distrust(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("refused") from ssl.SSLCertVerificationError()

    with closing(answering(distrust)) as store, pytest.raises(StoreError, match="certificate") as caught:
        store.stat(parse_uri("https://host.example/clip.mp4"))

    assert not caught.value.retryable
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["host.example:port", "[::1"])
def test_an_address_that_is_none_is_a_bad_address(host: str) -> None:
    """Found when it is used; no retry helps."""
    with closing(answering(lambda _: httpx.Response(200))) as store, pytest.raises(BadUri):
        store.stat(Uri("http", host, "clip.mp4"))


# secrets


def refuse(code: int) -> Callable[[httpx.Request], httpx.Response]:
    """Answer every request with this status."""
    return lambda request: httpx.Response(code, headers={"Location": str(request.url)} if code == 302 else {})


def drop(request: httpx.Request) -> httpx.Response:
    """Break the connection."""
    raise httpx.ReadError("gone")


@every_verb
@pytest.mark.parametrize("answer", [refuse(401), refuse(404), refuse(503), refuse(302), refuse(418), drop])
def test_secrets_in_an_address_are_not_printed(verb: str, answer: Callable[[httpx.Request], httpx.Response]) -> None:
    """User, password and query stay out of every error; the host and the path do not."""
    with closing(answering(answer)) as store:
        error = error_of(lambda: VERBS[verb](store, parse_uri(SECRET)))

    if error is None:
        assert verb == "list"  # of a missing object
    else:
        assert "host.example/clip.mp4" in str(error)
        assert not any(secret in f"{error}{error!r}{error.__cause__!r}" for secret in ("user", "pa55word", "s3cret"))


REFUSED: dict[str, Callable[[HttpStore, Uri], object]] = {
    "list": lambda store, uri: store.list(Uri(uri.scheme, uri.authority, "folder/")),
    "put": lambda store, uri: store.put(uri, []),
    "grant": lambda store, uri: store.grant(uri, "write", expires_at=0),
}


@pytest.mark.parametrize("verb", REFUSED)
def test_secrets_stay_out_of_what_is_not_supported(verb: str) -> None:
    """The refusal to write prints no more than the place."""
    with pytest.raises(NotSupported) as caught:
        REFUSED[verb](HttpStore(), parse_uri(SECRET))

    assert "pa55word" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def error_of(call: Callable[[], object]) -> FramehaulError | None:
    """Give the error of ours that the call raises, if it raises one; let every other through."""
    try:
        call()
    except FramehaulError as exc:
        return exc
    return None


def test_a_password_in_the_address_is_used() -> None:
    """It goes to the server as basic authentication."""
    seen: list[str] = []

    def remember(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization", ""))
        return httpx.Response(200, headers={"Content-Length": "3", "ETag": '"x"'})

    with closing(answering(remember)) as store:
        entry = store.stat(parse_uri(SECRET))

    assert entry == Entry(parse_uri(SECRET), 3, "http:etag:x")
    assert seen == ["Basic dXNlcjpwYTU1d29yZA=="]


def test_a_grant_holds_the_whole_address_and_does_not_print_it() -> None:
    """The agent needs the query; a log must not have it."""
    grant = HttpStore().grant(parse_uri(SECRET), "read", expires_at=0)

    assert isinstance(grant, HttpGet)
    assert grant.url.get_secret_value() == SECRET
    assert json.loads(grant.model_dump_json())["url"] == SECRET
    assert "s3cret" not in f"{grant!r}{grant}"
