"""Run a video through the network: frames streamed, time stamps and sound carried, nothing dumped to disk."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field

import av
import torch

from framehaul.contract.wire import Json
from framehaul.errors import BadParams
from framehaul.media.convert import Conversion, convert
from framehaul.media.encode import EncoderSettings
from framehaul.media.gate import Limits
from framehaul.media.pixels import Rgb
from framehaul.media.preview import write_preview
from framehaul.pipelines.base import Outcome, Task
from framehaul.pipelines.enhance.spec import PIPELINE, EnhanceParams
from framehaul.pipelines.enhance.upscaler import Upscaler, choose_device
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, DEFAULT_WEIGHTS, LoadedNetwork, load_network

# The picture is taken this far into the video: an opening is often black.
_PREVIEW_AT = 0.4


@dataclass
class _Warm:
    """What stays loaded from job to job."""

    loaded: LoadedNetwork
    upscaler: Upscaler
    device: str
    dtype: torch.dtype


@dataclass
class EnhanceRunner:
    """Enlarge videos; the network is loaded with the first."""

    _warm: _Warm | None = field(default=None)

    def run(self, task: Task) -> Outcome:
        """Make the one output from the one input."""
        params = PIPELINE.parse(task.params)
        if len(task.inputs) != 1 or set(task.outputs) != {"result"}:
            raise BadParams("enhance takes one video and makes one.")
        (source,) = task.inputs.values()
        task.reporter.stage("load")
        warm = self._warmed()
        task.reporter.log(f"{warm.loaded.name} on {warm.device} in {_word(warm.dtype)}")
        task.reporter.stage("upscale")
        preview = _Preview(task)
        retries_before = warm.upscaler.precision_retries  # counted over the upscaler's whole life
        conversion = convert(
            source,
            task.outputs["result"],
            warm.upscaler,
            encoder=EncoderSettings(crf=params.crf, preset=params.preset),
            progress=preview.progress,
            should_stop=task.reporter.should_stop,
            on_frame=preview.picture,
            limits=_limits(task),
        )
        for stream in conversion.left_behind:
            task.reporter.log(f"left behind: {stream}")
        return _outcome(warm, params, conversion, warm.upscaler.precision_retries - retries_before)

    def _warmed(self) -> _Warm:
        if self._warm is None:
            device, dtype = choose_device()
            loaded = load_network(DEFAULT_WEIGHTS, sha256=DEFAULT_SHA256)
            self._warm = _Warm(loaded, Upscaler(loaded, device=device, dtype=dtype), device, dtype)
        return self._warm


class _Preview:
    """Write a before/after picture: the first frame at once, so that there is one; a better one further in."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._due = 0

    def progress(self, done: int, total: int | None) -> None:
        """Pass the count on, and learn from it how long the video is."""
        self._task.reporter.progress(done, total)
        if total is not None and self._due <= 0:
            self._due = max(1, int(total * _PREVIEW_AT))

    def picture(self, index: int, before: Rgb, after: Rgb) -> None:
        """Take the picture if this frame is due."""
        if index in (0, self._due):
            write_preview(before, after, self._task.preview)


def _limits(task: Task) -> Limits:
    told = task.limits
    return Limits(told.max_pixels, told.max_duration_s, told.max_streams)


def _outcome(warm: _Warm, params: EnhanceParams, conversion: Conversion, retries: int) -> Outcome:
    environment: dict[str, Json] = {
        "torch": torch.__version__,
        "av": av.__version__,
        "python": platform.python_version(),
        "device": warm.device,
        "dtype": _word(warm.dtype),
        "threads": torch.get_num_threads(),
        "network": warm.loaded.name,
        "network_sha256": warm.loaded.sha256,
    }
    details: dict[str, Json] = {
        "mode": params.mode,
        "scale": params.scale,
        "frames_in": conversion.frames_in,
        "frames_out": conversion.frames_out,
        "width": conversion.width,
        "height": conversion.height,
        "audio_streams_copied": conversion.audio_streams_copied,
        "left_behind": list(conversion.left_behind),
        "precision_retries": retries,
        "wall_s": round(conversion.wall_s, 3),
        "fps": round(conversion.frames_out / conversion.wall_s, 2) if conversion.wall_s > 0 else None,
        "cpu_seconds": {stage: round(took, 3) for stage, took in conversion.cpu_seconds.items()},
    }
    return Outcome(environment, {stage: round(took, 3) for stage, took in conversion.seconds.items()}, details)


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


RUNNER = EnhanceRunner
