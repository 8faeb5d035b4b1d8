"""Show what a computation did: one JPEG, the picture before on the left, after on the right."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from framehaul.atomic import write_atomic
from framehaul.errors import MediaError
from framehaul.media.gate import translated
from framehaul.media.pixels import Rgb

MAX_WIDTH, MAX_HEIGHT = 1920, 1080
_DIVIDER_PX = 4
_QUALITY = 2  # mjpeg's quantiser, 1 best to 31
_LAMBDA = 118  # FF_QP2LAMBDA: libav's unit for quantisers


def write_preview(before: Rgb, after: Rgb, path: Path) -> None:
    """Write `before` (H, W, 3) and `after` (sH, sW, 3) side by side, as the same region at the same size.

    `before` is enlarged by bicubic interpolation, which is what a player would do to it. A picture that is wider than
    half of 1920 is cropped around its centre, not shrunk, so that the difference can be seen.
    """
    height, width = after.shape[:2]
    with translated(f"{path.name} cannot be written"):
        enlarged = _enlarged(before, width, height)
        panel = (MAX_WIDTH - _DIVIDER_PX) // 2
        left, right = (_centre(picture, panel, MAX_HEIGHT) for picture in (enlarged, after))
        divider = np.full((left.shape[0], _DIVIDER_PX, 3), 255, np.uint8)
        write_atomic(path, _jpeg(np.concatenate([left, divider, right], axis=1)))


def _enlarged(picture: Rgb, width: int, height: int) -> Rgb:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
    return cast(Rgb, frame.reformat(width=width, height=height, interpolation=flags).to_ndarray())


def _centre(picture: Rgb, width: int, height: int) -> Rgb:
    """Crop to at most (height, width) around the centre."""
    top = max(0, picture.shape[0] - height) // 2
    left = max(0, picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def _jpeg(picture: Rgb) -> bytes:
    """Encode (H, W, 3): JPEG is full-range BT.601 (JFIF 1.02), here with full chroma, so that any size will do."""
    height, width = picture.shape[:2]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(
        format="yuv444p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG,
    )
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv444p"
    context.time_base = Fraction(1, 25)
    context.color_range = ColorRange.JPEG
    context.sample_aspect_ratio = Fraction(1)  # with it the encoder writes a JFIF header
    context.flags |= Flags.qscale
    context.global_quality = _QUALITY * _LAMBDA
    packets = context.encode(frame) + context.encode(None)
    if len(packets) != 1:
        raise MediaError(f"the JPEG encoder gave {len(packets)} pictures for one.")
    return bytes(packets[0])
