"""The proxy in the middle of a body: cut, stalled, slow; and a store that is not there at all."""

from __future__ import annotations

import collections
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, HTTPClientError

from tests.emulators.conftest import BODY
from tests.emulators.s3_faults import S3Faults
from tests.emulators.test_s3_faults import address
from tests.rclone import Rclone, s3_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def test_cut_in_a_reply(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """The reader has exactly as many bytes as were let through, and the next request has all."""
    proxy.fault("cut", bytes=70_001, operation="GetObject")

    got = bytearray()
    with http.stream("GET", address(client)) as reply, pytest.raises(httpx.RemoteProtocolError):
        collections.deque(map(got.extend, reply.iter_raw()), maxlen=0)

    assert got == BODY[:70_001]
    assert http.get(address(client)).content == BODY


def test_cut_in_a_part(proxy: S3Faults, client: S3Client) -> None:
    """The sender sees a closed connection, the store half a part, and the same part sent again is taken."""
    number = client.create_multipart_upload(Bucket="clips", Key="parted")["UploadId"]
    part: Any = {"Bucket": "clips", "Key": "parted", "UploadId": number, "PartNumber": 1}
    proxy.fault("cut", bytes=70_001, query="partNumber=1")

    with pytest.raises(HTTPClientError):
        client.upload_part(**part, Body=BODY)

    assert [entry["up_bytes"] for entry in proxy.log(operation="UploadPart")] == [70_001]
    client.upload_part(**part, Body=BODY)
    client.abort_multipart_upload(Bucket="clips", Key="parted", UploadId=number)


def test_cut_in_all_traffic(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """A place in the sum of all bodies that fit falls where it falls: here into the second of three."""
    proxy.fault("cut", total_bytes=len(BODY) + 5, operation="GetObject")

    def size() -> int:
        try:
            return len(http.get(address(client)).content)
        except httpx.RemoteProtocolError:
            return -1

    assert [size() for _ in range(3)] == [len(BODY), -1, len(BODY)]
    assert [entry["down_bytes"] for entry in proxy.log()] == [len(BODY), 5, len(BODY)]


def test_stall_before_an_answer(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """Nothing is answered until it is released; who does not wait sees a timeout."""
    held = proxy.fault("stall", operation="GetObject")
    with pytest.raises(httpx.ReadTimeout):
        http.get(address(client), timeout=0.2)
    assert held.struck.is_set()

    held.release()

    assert http.get(address(client)).content == BODY


def test_stall_at_a_byte_of_all_traffic(proxy: S3Faults, client: S3Client) -> None:
    """The test is told when byte n has passed, every other body that fits waits as well, and then all goes on."""
    held = proxy.fault("stall", total_bytes=len(BODY) + 1, operation="PutObject")
    words = [{"Bucket": "clips", "Key": name, "Body": BODY} for name in ("x", "y", "z")]
    puts = [threading.Thread(target=client.put_object, kwargs=word) for word in words]
    for put in puts:
        put.start()

    assert held.struck.wait(30)
    assert sum(entry["status"] == 200 for entry in proxy.log(operation="PutObject")) <= 1
    held.release()
    for put in puts:
        put.join()

    assert proxy.traffic()["up"] == 3 * len(BODY)


def test_stall_for_a_while(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """After its seconds the request goes on as if nothing had been."""
    proxy.fault("stall", seconds=0.05, bytes=9)

    assert http.get(address(client)).content == BODY
    assert [entry["fault"] for entry in proxy.log()] == ["stall"]


def test_slow(proxy: S3Faults, client: S3Client, http: httpx.Client) -> None:
    """A body of 1 MiB at 10 MiB a second comes whole, after most of a tenth of a second."""
    proxy.fault("slow", bytes_per_s=10 * len(BODY), way="down")

    with http.stream("GET", address(client)) as reply:
        pieces = [len(piece) for piece in reply.iter_raw()]

    assert sum(pieces) == len(BODY)
    assert reply.elapsed.total_seconds() >= 0.05


def test_down_and_up(proxy: S3Faults, client: S3Client) -> None:
    """While it is down the port refuses; afterwards it is the same port."""
    client.head_bucket(Bucket="clips")  # and leaves a connection open
    proxy.down()
    with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        client.head_bucket(Bucket="clips")

    proxy.up()

    client.head_bucket(Bucket="clips")


def test_a_stopped_store_answers_nothing(proxy: S3Faults, client: S3Client, tmp_path: Path) -> None:
    """When the real store is gone, its proxy hangs up."""
    with Rclone(tmp_path) as other, S3Faults(other.endpoint) as before:
        other.bucket("clips")
        there = s3_client(before.endpoint, other.key_id, other.secret)
        other.stop()
        with pytest.raises(ConnectionClosedError):
            there.head_bucket(Bucket="clips")
        other.start()
        there.head_bucket(Bucket="clips")
        there.close()
