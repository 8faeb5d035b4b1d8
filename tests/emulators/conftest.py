"""What the tests of emulators share: for S3 one real store a file, a proxy and clients each test; a small vast.ai."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.emulators.s3_faults import S3Faults
from tests.emulators.vast_scene import Scene, scene_of
from tests.loopback import loopback
from tests.rclone import Rclone, s3_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BODY = bytes(range(256)) * 4096  # 1 MiB, as the object "clip" of the bucket "clips"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    with Rclone(tmp_path_factory.mktemp("store")) as store:
        (store.bucket("clips") / "clip").write_bytes(BODY)
        yield store


@pytest.fixture
def proxy(store: Rclone) -> Iterator[S3Faults]:
    with S3Faults(store.endpoint, keep_bytes=4096) as proxy:
        yield proxy


@pytest.fixture
def client(store: Rclone, proxy: S3Faults) -> Iterator[S3Client]:
    client = s3_client(proxy.endpoint, store.key_id, store.secret)
    yield client
    client.close()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(transport=loopback(), timeout=30) as http:
        yield http


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give vast.ai with a few offers, an hour that only the test moves, and no pacing."""
    with scene_of(tmp_path / "vast") as scene:
        yield scene
