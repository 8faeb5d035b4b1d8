"""Look at files with ffprobe and ffmpeg, other people's programs, not with the code under test."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TAGS = ("color_space", "color_range", "color_primaries", "color_transfer")


@dataclass(frozen=True)
class Judge:
    """Ask ffprobe and ffmpeg, by the names of the two programs."""

    ffprobe: str
    ffmpeg: str

    def streams(self, path: Path) -> list[dict[str, Any]]:
        """Give every stream as ffprobe describes it."""
        streams: list[dict[str, Any]] = self._ask(path, "-show_streams")["streams"]
        return streams

    def video(self, path: Path) -> dict[str, Any]:
        """Give the first video stream as ffprobe describes it."""
        return next(stream for stream in self.streams(path) if stream["codec_type"] == "video")

    def colour(self, path: Path) -> dict[str, str]:
        """Give the colour tags that are there."""
        video = self.video(path)
        return {tag: video[tag] for tag in TAGS if video.get(tag, "unknown") != "unknown"}

    def picture_times(self, path: Path) -> list[Fraction]:
        """Decode all of the video, and give each picture's time in seconds, exactly."""
        base = Fraction(self.video(path)["time_base"])
        frames = self._ask(path, "-select_streams", "v:0", "-show_frames", "-show_entries", "frame=pts")["frames"]
        return [int(frame["pts"]) * base for frame in frames]

    def picture_planes(self, path: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Decode all of the video as it is coded, without conversion: (luma, both chroma planes) a picture."""
        video = self.video(path)
        width, height = video["width"], video["height"]
        halved = "420" in video["pix_fmt"]
        command = [self.ffmpeg, "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0"]
        command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
        raw = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
        luma = width * height
        chroma = -(-width // 2) * -(-height // 2) if halved else luma
        return [(picture[:luma], picture[luma:]) for picture in raw.reshape(-1, luma + 2 * chroma)]

    def _ask(self, path: Path, *what: str) -> dict[str, Any]:
        now = path.stat()
        return _answer(self.ffprobe, path, (now.st_mtime_ns, now.st_size), what)


@lru_cache(maxsize=64)
def _answer(ffprobe: str, path: Path, stamp: tuple[int, int], what: tuple[str, ...]) -> dict[str, Any]:
    """Run ffprobe, once for each question about a file as it is."""
    command = [ffprobe, "-v", "error", *what, "-of", "json", str(path)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answer


def sound_packets(path: Path, stream: int = 0) -> list[tuple[Fraction, str]]:
    """Give each packet of an audio stream: its time in seconds, and a digest of its bytes."""
    with av.open(path) as container:
        packets = [packet for packet in container.demux(container.streams.audio[stream]) if packet.size]
        return [((packet.pts or 0) * packet.time_base, hashlib.sha256(bytes(packet)).hexdigest()) for packet in packets]


def psnr_db(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Peak signal to noise; 99 for equal arrays."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return min(99.0, 10 * np.log10(255**2 / error)) if error else 99.0


def worst_psnr_db(
    ones: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    others: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> Mapping[str, float]:
    """Compare pictures plane by plane; give the worst luma and the worst chroma."""
    pairs = list(zip(ones, others, strict=True))
    return {
        "luma": min(psnr_db(one[0], other[0]) for one, other in pairs),
        "chroma": min(psnr_db(one[1], other[1]) for one, other in pairs),
    }
