"""Make video files and pictures for tests: deterministic, small, and coded by an arithmetic that is not ours."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Plane = NDArray[np.uint8]

TICKS_24 = [512 * index for index in range(24)]  # one second at 24 fps, in MP4's usual 1/12288
MP4_BASE = Fraction(1, 12288)
# ITU-R BT.601 / BT.709: (Kr, Kb)
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
CODE_POINTS = {"bt601": 6, "bt709": 1}  # H.273


def scene(width: int, height: int, index: int = 0) -> Picture:
    """Paint a moving picture with smooth colour, texture and edges, all well inside the gamut."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    moved = x + 2 * index
    red = 128 + 60 * np.sin(moved / 31) + 25 * np.sin(y / 5)
    green = 120 + 55 * np.cos(y / 23 + moved / 57) + 20 * np.sin((x + y) / 3)
    blue = 110 + 70 * np.sin((moved - y) / 41)
    box = (abs(moved % width - width / 2) < width / 8) & (abs(y - height / 2) < height / 5)
    picture = np.stack([red, green, blue], axis=-1)
    picture[box] = picture[box] * 0.5 + 90
    painted: Picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return painted


def to_yuv420(rgb: Picture, matrix: str, full: bool) -> tuple[Plane, Plane, Plane]:
    """Convert by the equations of BT.601/709 in floating point, chroma sited to the left, as H.264 has it."""
    kr, kb = LUMA[matrix]
    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = [_halved((blue - luma) / (2 - 2 * kb)), _halved((red - luma) / (2 - 2 * kr))]
    luma = luma if full else 16 + luma * 219 / 255
    chroma = [128 + plane * (1 if full else 224 / 255) for plane in chroma]
    first, second, third = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (luma, *chroma))
    return first, second, third


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = (plane[0::2] + plane[1::2]) / 2
    wide = np.pad(rows, ((0, 0), (1, 1)), mode="edge")
    return ((wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4)[:, 0::2]


def write_pictures(
    path: Path,
    pictures: Sequence[Picture],
    ticks: Sequence[int],
    time_base: Fraction = MP4_BASE,
    *,
    matrix: str = "bt709",
    full: bool = False,
    tagged: bool = True,
    options: dict[str, str] | None = None,
) -> None:
    """Encode with H.264, losslessly unless `options` say otherwise, each picture at its own time."""
    height, width = pictures[0].shape[:2]
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=24, time_base=time_base, options={"crf": "0", **(options or {})})
        stream.width, stream.height = width, height
        if tagged:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = CODE_POINTS[matrix]
            context.color_range = 2 if full else 1
        for rgb, tick in zip(pictures, ticks, strict=True):
            planes = to_yuv420(rgb, matrix, full)
            frame = av.VideoFrame.from_ndarray(np.concatenate([_packed(plane, width) for plane in planes]), "yuv420p")
            frame.pts, frame.time_base = tick, time_base
            output.mux(_encoded(stream, frame))
        output.mux(_encoded(stream, None))


def _packed(plane: Plane, width: int) -> Plane:
    return plane.reshape(-1, width)


def _encoded(stream: VideoStream, frame: av.VideoFrame | None) -> list[av.Packet[VideoStream]]:
    return stream.encode(frame)


def one_second(path: Path, **coding: object) -> Path:
    """Write 24 pictures of 96×64, one second."""
    write_pictures(path, [scene(96, 64, index) for index in range(24)], TICKS_24, **coding)  # type: ignore[arg-type]
    return path


def ffmpeg(program: str, *arguments: str | Path) -> None:
    """Run the ffmpeg program; its complaint becomes the test's."""
    command = [program, "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
