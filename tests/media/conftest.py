"""Programs that judge, and a small clip."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.media.clips import one_second
from tests.media.judge import Judge


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it judges what framehaul.media writes (Debian: apt install ffmpeg)")
    return found


@pytest.fixture(scope="session")
def ffmpeg_program() -> str:
    """Give the ffmpeg program, which makes files that our own code could not."""
    return _program("ffmpeg")


@pytest.fixture(scope="session")
def judge(ffmpeg_program: str) -> Judge:
    """Give the two programs that judge."""
    return Judge(ffprobe=_program("ffprobe"), ffmpeg=ffmpeg_program)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Write one second of silent video, 24 pictures of 96×64."""
    return one_second(tmp_path / "clip.mp4")
