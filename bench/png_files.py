"""What people do today: ffmpeg dumps PNG files, a script enlarges each, ffmpeg codes them again."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framehaul.errors import MediaError
from framehaul.media.encode import EncoderSettings
from framehaul.media.pixels import Rgb

Network = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
_FRAME_NAME = "%08d.png"
_AN_HOUR_S = 3600.0


class Pictures(Protocol):
    """Read and write PNG files as (H, W, 3) RGB, compressed as the library does by default."""

    title: str

    def read(self, path: Path) -> Rgb:
        """Give the picture of a file."""

    def write(self, path: Path, rgb: Rgb) -> None:
        """Make a file."""


class OpenCvPictures:
    """The faster of the two, and what most enlargers use: its default is zlib's quickest level."""

    def __init__(self, cv2: ModuleType) -> None:
        self.title = f"OpenCV {cv2.__version__}"
        self._cv2 = cv2

    def read(self, path: Path) -> Rgb:
        """Give the picture of a file."""
        return cast(Rgb, self._cv2.cvtColor(self._cv2.imread(str(path)), self._cv2.COLOR_BGR2RGB))

    def write(self, path: Path, rgb: Rgb) -> None:
        """Make a file."""
        self._cv2.imwrite(str(path), self._cv2.cvtColor(rgb, self._cv2.COLOR_RGB2BGR))


class LibavPictures:
    """There wherever Framehaul is."""

    title = f"libav (PyAV {av.__version__})"

    def read(self, path: Path) -> Rgb:
        """Give the picture of a file."""
        with av.open(path) as source:
            return cast(Rgb, next(source.decode(video=0)).to_ndarray(format="rgb24"))

    def write(self, path: Path, rgb: Rgb) -> None:
        """Make a file."""
        with av.open(path, "w", format="image2", options={"update": "1"}) as output:
            stream: VideoStream = output.add_stream("png", rate=24)
            stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "rgb24"
            output.mux(stream.encode(VideoFrame.from_ndarray(rgb, "rgb24")))
            output.mux(stream.encode(None))


def find_pictures() -> Pictures:
    """Choose what costs the PNG way least: OpenCV where it is installed, else libav, which is cheaper than Pillow."""
    try:
        return OpenCvPictures(importlib.import_module("cv2"))
    except ImportError:
        return LibavPictures()


@dataclass
class PngFiles:
    """Enlarge a video by way of PNG files; `network_cpu_s` is what of each run's CPU the network took."""

    clip: Path
    rate: Fraction
    network: Network
    encoder: EncoderSettings
    folder: Path
    program: str
    pictures: Pictures
    network_cpu_s: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Extract, enlarge picture by picture, code and add the sound."""
        before, after = self.folder / "before", self.folder / "after"
        for place in (before, after):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self._ffmpeg("-i", self.clip, before / _FRAME_NAME)
        self.network_cpu_s.append(0.0)
        for path in sorted(before.iterdir()):
            self.pictures.write(after / path.name, self._enlarged(self.pictures.read(path)))
        self._ffmpeg(
            *("-framerate", self.rate, "-i", after / _FRAME_NAME, "-i", self.clip, "-map", "0:v", "-map", "1:a?"),
            *("-c:v", self.encoder.codec, "-crf", f"{self.encoder.crf:g}", "-preset", self.encoder.preset),
            *("-pix_fmt", self.encoder.pix_fmt, "-c:a", "copy", self.folder / "assembled.mp4"),
        )

    def _enlarged(self, rgb: Rgb) -> Rgb:
        began = time.process_time()
        enlarged = cast(Rgb, self.network(rgb[None])[0])
        self.network_cpu_s[-1] += time.process_time() - began
        return enlarged

    def _ffmpeg(self, *words: str | Path | Fraction) -> None:
        command = [self.program, "-nostdin", "-v", "error", "-y", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_AN_HOUR_S)
        if done.returncode:
            raise MediaError(f"The ffmpeg program failed while PNG files were measured: {done.stderr.strip()}")
