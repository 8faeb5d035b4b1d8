"""Say what the numbers of a picture mean: matrix, range, primaries, transfer.

The tags are code points of ITU-T H.273 (ISO/IEC 23091-2), as libav keeps them, and are carried from input to output.
Two rules follow where a file says nothing:

1. Numbers. An unspecified matrix is read as players read it: BT.709 from 1280 columns or more than 576 rows on, BT.601
   below (the rule of mpv). An unspecified range is limited ("tv"). The same reading is used to and from RGB, so the
   guess cancels out.
2. Tags. Unspecified stays unspecified, with one exception: where the picture grows from one side of that rule to the
   other, players would change their guess, and an untagged DVD enlarged to HD would change its greens and reds. There
   the matrix that was used is written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from av.video.reformatter import ColorRange, Colorspace

RGB, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 6

# H.273 matrix -> swscale's coefficients. What is absent (YCgCo, constant luminance, ICtCp, reserved) is read by rule 1.
_COEFFICIENTS = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}


class Tagged(Protocol):
    """Anything of libav's that carries colour tags: a codec context or a frame."""

    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int


@dataclass(frozen=True)
class Numbers:
    """Say how samples become RGB and back: swscale's coefficients and range, both settled."""

    coefficients: Colorspace
    range: ColorRange


@dataclass(frozen=True)
class Colour:
    """Hold the four tags of a stream as H.273 code points; range is 0 unspecified, 1 limited, 2 full."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @classmethod
    def of(cls, tagged: Tagged, pix_fmt: str) -> Colour:
        """Read the tags; the "yuvj" formats are full range by name, whatever the range tag says."""
        span = 2 if pix_fmt.startswith("yuvj") else int(tagged.color_range)
        return cls(int(tagged.colorspace), span, int(tagged.color_primaries), int(tagged.color_trc))

    def numbers(self, width: int, height: int) -> Numbers:
        """Settle what is used to convert a picture of this size (rule 1)."""
        coefficients = _COEFFICIENTS.get(self.matrix) or _COEFFICIENTS[guessed_matrix(width, height)]
        return Numbers(coefficients, ColorRange.JPEG if self.range == 2 else ColorRange.MPEG)

    def tags_for(self, source: tuple[int, int], target: tuple[int, int]) -> Colour:
        """Give the tags of the output, whose picture grew from `source` to `target` (width, height) (rule 2).

        A source coded as RGB has no matrix; its output is YUV, so it is given the one that is used.
        """
        guess = guessed_matrix(*source)
        if self.matrix == RGB:
            return replace(self, matrix=guess)
        if self.matrix == UNSPECIFIED and guess != guessed_matrix(*target):
            return replace(self, matrix=guess)
        return self


def guessed_matrix(width: int, height: int) -> int:
    """Guess an untagged picture's matrix from its size, as players do."""
    return BT709 if width >= 1280 or height > 576 else BT601
