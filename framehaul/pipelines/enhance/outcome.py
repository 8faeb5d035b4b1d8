"""Tell what a job did, for the manifest and for the log."""

from __future__ import annotations

import os
import platform

import av
import torch

from framehaul.contract.wire import Json
from framehaul.media.convert import Conversion
from framehaul.media.span import Span
from framehaul.pipelines.base import Outcome
from framehaul.pipelines.enhance.devices import Choice, Device, precision_word
from framehaul.pipelines.enhance.params import EnhanceParams
from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.waiting import POLICY


def outcome_of(
    params: EnhanceParams, upscaler: Upscaler, where: tuple[Device, Choice], span: Span, conversion: Conversion
) -> Outcome:
    """Gather environment, stage times and details of one finished job."""
    details: dict[str, Json] = {
        "mode": params.mode,
        "scale": upscaler.scale,
        "frames_in": conversion.frames_in,
        "frames_out": conversion.frames_out,
        "width": conversion.width,
        "height": conversion.height,
        "span": None if span.whole else {"start_s": span.start_s, "end_s": span.end_s},
        "shortfall": conversion.shortfall,
        "audio_streams_copied": conversion.audio_streams_copied,
        "left_behind": list(conversion.left_behind),
        "precision_retries": upscaler.precision_retries,
        "batch": upscaler.batch,
        "batch_halvings": upscaler.batch_halvings,
        "wall_s": round(conversion.wall_s, 3),
        "fps": round(conversion.frames_out / conversion.wall_s, 2) if conversion.wall_s > 0 else None,
        "cpu_seconds": {stage: round(took, 3) for stage, took in conversion.cpu_seconds.items()},
    }
    stages = {stage: round(took, 3) for stage, took in conversion.seconds.items()}
    return Outcome(_environment(upscaler, *where), stages, details)


def _environment(upscaler: Upscaler, device: Device, choice: Choice) -> dict[str, Json]:
    return {
        "torch": torch.__version__,
        "av": av.__version__,
        "python": platform.python_version(),
        "device": device.name,
        "dtype": str(choice.dtype).removeprefix("torch."),
        "precision": precision_word(choice.dtype),
        "precision_note": choice.note,
        "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get(POLICY, ""),
        "network": upscaler.loaded.name,
        "network_sha256": upscaler.loaded.sha256,
    }
