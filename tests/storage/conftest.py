"""What the tests of the S3 store share: one real server a session, and before it a proxy for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.rclone import Rclone
from tests.storage.s3_scene import Scene

_numbers = itertools.count()


@pytest.fixture(scope="session")
def open_rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """Give a server that asks nobody who they are; the proxy before it does, by a clock that a test can set."""
    with Rclone(tmp_path_factory.mktemp("rclone"), keys=None) as server:
        yield server


@pytest.fixture
def scene(open_rclone: Rclone) -> Iterator[Scene]:
    """Give an empty bucket behind a proxy, and the store that asks it."""
    with Scene(open_rclone, f"clips-{next(_numbers)}") as scene:
        yield scene
