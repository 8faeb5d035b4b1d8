"""Plan an enhancement without torch: judge parameters, name outputs, count the work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from framehaul.contract.naming import MODE_WORDS, output_name
from framehaul.contract.pipeline import Estimate, Needs, Takes
from framehaul.contract.spec import OutputSlot
from framehaul.errors import BadParams
from framehaul.pipelines.base import Params, Pipeline

if TYPE_CHECKING:
    from framehaul.media.probe import MediaInfo

SHIPPED_WEIGHTS = Path(__file__).with_name("x2.json")

# The container is settled when the job is planned, by the input's suffix.
CONTAINERS = {".mp4": ".mp4", ".m4v": ".mp4", ".mkv": ".mkv"}

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]


class EnhanceParams(Params):
    """What to make of a video."""

    mode: Literal["upscale"] = Field("upscale", description="What to do.")
    scale: Literal[2] = Field(2, description="How many times wider and higher.")
    crf: int = Field(18, ge=0, le=51, description="x264's quality: lower is better and larger.")
    preset: Preset = Field("medium", description="x264's effort.")

    @field_validator("mode", mode="before")
    @classmethod
    def _known_mode(cls, value: object) -> object:
        if value in ("interpolate", "interp", "both"):
            raise ValueError(f"{value!r} is not in this version yet; it has 'upscale'")
        return value

    @field_validator("scale", mode="before")
    @classmethod
    def _known_scale(cls, value: object) -> object:
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if value != 2:
            raise ValueError(f"the shipped network enlarges 2 times, not {value}")
        return value


class Enhance(Pipeline[EnhanceParams]):
    """Run every frame through a network, keep time stamps and sound."""

    name = "enhance"
    summary = "Upscale a video with a super-resolution network; time stamps and audio stay as they are."
    takes = Takes(kind="video")
    modes = ("upscale",)
    slots = ("result",)
    params_model = EnhanceParams

    def output_slots(
        self, params: EnhanceParams, inputs: Sequence[str], created_at: float, number: int
    ) -> tuple[OutputSlot, ...]:
        """Name the enlarged video; its container follows the input's."""
        suffix = _container(inputs[0])
        name = output_name(inputs[0], MODE_WORDS[params.mode], created_at, suffix, number=number)
        return (OutputSlot(slot="result", name=name),)

    def judge(self, params: EnhanceParams, name: str, media: MediaInfo | None) -> None:
        """Refuse what this version cannot keep whole: other containers, more than 8 bits."""
        _container(name)
        if media is not None and media.video.bit_depth > 8:
            raise BadParams(f"{name} has {media.video.bit_depth} bits a sample; this version keeps 8.")

    def needs(self, params: EnhanceParams, media: MediaInfo | None, size: int | None) -> Needs:
        """Ask for disk for the input, the output and a margin."""
        return Needs(gpu=True, disk_gb=(1 + 2 * params.scale**2) * (size or 0) / 1e9)

    def estimate(self, params: EnhanceParams, media: MediaInfo | None, size: int | None) -> Estimate:
        """Count the network's work: two operations per weight and input pixel (a fully convolutional net)."""
        frames = media.frames_estimate if media else None
        pixels = media.video.width * media.video.height if media else 0
        gflop = 2 * _shipped()["parameters"] * pixels * (frames or 0) / 1e9
        return Estimate(frames=frames, gflop=gflop, output_bytes=(size or 0) * params.scale**2)

    def model_sha256(self, params: EnhanceParams) -> str:
        """Pin the shipped network."""
        return str(_shipped()["sha256"])


def _container(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in CONTAINERS:
        raise BadParams(f"{name}: this version reads {', '.join(CONTAINERS)}, not {suffix or 'a name without suffix'}.")
    return CONTAINERS[suffix]


def _shipped() -> dict[str, int]:
    found: dict[str, int] = json.loads(SHIPPED_WEIGHTS.read_text())
    return found


PIPELINE = Enhance()
