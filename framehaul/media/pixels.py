"""Convert pictures between libav's frames and RGB arrays, with matrix, range and chroma position stated each time.

swscale's defaults are wrong for this twice: unasked, it reads every matrix as BT.601, and its fast path rounds luma
coarsely. A BT.709 picture that goes to rgb24 and back in that way comes home with 23 dB of luma PSNR instead of 60.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from framehaul.media.colour import Numbers

Rgb = NDArray[np.uint8]  # (H, W, 3), C-contiguous

CAREFUL = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT  # chroma at every pixel, not at every second
    | Interpolation.FULL_CHR_H_INP
)


# VP8 and VP9 cannot say where chroma lies; players, and encoders that are fed with H.264, take it to be on the left.
_SITED_NOWHERE = {"vp8", "vp9"}


class RgbReader:
    """Turn decoded frames of one stream of `codec` into RGB arrays. Not thread-safe; one a thread."""

    def __init__(self, numbers: Numbers, codec: str = "h264") -> None:
        self._numbers = numbers
        self._left = _LeftSited() if codec in _SITED_NOWHERE else None
        self._to_planes = VideoReformatter()
        self._to_packed = VideoReformatter()

    def read(self, frame: VideoFrame) -> Rgb:
        """Give the frame as (H, W, 3), full range, unrotated."""
        # By way of planes: swscale's careful path writes gbrp in half the time that rgb24 takes, bit for bit the same.
        planes = self._to_planes.reformat(
            frame if self._left is None else self._left.of(frame),
            format="gbrp",
            src_colorspace=self._numbers.coefficients,
            src_color_range=self._numbers.range,  # of YUV; swscale takes RGB sources as full range in any case
            dst_color_range=ColorRange.JPEG,
            interpolation=CAREFUL,
        )
        packed = self._to_packed.reformat(planes, format="rgb24")
        return np.ascontiguousarray(cast(Rgb, packed.to_ndarray()))


class RgbWriter:
    """Turn RGB arrays of one size into frames for an encoder. Not thread-safe; one a thread."""

    def __init__(self, numbers: Numbers, width: int, height: int, pix_fmt: str) -> None:
        self._numbers = numbers
        self._pix_fmt = pix_fmt
        self._from_rgb = VideoReformatter()
        self._canvas = _left_sited(width, height)
        plane = self._canvas.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        self._pixels = rows[:, : width * 3].reshape(height, width, 3)  # a view: writing to it paints the canvas

    def write(self, rgb: Rgb) -> VideoFrame:
        """Give (H, W, 3) as a new frame in the encoder's pixel format; the array may be reused afterwards."""
        self._pixels[...] = rgb
        return self._from_rgb.reformat(
            self._canvas,
            format=self._pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=self._numbers.coefficients,
            dst_color_range=self._numbers.range,
            interpolation=CAREFUL,
        )


def _left_sited(width: int, height: int) -> VideoFrame:
    """Make an RGB frame that will be subsampled with chroma to the left, which is what H.264 and HEVC mean untagged.

    Decoded H.264 does say "left", so without this each round trip moves chroma by half a sample.
    """
    return _LeftSited().of(VideoFrame(width, height, "rgb24"))


class _LeftSited:
    """Say of frames that their chroma lies to the left. PyAV has no setter; a filter is one.

    swscale takes the position from the frame, and centres chroma where the frame says nothing.
    """

    def __init__(self) -> None:
        self._graph = Graph()
        self._fits: tuple[int, int, str] | None = None

    def of(self, frame: VideoFrame) -> VideoFrame:
        """Give the same pixels, sited."""
        fits = (frame.width, frame.height, frame.format.name)
        if fits != self._fits:
            self._graph, self._fits = _siting(*fits), fits
        self._graph.push(frame)
        return cast(VideoFrame, self._graph.pull())


def _siting(width: int, height: int, pix_fmt: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat(pix_fmt), time_base=Fraction(1))
    sited = graph.add("setparams", "chroma_location=left")
    sink = graph.add("buffersink")
    source.link_to(sited)
    sited.link_to(sink)
    graph.configure()
    return graph
