"""Measure one network on one clip: the whole against the sum of its parts, and against a pipeline of PNG files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import torch

from bench.material import make_clip
from bench.meter import Meter, Reading, Spread, Work, added, differences, interleaved, quotients
from bench.parts import Parts
from bench.png_files import PngFiles, find_pictures
from framehaul.media.encode import EncoderSettings
from framehaul.pipelines.enhance.devices import Device, precision_word
from framehaul.pipelines.enhance.footprint import bytes_a_frame, choose_batch
from framehaul.pipelines.enhance.form import Form
from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import LoadedNetwork, load_network

PARTS = ("decode", "model", "encode")
BARE_PARTS = ("decode_bare", "model", "encode_bare")
ENCODER = EncoderSettings(crf=18, preset="medium")  # what `framehaul run` does by default


@dataclass(frozen=True)
class Case:
    """Name a network and the clip it is measured on: size (width, height), pictures in a long and a quick run."""

    name: str
    weights: Path
    size: tuple[int, int]
    frames: int
    quick_frames: int


@dataclass(frozen=True)
class Setting:
    """Say how to measure."""

    device: Device
    dtype: torch.dtype
    batch: int | Literal["auto"]
    rounds: int
    tell: Callable[[str], None]

    def upscaler(self, loaded: LoadedNetwork, size: tuple[int, int]) -> Upscaler:
        """Put a network on the device, with the batch that the pipeline would take for pictures of this size."""
        form = Form(loaded.network.features, loaded.network.convs, loaded.scale)
        frame_bytes = bytes_a_frame(form, *size, self.dtype.itemsize, scale=loaded.scale)
        batch = choose_batch(self.batch, self.device.kind, frame_bytes, self.device.free_bytes())
        return Upscaler(loaded, device=self.device.name, dtype=self.dtype, batch=batch)

    def meter(self) -> Meter:
        """Make a meter that waits for this device."""
        return Meter(torch.cuda.synchronize if self.device.kind == "cuda" else lambda: None)


@dataclass(frozen=True)
class Codec:
    """Compare the CPU-ms a frame of all that is not the network, ours with a pipeline of PNG files.

    `ours` is the whole less the model alone; `carried` is measured straight, with the network's answers in memory.
    """

    pictures: str
    ours: Spread
    carried: Spread
    png: Spread
    ratio: Spread
    carried_ratio: Spread


@dataclass(frozen=True)
class Figures:
    """Hold what a case gave: milliseconds a frame by piece of work, and the ratios, by round and paired."""

    case: str
    network: str
    input: tuple[int, int]
    output: tuple[int, int]
    frames: int
    rounds: int
    batch: int
    dtype: str
    fps: float
    cpu_ms: Mapping[str, Spread]
    wall_ms: Mapping[str, Spread]
    whole_to_sum: float
    efficiency: Spread
    efficiency_bare: Spread
    wall_efficiency: Spread
    slowest_part: str
    codec: Codec | None


def measure(case: Case, frames: int, setting: Setting) -> Figures:
    """Run a case. Raises what loading the network raises."""
    with tempfile.TemporaryDirectory(prefix="framehaul-bench-") as name:
        folder = Path(name)
        setting.tell(f"{case.name}: preparing {frames} frames")
        clip = make_clip(folder / "clip.mp4", case.size, frames)
        network = load_network(case.weights)
        parts = Parts(clip, setting.upscaler(network, case.size), ENCODER, folder)
        png = _png(parts, folder)
        for warm in (parts.carried, parts.encode_bare):
            warm()
        works = _works(parts, png)
        readings = interleaved(works, setting.rounds, setting.meter(), setting.tell)
        return _figures(case, network.name, parts, setting, readings, png)


def _png(parts: Parts, folder: Path) -> PngFiles | None:
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    rate = parts.video.avg_rate or Fraction(25)
    return PngFiles(parts.clip, rate, parts.upscaler, ENCODER, folder, program, find_pictures())


def _works(parts: Parts, png: PngFiles | None) -> dict[str, Work]:
    works: dict[str, Work] = {
        "whole": parts.whole,
        "decode": parts.decode,
        "model": parts.model,
        "encode": parts.encode,
        "carried": parts.carried,
        "decode_bare": parts.decode_bare,
        "encode_bare": parts.encode_bare,
    }
    return works | {"png_files": png.run} if png else works


def _figures(
    case: Case,
    network: str,
    parts: Parts,
    setting: Setting,
    readings: Mapping[str, Sequence[Reading]],
    png: PngFiles | None,
) -> Figures:
    frames = len(parts.frames)
    cpu = {name: [1000 * reading.cpu_s / frames for reading in of] for name, of in readings.items()}
    wall = {name: [1000 * reading.wall_s / frames for reading in of] for name, of in readings.items()}
    wall_ms = {name: Spread.of(values) for name, values in wall.items()}
    slowest = max(PARTS, key=lambda name: wall_ms[name].median)
    efficiency = Spread.of(quotients(added(cpu, PARTS), cpu["whole"]))
    return Figures(
        case=case.name,
        network=network,
        input=(parts.video.width, parts.video.height),
        output=parts.size,
        frames=frames,
        rounds=setting.rounds,
        batch=parts.batch,
        dtype=precision_word(setting.dtype),
        fps=1000 / wall_ms["whole"].median,
        cpu_ms={name: Spread.of(values) for name, values in cpu.items()},
        wall_ms=wall_ms,
        whole_to_sum=1 / efficiency.median,
        efficiency=efficiency,
        efficiency_bare=Spread.of(quotients(added(cpu, BARE_PARTS), cpu["whole"])),
        wall_efficiency=Spread.of(quotients(wall[slowest], wall["whole"])),
        slowest_part=slowest,
        codec=_codec(cpu, png, frames) if png else None,
    )


def _codec(cpu: Mapping[str, Sequence[float]], png: PngFiles, frames: int) -> Codec:
    """Compare by `cpu`, the milliseconds a frame by piece of work and round."""
    ours = differences(cpu["whole"], cpu["model"])
    theirs = differences(cpu["png_files"], [1000 * seconds / frames for seconds in png.network_cpu_s])
    return Codec(
        pictures=png.pictures.title,
        ours=Spread.of(ours),
        carried=Spread.of(cpu["carried"]),
        png=Spread.of(theirs),
        ratio=Spread.of(quotients(ours, theirs)),
        carried_ratio=Spread.of(quotients(cpu["carried"], theirs)),
    )
