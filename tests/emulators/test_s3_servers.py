"""The real stores start, stop and come back; the proxy with keys of its own checks who asks, where and when."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.auth
import httpx
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.emulators.s3_faults import S3Faults
from tests.emulators.s3_words import amz_date
from tests.loopback import loopback
from tests.rclone import KEY_ID, SECRET, MotoServer, Rclone, s3_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET: Any = {"Bucket": "clips"}


@contextmanager
def client(endpoint: str, key_id: str = KEY_ID, secret: str = SECRET, region: str = "eu-x-1") -> Iterator[S3Client]:
    made = s3_client(endpoint, key_id, secret, region)
    try:
        yield made
    finally:
        made.close()


def refusal(call: Any, **words: Any) -> tuple[int, str, str]:
    """Give status, code and sentence of a call that must fail."""
    with pytest.raises(ClientError) as failed:
        call(**BUCKET, **words)
    error = failed.value.response["Error"]
    return failed.value.response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


def test_rclone_comes_back_where_it_was(tmp_path: Path) -> None:
    """Stopped, it refuses connections; started again, the files are there at the same address, open uploads are not."""
    with Rclone(tmp_path / "store") as store, client(store.endpoint) as s3:
        (store.bucket("clips") / "by hand").write_bytes(b"1")
        s3.put_object(**BUCKET, Key="by S3", Body=b"2")
        upload = s3.create_multipart_upload(**BUCKET, Key="open")["UploadId"]
        endpoint = store.endpoint

        store.stop()
        with pytest.raises(EndpointConnectionError):
            s3.head_bucket(**BUCKET)
        store.start()

        assert store.endpoint == endpoint
        assert [thing["Key"] for thing in s3.list_objects_v2(**BUCKET)["Contents"]] == ["by S3", "by hand"]
        assert refusal(s3.abort_multipart_upload, Key="open", UploadId=upload)[:2] == (404, "NoSuchUpload")


def test_rclone_keeps_its_keys_out_of_the_process_list(tmp_path: Path) -> None:
    """Tests hunt for secrets there, and must find only those that others left."""
    with Rclone(tmp_path / "store") as store:
        assert SECRET.encode() not in Path(f"/proc/{store.pid}/cmdline").read_bytes()
        with client(store.endpoint, secret="another") as s3:
            assert refusal(s3.head_bucket)[0] == 403


def test_moto_takes_the_keys_that_rclone_refuses() -> None:
    """A key may hold `..`, and small parts are refused, as by real stores; the next server starts empty."""
    with MotoServer() as store, client(store.endpoint, region="us-east-1") as s3:
        s3.create_bucket(**BUCKET)
        s3.put_object(**BUCKET, Key="a/../b", Body=b"1")
        assert [thing["Key"] for thing in s3.list_objects_v2(**BUCKET)["Contents"]] == ["a/../b"]
    with MotoServer() as store, client(store.endpoint, region="us-east-1") as s3:
        assert s3.list_buckets()["Buckets"] == []


@pytest.fixture(scope="module")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    with Rclone(tmp_path_factory.mktemp("store"), keys=None) as store:
        (store.bucket("clips") / "a b'с+%~()*.mp4").write_bytes(b"0123456789")
        yield store


CLIP = "a b'с+%~()*.mp4"


@pytest.fixture(params=["aws", "b2"])
def gate(open_store: Rclone, request: pytest.FixtureRequest) -> Iterator[S3Faults]:
    keys = {KEY_ID: SECRET}
    with S3Faults(open_store.endpoint, keys=keys, region="eu-x-1", vendor=request.param) as gate:
        yield gate


def test_the_gate_lets_boto3_in(gate: S3Faults, open_store: Rclone) -> None:
    """Every kind of request that boto3 signs passes: bodies, queries, odd names, presigned addresses."""
    with client(gate.endpoint) as s3, httpx.Client(transport=loopback()) as http:
        s3.put_object(**BUCKET, Key="out/ü", Body=b"x" * 100, Metadata={"a": "b  c"}, ContentType="text/plain")
        s3.list_objects_v2(**BUCKET, Prefix="a b", Delimiter="/", StartAfter="a")
        upload = s3.create_multipart_upload(**BUCKET, Key=CLIP)["UploadId"]
        s3.upload_part(**BUCKET, Key=CLIP, UploadId=upload, PartNumber=1, Body=b"1")
        s3.abort_multipart_upload(**BUCKET, Key=CLIP, UploadId=upload)
        url = s3.generate_presigned_url("get_object", Params={**BUCKET, "Key": CLIP}, ExpiresIn=60)
        assert http.get(url, headers={"Range": "bytes=3-4"}).content == b"34"
        assert http.get(url.replace("a%20b", "a%20c")).status_code == 403
        assert http.get(f"{gate.endpoint}/clips/out/x").status_code == 403


def test_the_gate_refuses_strangers(gate: S3Faults) -> None:
    """An unknown key, a wrong secret and another region get the answers of the real stores."""
    with client(gate.endpoint, secret="another") as s3:
        status, code, said = refusal(s3.list_objects_v2)
        assert (status, code) == (403, "SignatureDoesNotMatch")
        assert said.startswith("Signature validation failed" if gate.vendor == "b2" else "The request signature we")
    with client(gate.endpoint, key_id="nobody") as s3:
        status, code, said = refusal(s3.list_objects_v2)
        assert (status, code) == (403, "InvalidAccessKeyId")
        assert ("nobody" in said) == (gate.vendor == "b2")
    with httpx.Client(transport=loopback()) as http, client(gate.endpoint, region="us-west-2") as s3:
        url = s3.generate_presigned_url("get_object", Params={**BUCKET, "Key": CLIP}, ExpiresIn=60)
        reply = http.get(url)
        assert (reply.status_code, "expecting 'eu-x-1'" in reply.text) == (400, True)


def test_the_gate_goes_by_its_own_clock(gate: S3Faults) -> None:
    """A request is good when it was signed by the proxy's hour, whatever the store's own clock says."""
    with client(gate.endpoint) as s3, httpx.Client(transport=loopback()) as http:
        url = s3.generate_presigned_url("get_object", Params={**BUCKET, "Key": CLIP}, ExpiresIn=60)
        gate.offset_s = 7200
        assert refusal(s3.list_objects_v2)[:2] == (403, "RequestTimeTooSkewed")
        late = http.get(url)
        aws, b2 = (403, "Request has expired<"), (401, "Request has expired given timestamp")
        status, said = b2 if gate.vendor == "b2" else aws
        assert (late.status_code, said in late.text) == (status, True)

        assert signed_at(gate.endpoint, datetime.now(UTC).timestamp() + 7200, http).status_code == 200
        gate.offset_s = 0
        early = signed_at(gate.endpoint, datetime.now(UTC).timestamp() + 7200, http)
        assert (early.status_code, "RequestTimeTooSkewed" in early.text) == (403, True)


def signed_at(endpoint: str, epoch: float, http: httpx.Client) -> httpx.Response:
    """List the bucket with a request that is signed at this hour, by botocore's own rules."""
    request = AWSRequest("GET", f"{endpoint}/clips?list-type=2")
    request.context["timestamp"] = amz_date(epoch)
    request.headers["X-Amz-Date"] = amz_date(epoch)
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signer = botocore.auth.S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", "eu-x-1")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, Signature={signature}"
    )
    return http.get(str(request.url), headers=dict(request.headers.items()))


def test_the_proxy_as_a_program(open_store: Rclone) -> None:
    """It says where it is, takes its keys from the environment, and obeys its control routes."""
    words = ["--upstream", open_store.endpoint, "--region", "eu-x-1", "--keep-bytes", "99"]
    command = [sys.executable, "-m", "tests.emulators.s3_faults", *words]
    environment = {**os.environ, "S3_FAULTS_KEYS": f"{KEY_ID},{SECRET}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        endpoint = running.stdout.readline().strip()
        try:
            with client(endpoint) as s3, httpx.Client(base_url=endpoint, transport=loopback(), timeout=30) as http:
                _drive(s3, http)
        finally:
            running.terminate()


def _drive(s3: S3Client, http: httpx.Client) -> None:
    def order(**words: Any) -> dict[str, Any]:
        told: dict[str, Any] = http.post("/_control", json=words).raise_for_status().json()
        return told

    number = order(fault="status", code=503, times=1)["fault"]
    assert refusal(s3.list_objects_v2)[1] == "SlowDown"
    assert http.get("/_control/struck", params={"fault": number, "timeout_s": 9}).json() == {"struck": True}
    order(fault="deny")
    order(mend="deny")
    order(fault="deny")
    order(fault=None)
    order(offset_s=3600)
    assert refusal(s3.list_objects_v2)[1] == "RequestTimeTooSkewed"
    order(offset_s=0)
    s3.head_bucket(**BUCKET)
    log = http.get("/_control/log").json()["requests"]
    assert [(entry["operation"], entry["status"]) for entry in log] == [
        *(("ListObjectsV2", 503), ("ListObjectsV2", 403), ("HeadBucket", 200)),
    ]
    assert KEY_ID.encode() in http.get("/_control/plaintext").content
    order(forget=True)
    assert http.get("/_control/log").json() == {"requests": []}
    assert http.get("/_control/traffic").json() == {"up": 0, "down": 0}
    for wrong in ({"fault": "denyy"}, {"fault": "deny", "operations": 1}, {"stop": True}):
        assert http.post("/_control", json=wrong).status_code == 400
