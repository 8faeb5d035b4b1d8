"""The proxy before a real store: invisible until it is told to break something, and then it breaks just that.

The store is rclone, the client is boto3's, or httpx where an address is all that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.emulators.conftest import BODY
from tests.emulators.s3_faults import S3Faults
from tests.rclone import Rclone, s3_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def refusal(call: Callable[..., Any], **words: Any) -> tuple[int, str]:
    """Give status and code of a call that must fail."""
    with pytest.raises(ClientError) as failed:
        call(Bucket="clips", **words)
    return failed.value.response["ResponseMetadata"]["HTTPStatusCode"], failed.value.response["Error"]["Code"]


def address(client: S3Client, key: str = "clip", verb: str = "get_object", **words: Any) -> str:
    return client.generate_presigned_url(verb, Params={"Bucket": "clips", "Key": key, **words}, ExpiresIn=600)


def test_an_unbroken_proxy_is_not_noticed(store: Rclone, proxy: S3Faults, client: S3Client) -> None:
    """Names, ranges, bodies, errors and pages come as from the store itself; signatures are the store's to check."""
    for key in ("a b'c\"d", "кадр №1.mp4", "a%2Fb+c&d=e?f#g"):
        client.put_object(Bucket="clips", Key=key, Body=BODY)
        assert client.get_object(Bucket="clips", Key=key, Range="bytes=7-9")["Body"].read() == BODY[7:10]
        assert client.head_object(Bucket="clips", Key=key)["ContentLength"] == len(BODY)
        client.delete_object(Bucket="clips", Key=key)
    assert [thing["Key"] for thing in client.list_objects_v2(Bucket="clips", Prefix="cl")["Contents"]] == ["clip"]
    assert refusal(client.get_object, Key="nothing") == (404, "NoSuchKey")
    stranger = s3_client(proxy.endpoint, store.key_id, "another secret")
    assert refusal(stranger.list_objects_v2) == (403, "SignatureDoesNotMatch")
    stranger.close()


def test_a_part_of_an_object_is_answered_with_206(store: Rclone, client: S3Client, http: httpx.Client) -> None:
    """As every real store does; rclone itself says 200 and Content-Range."""
    part = {"Range": "bytes=5-9"}
    direct = store.client()
    there, here = http.get(address(direct), headers=part), http.get(address(client), headers=part)
    direct.close()

    assert (there.status_code, here.status_code) == (200, 206)
    assert there.content == here.content == BODY[5:10]


def test_everything_is_logged(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """An entry says what was asked, with which range, by whom, and what came of it; bytes are counted."""
    client.put_object(Bucket="clips", Key="out/a", Body=BODY)
    http.get(address(client), headers={"Range": "bytes=0-9"})

    put, got = proxy.log()
    assert (put["operation"], put["key"], put["status"], put["up_bytes"]) == ("PutObject", "out/a", 200, len(BODY))
    assert (got["operation"], got["range"], got["status"], got["down_bytes"]) == ("GetObject", "bytes=0-9", 206, 10)
    assert (put["presigned"], got["presigned"]) == (False, True)
    assert proxy.traffic() == {"up": len(BODY), "down": 10}
    assert proxy.count(operation=["GetObject", "HeadObject"]) == 1
    proxy.forget()
    assert (proxy.log(), proxy.traffic()) == ([], {"up": 0, "down": 0})


def test_plaintext_is_kept_to_be_searched(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """What a head, an address or a body held can be found; a hunt that finds nothing was no hunt."""
    http.put(address(client, "a", "put_object"), content=b"planted-in-a-body", headers={"X-Odd": "planted-in-a-head"})
    http.get(address(client, "a") + "&planted-in-an-address")

    kept = proxy.plaintext()
    for word in (b"planted-in-a-body", b"planted-in-a-head", b"planted-in-an-address"):
        assert word in kept


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"code": 500}, (500, "InternalError")),
        ({"code": 503, "retry_after": 7}, (503, "SlowDown")),
        ({"code": 403}, (403, "AccessDenied")),
        ({"code": 400, "region": "eu-north-1"}, (400, "AuthorizationHeaderMalformed")),
        ({"code": 301}, (301, "PermanentRedirect")),
        ({"code": 404, "error": "NoSuchUpload", "message": "gone"}, (404, "NoSuchUpload")),
    ],
)
def test_status(proxy: S3Faults, client: S3Client, words: dict[str, Any], expected: tuple[int, str]) -> None:
    """The requests that fit are answered so, again when boto3 follows a hint of the region; the store is not asked."""
    proxy.fault("status", **words, operation="PutObject")

    assert client.list_objects_v2(Bucket="clips")["KeyCount"]
    assert refusal(client.put_object, Key="refused", Body=BODY) == expected
    assert proxy.traffic()["up"] == 0
    assert refusal(client.head_object, Key="refused") == (404, "404")
    proxy.mend("status")
    client.put_object(Bucket="clips", Key="taken", Body=BODY)


def test_a_status_says_what_the_real_one_says(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """Retry-After stands in the head, the right region in the XML and in the head."""
    proxy.fault("status", code=503, retry_after=7, times=1)
    assert http.get(address(client)).headers["retry-after"] == "7"

    proxy.fault("status", code=400, region="eu-north-1", times=1)
    reply = http.get(address(client))
    assert "<Region>eu-north-1</Region>" in reply.text
    assert reply.headers["x-amz-bucket-region"] == "eu-north-1"


def test_deny_takes_a_right_away(proxy: S3Faults, client: S3Client) -> None:
    """Without the right to write or to list, reading goes on."""
    proxy.fault("deny", method=["PUT", "POST", "DELETE"])
    proxy.fault("deny", operation="ListObjectsV2")

    assert refusal(client.put_object, Key="a") == (403, "AccessDenied")
    assert refusal(client.create_multipart_upload, Key="a") == (403, "AccessDenied")
    assert refusal(client.list_objects_v2) == (403, "AccessDenied")
    assert client.get_object(Bucket="clips", Key="clip")["Body"].read() == BODY


def test_other_etag(proxy: S3Faults, client: S3Client) -> None:
    """The upload is completed, and its reply names the object by something that nobody can reckon."""
    proxy.fault("other_etag")
    upload = client.create_multipart_upload(Bucket="clips", Key="new")["UploadId"]
    part = client.upload_part(Bucket="clips", Key="new", UploadId=upload, PartNumber=1, Body=BODY)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}

    made = client.complete_multipart_upload(Bucket="clips", Key="new", UploadId=upload, MultipartUpload=parts)  # type: ignore[arg-type]

    assert made["ETag"] == '"opaque"'
    assert client.get_object(Bucket="clips", Key="new")["Body"].read() == BODY


def test_expired(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """An address is good until its time is over by the proxy's clock, which replies show."""
    proxy.fault("expired")
    url = address(client)

    proxy.offset_s = 590
    assert http.get(url).status_code == 200
    proxy.offset_s = 610
    reply = http.get(url)
    assert (reply.status_code, "Request has expired" in reply.text) == (403, True)
    assert client.head_object(Bucket="clips", Key="clip")  # an account's own request does not expire


@pytest.mark.parametrize(("offset_s", "presigned"), [(-1000, 403), (-800, 200), (800, 200), (1000, 200)])
def test_future(proxy: S3Faults, client: S3Client, http: httpx.Client, offset_s: float, presigned: int) -> None:
    """What was signed more than 15 minutes from the proxy's clock is refused; of addresses only those of the future."""
    proxy.fault("future")
    proxy.offset_s = offset_s

    assert http.get(address(client)).status_code == presigned
    if abs(offset_s) > 900:
        assert refusal(client.list_objects_v2) == (403, "RequestTimeTooSkewed")
    else:
        client.list_objects_v2(Bucket="clips")


def test_the_clock_shows_in_each_reply(proxy: S3Faults, client: S3Client) -> None:
    """An honest client can learn the store's hour from an answer, a refusal's too."""
    for fault in (None, "deny"):
        proxy.offset_s = 0
        proxy.fault(None)
        here = shown(client)
        proxy.offset_s = -7200
        if fault:
            proxy.fault(fault)
        assert here - shown(client) == pytest.approx(7200, abs=60)


def shown(client: S3Client) -> float:
    """Read the hour that a reply shows."""
    try:
        reply: Any = client.get_object(Bucket="clips", Key="clip", Range="bytes=0-0")
    except ClientError as exc:
        reply = exc.response
    return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()


def test_reused(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """An address that succeeded once is refused; one that failed may be tried again."""
    proxy.fault("reused")
    proxy.fault("status", code=500, times=1)
    url = address(client)

    assert [http.get(url).status_code for _ in range(3)] == [500, 200, 403]


def upload(client: S3Client, key: str, body: bytes = BODY) -> Callable[[], Any]:
    """Send one part; give the call that completes."""
    number = client.create_multipart_upload(Bucket="clips", Key=key)["UploadId"]
    etag = client.upload_part(Bucket="clips", Key=key, UploadId=number, PartNumber=1, Body=body)["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return lambda: client.complete_multipart_upload(Bucket="clips", Key=key, UploadId=number, MultipartUpload=parts)


def test_lose_reply(proxy: S3Faults, client: S3Client) -> None:
    """The upload completes and nobody says so; asked again, the store knows the upload no more."""
    complete = upload(client, "lost")
    proxy.fault("lose_reply", operation="CompleteMultipartUpload")

    with pytest.raises(ConnectionClosedError):
        complete()

    assert client.get_object(Bucket="clips", Key="lost")["Body"].read() == BODY
    with pytest.raises(client.exceptions.NoSuchUpload):
        complete()


@pytest.mark.parametrize("done", [False, True])
def test_error_in_200(proxy: S3Faults, client: S3Client, http: httpx.Client, done: bool) -> None:
    """The status is 200, the body an error, and the object there or not."""
    complete = upload(client, f"maybe {done}")
    proxy.fault("error_in_200", operation="CompleteMultipartUpload", done=done)

    with pytest.raises(ClientError, match="InternalError"):
        complete()

    assert proxy.log(operation="CompleteMultipartUpload")[0]["status"] == 200
    assert proxy.log(operation="CompleteMultipartUpload")[0]["fault"] == "error_in_200"
    assert http.get(address(client, f"maybe {done}")).status_code == (200 if done else 404)


def test_filters_and_counts(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """A fault leaves alone what its filters do not name, and lets the first ones pass where it was told to."""
    proxy.fault("status", code=500, key="li", presigned=True, after=1, times=2)

    assert client.get_object(Bucket="clips", Key="clip")["Body"].read() == BODY
    assert [http.get(address(client)).status_code for _ in range(4)] == [200, 500, 500, 200]
    proxy.fault("status", code=500)
    proxy.fault(None)
    assert http.get(address(client)).status_code == 200


@pytest.mark.parametrize(("name", "words"), [("cutt", {}), ("cut", {"byte": 7}), ("deny", {"operations": "GetObject"})])
def test_a_typing_error_is_refused(proxy: S3Faults, name: str, words: dict[str, Any]) -> None:
    """A test with one must not pass for want of a fault."""
    with pytest.raises(ValueError, match="no such fault"):
        proxy.fault(name, **words)
