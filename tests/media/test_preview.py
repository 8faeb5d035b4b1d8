"""A preview shows before and after, in their true colours, at full sharpness."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from framehaul.errors import MediaError
from framehaul.media.preview import write_preview
from tests.media.clips import Picture, scene
from tests.media.judge import Judge, psnr_db


def picture_of(path: Path, judge: Judge) -> Picture:
    """Decode a JPEG to RGB with ffmpeg."""
    video = judge.video(path)
    command = [judge.ffmpeg, "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(video["height"], video["width"], 3)


def flat(width: int, height: int, colour: tuple[int, int, int]) -> Picture:
    """Paint one colour."""
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("left", "right"), [((200, 30, 40), (20, 160, 60)), ((255, 255, 255), (0, 0, 0)), ((10, 20, 230), (128, 128, 128))]
)
def test_colours_are_true(
    tmp_path: Path, judge: Judge, left: tuple[int, int, int], right: tuple[int, int, int]
) -> None:
    """Left is before, right is after, a thin white line between; each within 3 of 255 of what it was."""
    path = tmp_path / "preview.jpg"

    write_preview(flat(40, 30, left), flat(80, 60, right), path)

    shown = picture_of(path, judge).astype(int)
    assert shown.shape == (60, 164, 3)
    assert abs(shown[8:52, 8:72] - left).max() <= 3
    assert abs(shown[8:52, 92:156] - right).max() <= 3
    assert (shown[:, 81:83] > 200).all()


def test_both_sides_show_the_same_place(tmp_path: Path, judge: Judge) -> None:
    """The picture before, enlarged, lies over the picture after without a shift."""
    path = tmp_path / "preview.jpg"
    before = scene(160, 90)

    write_preview(before, before.repeat(2, 0).repeat(2, 1), path)

    shown = picture_of(path, judge)
    left, right = shown[:, :320], shown[:, 324:]
    assert psnr_db(left, right) > 28
    assert psnr_db(left[:, 2:], right[:, :-2]) < psnr_db(left, right)


def test_a_large_picture_is_cropped_around_its_centre(tmp_path: Path, judge: Judge) -> None:
    """8K would be 15360 wide; the preview shows the middle at full sharpness, 1920×1080 at most."""
    path = tmp_path / "preview.jpg"
    after = flat(2600, 1400, (30, 30, 30))
    after[690:710, 1290:1310] = (220, 220, 220)

    write_preview(after[::2, ::2], after, path)

    shown = picture_of(path, judge)
    assert shown.shape[0] <= 1080
    assert shown.shape[1] <= 1920
    rows, columns = np.nonzero(shown[:, shown.shape[1] // 2 + 8 :, 1] > 200)
    assert (rows.min(), rows.max()) == (530, 549)
    assert columns.max() - columns.min() == 19


def test_a_preview_replaces_the_last_one(tmp_path: Path) -> None:
    """It is written again and again during a job; a reader sees the old one or the new one."""
    path = tmp_path / "preview.jpg"
    path.write_bytes(b"old")

    write_preview(flat(8, 8, (1, 2, 3)), flat(16, 16, (1, 2, 3)), path)

    assert path.read_bytes()[:4] == b"\xff\xd8\xff\xe0"
    assert path.read_bytes()[6:10] == b"JFIF"
    assert [entry.name for entry in tmp_path.iterdir()] == ["preview.jpg"]


def test_a_preview_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    """A missing folder is told in a sentence."""
    with pytest.raises(MediaError, match=r"^preview.jpg cannot be written"):
        write_preview(flat(8, 8, (0, 0, 0)), flat(8, 8, (0, 0, 0)), tmp_path / "nowhere" / "preview.jpg")
