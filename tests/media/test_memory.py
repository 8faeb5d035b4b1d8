"""A long video needs no more memory than a short one."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from framehaul.media.convert import convert
from framehaul.media.encode import EncoderSettings
from tests.media.clips import ffmpeg
from tests.media.computes import Enlarge

WIDTH, HEIGHT, FRAMES = 320, 180, 1500


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_memory_does_not_grow_with_the_video(tmp_path: Path, ffmpeg_program: str, suffix: str) -> None:
    """From the 500th frame to the 1500th, less than 2 % of a picture a frame: the index."""
    source = tmp_path / f"in.{suffix}"
    pattern = f"testsrc2=s={WIDTH}x{HEIGHT}:r=25:d={FRAMES / 25}"
    ffmpeg(ffmpeg_program, "-f", "lavfi", "-i", pattern, "-c:v", "libx264", "-preset", "ultrafast", source)
    picture_bytes = WIDTH * HEIGHT * 3
    held: dict[int, int] = {}

    def weigh(done: int, total: int | None) -> None:
        if done in (500, FRAMES):
            held[done] = psutil.Process().memory_info().rss

    convert(
        source, tmp_path / f"out.{suffix}", Enlarge(1), encoder=EncoderSettings(preset="ultrafast"), progress=weigh,
        queue_bytes=8 * picture_bytes,
    )  # fmt: skip

    assert held[FRAMES] - held[500] < 0.02 * picture_bytes * (FRAMES - 500)
