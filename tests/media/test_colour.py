"""The rules for colour tags: what a guess is, and when it is written down."""

from __future__ import annotations

import av
import pytest
from av.video.reformatter import ColorRange, Colorspace

from framehaul.media.colour import BT601, BT709, RGB, UNSPECIFIED, Colour

SD, DVD, HD = (320, 180), (720, 576), (1280, 720)


@pytest.mark.parametrize(
    ("matrix", "coefficients"),
    [
        (1, Colorspace.ITU709),
        (4, Colorspace.FCC),
        (5, Colorspace.ITU601),
        (6, Colorspace.ITU601),
        (7, Colorspace.SMPTE240M),
        (9, Colorspace.BT2020),
    ],
)
def test_a_tagged_matrix_is_used_at_every_size(matrix: int, coefficients: Colorspace) -> None:
    """A tag beats the guess."""
    for size in (SD, HD):
        assert Colour(matrix=matrix).numbers(*size).coefficients == coefficients


@pytest.mark.parametrize("matrix", [UNSPECIFIED, 3, 8, 10, 14, 250])
def test_an_unusable_matrix_is_guessed_from_the_size(matrix: int) -> None:
    """Unspecified, reserved and exotic ones are read as players read untagged files."""
    assert Colour(matrix=matrix).numbers(*DVD).coefficients == Colorspace.ITU601
    assert Colour(matrix=matrix).numbers(*HD).coefficients == Colorspace.ITU709


@pytest.mark.parametrize(("tag", "used"), [(0, ColorRange.MPEG), (1, ColorRange.MPEG), (2, ColorRange.JPEG)])
def test_range_is_limited_unless_it_says_full(tag: int, used: ColorRange) -> None:
    """Untagged video is limited range, as nearly all of it is."""
    assert Colour(range=tag).numbers(*SD).range == used


def test_the_old_names_for_full_range_are_understood() -> None:
    """Motion JPEG says "full range" by its pixel format only."""
    frame = av.VideoFrame(16, 16, "yuvj420p")

    assert Colour.of(frame, "yuvj420p").range == 2
    assert Colour.of(frame, "yuv420p").range == 0


@pytest.mark.parametrize("colour", [Colour(), Colour(1, 1, 1, 1), Colour(6, 2, 6, 6), Colour(9, 1, 9, 14)])
def test_tags_go_through_unchanged(colour: Colour) -> None:
    """What is stated stays stated and what is not stays so, as long as the guess would not change."""
    assert colour.tags_for(SD, (640, 360)) == colour
    assert colour.tags_for(HD, (2560, 1440)) == colour


def test_the_guess_is_written_down_where_growing_would_change_it() -> None:
    """An untagged DVD enlarged to HD would be read as BT.709 by players; it was converted as BT.601, so it says so."""
    assert Colour(range=1).tags_for(DVD, (1440, 1152)) == Colour(matrix=BT601, range=1)
    assert Colour(range=1).tags_for(HD, (640, 360)) == Colour(matrix=BT709, range=1)


def test_an_rgb_source_gets_the_matrix_that_its_output_is_coded_with() -> None:
    """ "RGB" as a matrix would be a lie about YUV samples."""
    assert Colour(matrix=RGB, range=2).tags_for(HD, HD) == Colour(matrix=BT709, range=2)
