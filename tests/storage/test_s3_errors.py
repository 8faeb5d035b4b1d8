"""What an S3 service refuses, each with its sentence: what is wrong, what to do, and no secret in it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions as boto
import pytest

from framehaul.contract.uris import Uri
from framehaul.errors import (
    AccessDenied,
    BadAccount,
    BadUri,
    FramehaulError,
    NoSuchBucket,
    NotFound,
    NotSupported,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from framehaul.storage.http_replies import Busy
from framehaul.storage.s3_errors import RangeRefused, UploadGone, refusal, wire_errors
from framehaul.storage.s3_site import Site
from tests.rclone import KEY_ID, SECRET
from tests.storage.s3_scene import Scene

having = pytest.mark.parametrize

B2 = Site("b2", "https://s3.us-west-004.backblazeb2.com", "us-west-004", True)
AMAZON = Site("s3", None, None, False)
URI = Uri("b2", "clips", "in/a.mp4")

# code, status, message, headers; then the error, a part of its sentence, and whether asking again can help.
REFUSALS: list[tuple[str, int, str, Mapping[str, str], type[FramehaulError], str, bool]] = [
    ("InvalidAccessKeyId", 403, "The key 'K00' is not valid", {}, BadAccount, "B2_KEY", False),
    ("SignatureDoesNotMatch", 403, "Signature validation failed", {}, BadAccount, "B2_SECRET", False),
    ("ExpiredToken", 400, "", {}, BadAccount, "has expired", False),
    ("RequestTimeTooSkewed", 403, "", {}, BadAccount, "clock wrong", False),
    ("301", 301, "", {"x-amz-bucket-region": "eu-west-1"}, BadAccount, "it is in eu-west-1. Set B2_ENDPOINT", False),
    ("AuthorizationHeaderMalformed", 400, "", {}, BadAccount, "did not say which", False),
    ("AccessDenied", 403, "not entitled", {}, AccessDenied, "writeFiles", False),
    ("AccessDenied", 403, "Cannot upload files, storage cap exceeded.", {}, StoreFull, "Caps & Alerts", False),
    ("AccessDenied", 403, "Transaction cap exceeded", {}, StoreFull, "Caps & Alerts", False),
    ("QuotaExceeded", 400, "", {}, StoreFull, "cap", False),
    ("507", 507, "", {}, StoreFull, "cap", False),
    ("NoSuchBucket", 404, "", {}, NoSuchBucket, "no bucket clips", False),
    ("NoSuchKey", 404, "", {}, NotFound, "in/a.mp4", False),
    ("404", 404, "", {}, NotFound, "in/a.mp4", False),
    ("NoSuchUpload", 404, "", {}, UploadGone, "not open", False),
    ("SlowDown", 503, "", {"retry-after": "7"}, Busy, "SlowDown, HTTP 503", True),
    ("SlowDown", 503, "", {"retry-after": "\u00b2"}, Busy, "SlowDown, HTTP 503", True),
    ("500", 500, "", {}, Busy, "HTTP 500", True),
    ("RequestTimeout", 400, "", {}, Busy, "RequestTimeout", True),
    ("BadDigest", 400, "", {}, Busy, "BadDigest", True),
    ("InvalidRange", 416, "", {}, RangeRefused, "no byte", False),
    ("NotImplemented", 501, "", {}, NotSupported, "in this way", False),
    ("KeyTooLongError", 400, "", {}, BadUri, "long", False),
    ("InvalidObjectState", 403, "", {}, AccessDenied, "may not write", False),
    ("InvalidPart", 400, "", {}, StoreError, "InvalidPart", False),
]


@having(("code", "status", "message", "headers", "kind", "sentence", "retryable"), REFUSALS)
def test_each_refusal_has_its_sentence(
    code: str,
    status: int,
    message: str,
    headers: Mapping[str, str],
    kind: type[FramehaulError],
    sentence: str,
    retryable: bool,
) -> None:
    """It names what to do, and quotes nothing of the service's own message, which may hold a key id."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }

    error = refusal(B2, "put_object", URI, response)

    assert type(error) is kind
    assert sentence in str(error)
    assert error.retryable == retryable
    assert not message or message not in str(error)


def test_a_refused_right_is_named_in_the_service_s_own_words() -> None:
    """B2 calls it a capability, Amazon an action."""
    response = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    assert "listFiles" in str(refusal(B2, "list_objects_v2", URI, response))
    assert "s3:GetObject" in str(refusal(AMAZON, "get_object", URI, response))


def _subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind, *(deeper for below in kind.__subclasses__() for deeper in _subclasses(below))}


class _Sayable(dict[str, Any]):
    """Whatever words a botocore error wants in its sentence."""

    def __missing__(self, name: str) -> str:
        return "?"


@having("kind", sorted(_subclasses(boto.BotoCoreError), key=str))
def test_no_error_of_botocore_comes_through(kind: type[Exception]) -> None:
    """Every class that it has becomes one of ours."""
    error = kind.__new__(kind)
    Exception.__init__(error, "?")
    vars(error)["kwargs"] = _Sayable()

    with pytest.raises(FramehaulError), wire_errors(B2, "get_object", URI):
        raise error


# As a real client meets them

VERBS: dict[str, Callable[[Scene, Any], object]] = {
    "list": lambda scene, store: list(store.list(scene.base)),
    "stat": lambda scene, store: store.stat(scene.at("a.mp4")),
    "get": lambda scene, store: list(store.get(scene.at("a.mp4"))),
    "put": lambda scene, store: store.put(scene.at("b.mp4"), [b"x"], replace=True),
    "begin": lambda scene, store: store.begin_upload(scene.at("b.mp4")),
    "uploads": lambda scene, store: list(store.uploads(scene.base)),
}


@having(
    ("words", "sentence"),
    [
        ({"key_id": "K00nobody"}, "does not know this key id"),
        ({"secret": "wrong/secret"}, "secret does not belong"),
        ({"region": "mars-1"}, "Set the region to us-east-1"),
    ],
)
def test_a_wrong_account_is_named_by_every_verb(scene: Scene, words: dict[str, str], sentence: str) -> None:
    """HEAD too, whose refusal has no body: a GET says why. Neither key nor secret are in the sentence."""
    scene.laid("a.mp4", b"clip")
    mistaken = scene.opened(**words)

    for verb, call in VERBS.items():
        with pytest.raises(BadAccount, match=sentence) as caught:
            call(scene, mistaken)

        assert not caught.value.retryable, verb
        assert not any(word in str(caught.value) for word in ("K00nobody", "wrong/secret", KEY_ID, SECRET)), verb


def test_a_wrong_bucket_is_named(scene: Scene) -> None:
    """As missing, not as empty."""
    scene.base = Uri("s3", "no-such-bucket", "in/")
    mistaken = scene.opened(bucket="no-such-bucket")

    for verb in ("list", "get", "put", "begin"):
        with pytest.raises(NoSuchBucket, match="no-such-bucket"):
            VERBS[verb](scene, mistaken)


@having(
    ("verb", "operation", "right"),
    [
        ("list", "ListObjectsV2", "s3:ListBucket"),
        ("stat", ["HeadObject", "GetObject"], "s3:GetObject"),
        ("get", "GetObject", "s3:GetObject"),
        ("put", "PutObject", "s3:PutObject"),
        ("begin", "CreateMultipartUpload", "s3:PutObject"),
    ],
)
def test_a_missing_right_is_named(scene: Scene, verb: str, operation: str, right: str) -> None:
    """The verb that was refused, and what the key lacks; not tried again."""
    scene.laid("a.mp4", b"clip")
    scene.proxy.fault("deny", operation=operation)

    with pytest.raises(AccessDenied, match=right):
        VERBS[verb](scene, scene.store)

    assert scene.clock.waits == []


def test_a_store_that_is_down_is_tried_and_then_named(scene: Scene) -> None:
    """Five times, with growing waits; later may help."""
    scene.proxy.down()

    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1.* cannot be reached"):
        scene.store.stat(scene.at("a.mp4"))

    assert scene.clock.waits == [0.5, 1, 2, 4]


def test_a_name_that_does_not_resolve_is_told_from_a_server_that_is_down() -> None:
    """It is perhaps misspelt."""
    below = boto.EndpointConnectionError(endpoint_url="https://s3.nowhere.invalid", error=socket.gaierror(-2, "?"))

    with (
        pytest.raises(StoreUnavailable, match="does not resolve"),
        wire_errors(Site("s3", "https://s3.nowhere.invalid", "us-east-1", False), "get_object", URI),
    ):
        raise below


def test_a_busy_store_is_waited_for_as_long_as_it_says(scene: Scene) -> None:
    """503 SlowDown with Retry-After: the same verb succeeds afterwards."""
    uri = scene.laid("a.mp4", b"clip")
    scene.proxy.fault("status", code=503, retry_after=7, times=2)

    assert scene.store.stat(uri).size == 4
    assert scene.clock.waits == [7, 7]


def test_a_full_store_is_told_from_a_missing_right(scene: Scene) -> None:
    """B2 says 403 to both."""
    scene.proxy.fault("status", code=403, message="Cannot upload files, storage cap exceeded.", operation="PutObject")

    with pytest.raises(StoreFull):
        scene.store.put(scene.at("a.mp4"), [b"clip"], replace=True)


@having("uri", [Uri("s3", "clips", ""), Uri("s3", "clips", "k" * 1025), Uri("s3", "clips", "\udc80")])
def test_an_address_that_no_object_has_is_refused_before_anybody_is_asked(scene: Scene, uri: Uri) -> None:
    """The bucket itself, more than 1,024 bytes, and what is not UTF-8."""
    scene.proxy.forget()

    for call in (scene.store.stat, scene.store.get, scene.store.begin_upload):
        with pytest.raises(BadUri):
            call(uri)
    assert scene.asked() == []
