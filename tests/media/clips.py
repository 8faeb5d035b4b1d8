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
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


# Open groups of pictures, B-frames and a key frame a second and a quarter apart: what makes a cut in the middle hard.
_HARD_TO_CUT = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1:keyint=30:scenecut=0")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30")
_CODING = {
    ".mp4": (*_HARD_TO_CUT, "-c:a", "aac", "-movflags", "faststart"),
    ".mov": (*_HARD_TO_CUT, "-c:a", "pcm_s16le", "-movflags", "faststart"),
    ".mkv": (*_HARD_TO_CUT, "-c:a", "aac"),
    ".webm": (*_VP9, "-c:a", "libopus"),
}


def film(program: str, path: Path, *extra: str, video_late_s: float = 0, sound_late_s: float = 0) -> Path:
    """Write four seconds at 24 fps (96 pictures of 96×64) with sound, coded as its container usually is."""
    ffmpeg(
        program, "-itsoffset", str(video_late_s), "-f", "lavfi", "-i", "testsrc2=s=96x64:r=24:d=4",
        "-itsoffset", str(sound_late_s), "-f", "lavfi", "-i", "sine=r=48000:d=4.1", "-pix_fmt", "yuv420p",
        *_CODING[path.suffix], *extra, path,
    )  # fmt: skip
    return path


def saturated(width: int, height: int, index: int = 0) -> Picture:
    """Paint a moving picture with the spectrum of natural ones (amplitude falling with frequency), and garish."""
    light, hue, vigour = (_natural(width, height, index, steep, seed) for seed, steep in enumerate((1.2, 1.6, 1.4)))
    strength = np.clip(0.7 + 0.3 * vigour, 0, 1) / 2
    phases = (0, 2 * np.pi / 3, 4 * np.pi / 3)
    picture = np.stack([0.5 + 0.18 * light + strength * np.cos(2.4 * hue + phase) for phase in phases], axis=-1)
    painted: Picture = np.clip(np.rint(255 * picture), 0, 255).astype(np.uint8)
    return painted


def _natural(width: int, height: int, index: int, steep: float, seed: int) -> NDArray[np.float64]:
    wide = width + 64
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((height, wide)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(wide)[None])
    frequency[0, 0] = 1
    field = np.fft.irfft2(noise / frequency**steep, s=(height, wide))
    field = (field - field.mean()) / field.std()
    shown: NDArray[np.float64] = field[:, 2 * index : 2 * index + width]
    return shown


def painted_by_ffmpeg(program: str, folder: Path, kind: str, size: tuple[int, int], count: int) -> list[Picture]:
    """Let ffmpeg paint one of its test patterns, in RGB."""
    path = folder / f"{kind}.mkv"
    source = f"{kind}=s={size[0]}x{size[1]}:r=24:d={(count + 0.5) / 24}"
    ffmpeg(program, "-f", "lavfi", "-i", source, "-frames:v", str(count), "-pix_fmt", "rgb24", "-c:v", "ffv1", path)
    with av.open(path) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
