"""Measure whether memory grows while a long video runs through: resident bytes over frames, after a warm-up."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.material import make_long_clip
from bench.meter import slope
from framehaul.media.convert import Compute, convert
from framehaul.media.encode import EncoderSettings
from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact
from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import LoadedNetwork

SIZE = (1280, 720)
FRAME_BYTES = 1280 * 720 * 3
STATM = Path("/proc/self/statm")
# The queues are bounded, but as long as they fill they look like growth; so they are small, and the warm-up sees to it.
QUEUE_BYTES = 64 << 20
ENCODER = EncoderSettings(crf=30, preset="ultrafast")  # the encoder's effort is not what is asked here
_SAMPLE_EVERY = 10  # frames


class SamePictures:
    """Compute nothing, into fresh memory."""

    batch = 1

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the size back."""
        return width, height

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Copy."""
        return frames.copy()


def smallest_network() -> Upscaler:
    """Make the real Upscaler, buffers and all, around the least network of the family: ×2, one feature."""
    network = SRVGGNetCompact(features=1, convs=0, scale=2).eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Upscaler(LoadedNetwork(network=network, scale=2, sha256="", parameters=parameters, name="smallest"))


COMPUTES: dict[str, Callable[[], Compute]] = {"identity": SamePictures, "upscaler": smallest_network}


@dataclass(frozen=True)
class Growth:
    """Tell how resident memory moved: `slope_bytes` a frame by the robust fit, `rise_bytes` from first to last sample.

    `percent_of_frame` is the slope in hundredths of one 1280×720 RGB picture.
    """

    compute: str
    frames: int
    warm_up_frames: int
    slope_bytes: float
    rise_bytes: int
    percent_of_frame: float
    resident_mib: float


def measure(compute: str, frames: int, warm_up: int, tell: Callable[[str], None]) -> Growth:
    """Convert a 1280×720 clip of at least `frames` pictures in a process of its own, where nothing has run before."""
    tell(f"memory: {frames} frames through {compute}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        samples = apart.submit(resident_over, compute, frames).result()
    return judged(compute, samples, warm_up)


def judged(compute: str, samples: list[tuple[int, int]], warm_up: int) -> Growth:
    """Fit the samples (frames done, resident bytes) from the frame `warm_up` on."""
    settled = [sample for sample in samples if sample[0] >= warm_up]
    done, resident = zip(*settled, strict=True)
    per_frame = slope(done, resident)
    return Growth(
        compute=compute,
        frames=samples[-1][0],
        warm_up_frames=warm_up,
        slope_bytes=per_frame,
        rise_bytes=resident[-1] - resident[0],
        percent_of_frame=100 * per_frame / FRAME_BYTES,
        resident_mib=max(resident) / 2**20,
    )


def resident_over(compute: str, frames: int) -> list[tuple[int, int]]:
    """Convert, and sample (frames done, resident bytes)."""
    samples: list[tuple[int, int]] = []

    def sample(done: int, total: int | None) -> None:
        if done % _SAMPLE_EVERY == 0:
            samples.append((done, resident_bytes()))

    with tempfile.TemporaryDirectory(prefix="framehaul-bench-") as name, torch.inference_mode():
        folder = Path(name)
        clip = make_long_clip(folder / "long.mp4", SIZE, frames)
        convert(
            clip, folder / "out.mp4", COMPUTES[compute](), encoder=ENCODER, progress=sample, queue_bytes=QUEUE_BYTES
        )
    return samples


def resident_bytes() -> int:
    """Read how much of this process lies in memory; Linux tells in pages."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
