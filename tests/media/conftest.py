"""A small clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media.clips import one_second


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write one second of silent video, 24 pictures of 96×64."""
    return one_second(tmp_path / "clip.mp4")
