"""What a pipeline says of itself, so that a laptop can plan without its code: the content of spec.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framehaul.contract.wire import Json, Slot, Wire


class Takes(Wire):
    """Which inputs a pipeline takes: kind of media, and how many."""

    kind: Literal["any", "video", "audio", "job"]
    at_least: int = 1
    at_most: int | None = 1


class Needs(Wire):
    """What a job asks of a machine."""

    gpu: bool = False
    vram_gb: float = 0.0
    disk_gb: float = 0.0
    memory_gb: float = 0.0


class Estimate(Wire):
    """What a job will probably cost in work, before anything is rented."""

    frames: int | None = None
    gflop: float = 0.0
    output_bytes: int = 0


class PipelineCard(Wire):
    """A pipeline's public face. Its digest is pinned in every JobSpec, so that two versions never mix."""

    name: str
    summary: str
    takes: Takes
    modes: tuple[str, ...]
    slots: tuple[Slot, ...]
    # Input slots that hold no input but a file of the person's that travels with every job: a network, a font.
    asset_slots: tuple[Slot, ...] = ()
    presets: dict[str, dict[str, Json]] = Field(default_factory=dict)
    params_schema: dict[str, Json]
