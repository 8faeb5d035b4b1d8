"""Plan an enhancement without torch: judge parameters, name outputs, count the work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehaul.contract.naming import MODE_WORDS, check_file_name, output_name, stem_and_suffix
from framehaul.contract.pipeline import Estimate, Needs, Takes
from framehaul.contract.spec import OutputSlot
from framehaul.contract.wire import Json
from framehaul.errors import BadParams, ModelError
from framehaul.media.containers import container_of
from framehaul.pipelines.base import Asset, Pipeline
from framehaul.pipelines.enhance.footprint import bytes_a_frame
from framehaul.pipelines.enhance.form import Form
from framehaul.pipelines.enhance.header import read_header
from framehaul.pipelines.enhance.params import EnhanceParams, ModelPin, enlarged

if TYPE_CHECKING:
    from framehaul.media.probe import MediaInfo

SHIPPED_WEIGHTS = Path(__file__).with_name("x2.json")
MODEL_SLOT = "model"

# The container is settled when the job is planned, by the input's suffix.
CONTAINERS = {".mp4": ".mp4", ".m4v": ".m4v", ".mov": ".mov", ".mkv": ".mkv", ".webm": ".webm"}
MAX_SIDE = 16384  # x264's limit, and far beyond what players show
_FP16_BYTES = 2


class Enhance(Pipeline[EnhanceParams]):
    """Run every frame through a network, keep time stamps and sound."""

    name = "enhance"
    summary = "Upscale a video with a super-resolution network; time stamps and audio stay as they are."
    takes = Takes(kind="video")
    modes = ("upscale",)
    slots = ("result",)
    asset_slots = (MODEL_SLOT,)
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = {
        "low": {"crf": 23, "preset": "veryfast"},
        "balanced": {"crf": 18, "preset": "medium"},
        "high": {"crf": 14, "preset": "slow"},
    }
    params_model = EnhanceParams

    def pack(self, params: EnhanceParams) -> tuple[EnhanceParams, tuple[Asset, ...]]:
        """Put a pin in the place of a weight file's path, and settle the scale: naming the default is the same work."""
        assets: tuple[Asset, ...] = ()
        if isinstance(params.model, str):
            path = _weight_path(params.model)
            header = read_header(path)
            assets = (Asset(MODEL_SLOT, path),)
            params = params.model_copy(update={"model": ModelPin.of(header.sha256, header.form)})
        if params.scale is None:
            params = params.model_copy(update={"scale": network_of(params).scale})
        return params, assets

    def output_slots(
        self, params: EnhanceParams, inputs: Sequence[str], created_at: float, number: int
    ) -> tuple[OutputSlot, ...]:
        """Name the enlarged video; its container follows the input's."""
        suffix = _suffix(params, inputs[0])
        name = output_name(inputs[0], MODE_WORDS[params.mode], created_at, suffix, number=number)
        return (OutputSlot(slot="result", name=name),)

    def takes_truncated(self, params: EnhanceParams) -> bool:
        """Leave it to the person."""
        return params.allow_truncated

    def judge(self, params: EnhanceParams, name: str, media: MediaInfo | None) -> None:
        """Refuse what this version cannot make: other containers, more than 8 bits, pictures without end."""
        _suffix(params, name)
        if media is None:
            return
        video = media.video
        if video.bit_depth > 8:
            raise BadParams(f"{name} has {video.bit_depth} bits a sample; this version keeps 8.")
        width, height = enlarged(scale_of(params), video.width, video.height)
        if max(width, height) > MAX_SIDE:
            raise BadParams(
                f"{name} of {video.width}×{video.height} would become {width}×{height};"
                f" a video may be up to {MAX_SIDE} pixels wide and high.",
                advice="Choose a smaller --scale.",
            )
        _judge_part(params, name, media)

    def notes(self, params: EnhanceParams, name: str, media: MediaInfo | None) -> tuple[str, ...]:
        """Say how much of a broken file is there, and name the streams that the result will not hold."""
        if media is None:
            return ()
        container = container_of(Path(f"result{_suffix(params, name)}"))
        silent = tuple(f"audio {sound.codec}" for sound in media.audio if not container.takes_audio(sound.codec))
        left = silent + media.other
        return tuple(note for note in (media.shortfall, left and f"left behind: {', '.join(left)}") if note)

    def needs(self, params: EnhanceParams, media: MediaInfo | None, size: int | None) -> Needs:
        """Ask for disk for the input, the output and a margin, and for a GPU that holds one frame."""
        share = _share(params, media)
        disk_gb = (1 + 2 * scale_of(params) ** 2 * share) * (size or 0) / 1e9
        return Needs(gpu=True, vram_gb=round(_vram_gb(params, media), 3), disk_gb=disk_gb)

    def estimate(self, params: EnhanceParams, media: MediaInfo | None, size: int | None) -> Estimate:
        """Count the network's work: two operations per weight and input pixel (a fully convolutional net)."""
        pixels = media.video.width * media.video.height if media else 0
        frames = _frames(params, media)
        gflop = 2 * network_of(params).parameters * pixels * (frames or 0) / 1e9
        output_bytes = round((size or 0) * scale_of(params) ** 2 * _share(params, media))
        return Estimate(frames=frames, gflop=gflop, output_bytes=output_bytes)

    def model_sha256(self, params: EnhanceParams) -> str:
        """Pin the person's network, or the shipped one."""
        return network_of(params).sha256


def network_of(params: EnhanceParams) -> ModelPin:
    """Say which network these parameters choose; BadParams where a path was never packed."""
    if isinstance(params.model, str):
        raise BadParams("enhance: model is still a path; a machine that works takes only a pinned file.")
    return params.model or _shipped()


def scale_of(params: EnhanceParams) -> float:
    """Say how many times a picture is enlarged; by default as the network does."""
    return network_of(params).scale if params.scale is None else params.scale


def _weight_path(typed: str) -> Path:
    """Give the file that a person means; ModelError where its name cannot travel."""
    try:
        path = Path(typed).expanduser().absolute()
        check_file_name(path.name)
    except (ValueError, RuntimeError) as exc:  # RuntimeError: ~somebody who has no home here
        raise ModelError(f"The weight file {typed!r} cannot be used: {exc}.", advice="Give it a plain name.") from exc
    return path


def _suffix(params: EnhanceParams, name: str) -> str:
    suffix = stem_and_suffix(name)[1].lower()
    if suffix not in CONTAINERS:
        raise BadParams(f"{name}: this version reads {', '.join(CONTAINERS)}, not {suffix or 'a name without suffix'}.")
    return CONTAINERS[suffix] if params.container == "auto" else f".{params.container}"


def _judge_part(params: EnhanceParams, name: str, media: MediaInfo) -> None:
    duration_s = media.length_s
    if params.start is not None and duration_s is not None and params.start >= duration_s:
        raise BadParams(
            f"{name} is {duration_s:g} s long; start={params.start:g} lies behind its end.",
            advice="Choose an earlier --start.",
        )
    if duration_s is not None and _frames(params, media) == 0:
        raise BadParams(
            f"{name} is {duration_s:g} s long; there is no picture {params.span(duration_s)}.",
            advice="Choose an earlier --start or a longer part.",
        )


def _frames(params: EnhanceParams, media: MediaInfo | None) -> int | None:
    """Count the frames that will be worked on."""
    return None if media is None else media.frames_within(params.span(media.length_s))


def _share(params: EnhanceParams, media: MediaInfo | None) -> float:
    """Say how much of the video is worked on, 0…1; 1 where that is unknown."""
    frames, total = _frames(params, media), media.frames_estimate if media else None
    return frames / total if frames is not None and total else 1.0


def _vram_gb(params: EnhanceParams, media: MediaInfo | None) -> float:
    if media is None:
        return 0.0
    pin, video = network_of(params), media.video
    form = Form(features=pin.features, convs=pin.convs, scale=pin.scale)
    return bytes_a_frame(form, video.width, video.height, _FP16_BYTES, scale=scale_of(params)) / 1e9


@cache
def _shipped() -> ModelPin:
    record = json.loads(SHIPPED_WEIGHTS.read_text("utf-8"))
    return ModelPin.model_validate({name: record[name] for name in ModelPin.model_fields})


PIPELINE = Enhance()
