"""The clip that comes with the project is what its README says, and is made by the code beside it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from framehaul.media.decode import Decoder
from framehaul.media.probe import probe
from samples.make_clip import make_clip
from samples.scene import FRAMES, paint
from tests.media.judge import psnr_db

CLIP = Path(__file__).parents[2] / "samples" / "clip.mp4"


def test_the_clip_is_small_and_described_truly() -> None:
    """Under 1 MB, 108 pictures of 320×180, 4.5 s, BT.709 limited, with AAC sound."""
    info = probe(CLIP)

    assert CLIP.stat().st_size < 1_000_000
    assert (info.video.width, info.video.height, info.video.frames, info.video.duration_s) == (320, 180, FRAMES, 4.5)
    assert (info.video.colour.matrix, info.video.colour.range, info.video.avg_rate) == (1, 1, Fraction(24))
    assert [(sound.codec, sound.rate, sound.channels) for sound in info.audio] == [("aac", 48000, 2)]


def test_the_clip_shows_what_the_code_paints() -> None:
    """Whoever changes the painting makes the clip again."""
    with Decoder(CLIP) as decoder:
        for frame in decoder:
            if frame.index % 35 == 0:
                assert psnr_db(frame.rgb, paint(frame.index)) > 28


def test_making_it_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in the file depends on the hour, on chance or on the number of cores."""
    for name in ("one.mp4", "two.mp4"):
        make_clip(tmp_path / name, frames=8)

    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_the_scene_can_be_had_larger() -> None:
    """Twice as large it is the same scene: averaged down, it is the small one."""
    large = paint(40, 2)

    assert large.shape == (360, 640, 3)
    small = large.reshape(180, 2, 320, 2, 3).mean(axis=(1, 3)).round().astype("uint8")
    assert psnr_db(small, paint(40)) > 45
