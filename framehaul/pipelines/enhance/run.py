"""Run a video through the network: frames streamed, time stamps and sound carried, nothing dumped to disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from framehaul.errors import BadParams
from framehaul.media.convert import Conversion, convert
from framehaul.media.gate import Limits
from framehaul.media.probe import MediaInfo, probe
from framehaul.media.quality import EncoderSettings
from framehaul.media.span import Span
from framehaul.pipelines.base import Outcome, Task
from framehaul.pipelines.enhance.devices import Choice, Device, choose_precision, find_device, precision_word
from framehaul.pipelines.enhance.footprint import bytes_a_frame, choose_batch
from framehaul.pipelines.enhance.form import Form
from framehaul.pipelines.enhance.outcome import outcome_of
from framehaul.pipelines.enhance.params import EnhanceParams
from framehaul.pipelines.enhance.preview import Preview
from framehaul.pipelines.enhance.spec import MODEL_SLOT, PIPELINE, network_of, scale_of
from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import DEFAULT_WEIGHTS, LoadedNetwork, load_network


class Load(Protocol):
    """Read a weight file, pinned."""

    def __call__(self, path: Path, *, sha256: str | None) -> LoadedNetwork:
        """Give the network; ModelError or DigestMismatch where that cannot be."""


@dataclass(frozen=True)
class _Warm:
    """What stays loaded from job to job, and for which network and precision."""

    sha256: str
    choice: Choice
    upscaler: Upscaler


@dataclass
class EnhanceRunner:
    """Enlarge videos; a network is loaded with the first job that wants it, and stays until another one comes."""

    device: Device = field(default_factory=find_device)
    load: Load = load_network
    _warm: _Warm | None = field(default=None)

    def run(self, task: Task) -> Outcome:
        """Make the one output from the one input."""
        params = PIPELINE.parse(task.params)
        source, weights = _files(task, params)
        task.reporter.stage("load")
        choice = choose_precision(params.precision, self.device)
        warm = self._warmed(params, weights, choice)
        media = probe(source, limits=_limits(task), allow_truncated=params.allow_truncated)
        PIPELINE.judge(params, source.name, media)
        span = params.span(media.length_s)
        upscaler = self._upscaler(warm, params, media)
        _log(task, _story(upscaler, self.device, choice), choice.note, "" if span.whole else f"only {span}")
        task.reporter.stage("upscale")
        conversion = _convert(task, source, params, span, upscaler)
        short = f"memory ran out; frames were done {upscaler.batch} at a time from then on"
        _log(task, conversion.shortfall, short if upscaler.batch_halvings else "")
        _log(task, *(f"left behind: {stream}" for stream in conversion.left_behind))
        return outcome_of(params, upscaler, (self.device, choice), span, conversion)

    def _warmed(self, params: EnhanceParams, weights: Path, choice: Choice) -> _Warm:
        sha256 = network_of(params).sha256
        if self._warm is None or (self._warm.sha256, self._warm.choice.dtype) != (sha256, choice.dtype):
            self._warm = None  # frees the other network's memory before this one loads
            loaded = self.load(weights, sha256=sha256)
            self._warm = _Warm(sha256, choice, Upscaler(loaded, device=self.device.name, dtype=choice.dtype))
        return self._warm

    def _upscaler(self, warm: _Warm, params: EnhanceParams, media: MediaInfo) -> Upscaler:
        """Settle the batch for this video's size, by what the device has free now."""
        pin, video, scale = network_of(params), media.video, scale_of(params)
        form = Form(features=pin.features, convs=pin.convs, scale=pin.scale)
        frame_bytes = bytes_a_frame(form, video.width, video.height, warm.choice.dtype.itemsize, scale=scale)
        batch = choose_batch(params.batch, self.device.kind, frame_bytes, self.device.free_bytes())
        return warm.upscaler.afresh(batch=batch, scale=scale)


def _files(task: Task, params: EnhanceParams) -> tuple[Path, Path]:
    """Give the video and the weight file."""
    videos = [path for slot, path in task.inputs.items() if slot != MODEL_SLOT]
    if len(videos) != 1 or set(task.outputs) != {"result"}:
        raise BadParams("enhance takes one video and makes one.")
    if (params.model is None) != (MODEL_SLOT not in task.inputs):
        raise BadParams("enhance: a weight file travels with a job that names one, and with no other.")
    return videos[0], task.inputs.get(MODEL_SLOT, DEFAULT_WEIGHTS)


def _convert(task: Task, source: Path, params: EnhanceParams, span: Span, upscaler: Upscaler) -> Conversion:
    preview = Preview(task)
    return convert(
        source,
        task.outputs["result"],
        upscaler,
        span=span,
        allow_truncated=params.allow_truncated,
        encoder=EncoderSettings(crf=params.crf, preset=params.preset),
        progress=preview.progress,
        should_stop=task.reporter.should_stop,
        on_frame=preview.picture,
        limits=_limits(task),
    )


def _log(task: Task, *lines: str) -> None:
    for line in filter(None, lines):
        task.reporter.log(line)


def _limits(task: Task) -> Limits:
    told = task.limits
    return Limits(told.max_pixels, told.max_duration_s, told.max_streams)


def _story(upscaler: Upscaler, device: Device, choice: Choice) -> str:
    frames = "1 frame" if upscaler.batch == 1 else f"{upscaler.batch} frames"
    return f"{upscaler.loaded.name} on {device.name} in {precision_word(choice.dtype)}, {frames} at a time"


RUNNER = EnhanceRunner
