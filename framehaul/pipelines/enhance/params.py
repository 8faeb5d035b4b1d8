"""The settings of an enhancement, judged in plain words and brought into one spelling each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from framehaul.media.span import Span
from framehaul.pipelines.base import Params
from framehaul.pipelines.enhance.form import MAX_SCALE, Form
from framehaul.pipelines.enhance.moments import seconds_of

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
Precision = Literal["auto", "fp32", "fp16", "bf16"]
Wrapping = Literal["auto", "mp4", "mkv", "mov", "webm"]
MAX_BATCH = 64


class ModelPin(Params):
    """A weight file as it travels: which bytes, and what is in them. No path: a renamed file is the same work."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scale: int = Field(ge=1, le=MAX_SCALE)
    parameters: int = Field(ge=1)
    features: int = Field(ge=1)
    convs: int = Field(ge=0)

    @classmethod
    def of(cls, sha256: str, form: Form) -> Self:
        """Pin a network that was judged."""
        return cls(
            sha256=sha256,
            scale=form.scale,
            parameters=form.parameters,
            features=form.features,
            convs=form.convs,
        )


def _model(value: object) -> object:
    if isinstance(value, Mapping):
        try:
            return ModelPin.model_validate(dict(value))
        except ValidationError as exc:
            raise ValueError("this is neither a path nor a network as it travels") from exc
    if value is None or isinstance(value, ModelPin) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("give the path of a .pth or .safetensors file")


def _scale(value: object) -> int | float | None:
    """Take 2, 2.0 and "2" as one and the same."""
    number = _number(value)
    if value is None:
        return None
    if number is None or not 1 <= number <= MAX_SCALE:
        raise ValueError(f"a number from 1 to {MAX_SCALE}, such as 2 or 1.5, not {value}")
    return int(number) if number == int(number) else number


def _batch(value: object) -> object:
    number = _number(value)
    if value == "auto":
        return value
    if number is None or number != int(number) or not 1 <= number <= MAX_BATCH:
        raise ValueError(f"'auto' or a number of frames from 1 to {MAX_BATCH}, not {value}")
    return int(number)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(value: object) -> float | None:
    return None if value is None else seconds_of(value)


def _start(value: object) -> float | None:
    return _moment(value) or None  # to begin at 0 is to begin where the video does


Moment = Annotated[float | None, BeforeValidator(_moment)]
Start = Annotated[float | None, BeforeValidator(_start)]


class EnhanceParams(Params):
    """What to make of a video."""

    mode: Literal["upscale"] = Field("upscale", description="What to do.")
    scale: Annotated[int | float | None, BeforeValidator(_scale)] = Field(
        None, description="How many times wider and higher, 1 to 8, whole or not; by default as the network does."
    )
    crf: int = Field(18, ge=0, le=51, description="Quality on x264's scale: lower is better and larger.")
    preset: Preset = Field("medium", description="The encoder's effort, in x264's words.")
    container: Wrapping = Field("auto", description="The kind of file that is written; auto: like the input.")
    model: Annotated[ModelPin | str | None, BeforeValidator(_model)] = Field(
        None, description="A weight file (.pth or .safetensors); by default the network that is shipped, x2."
    )
    precision: Precision = Field("auto", description="What is computed in; auto: fp16 on a GPU that is fast at it.")
    batch: Annotated[int | Literal["auto"], BeforeValidator(_batch)] = Field(
        "auto", description="How many frames go through the network at once, 1 to 64."
    )
    start: Start = Field(None, description="Where to begin: 90, 1:30, 10s; counted from the first picture.")
    end: Moment = Field(None, description="Where to stop.")
    sample: Moment = Field(None, description="Take only this long, from the middle of the video.")
    allow_truncated: bool = Field(False, description="Work on files that break off, as far as they go.")

    @field_validator("mode", mode="before")
    @classmethod
    def _known_mode(cls, value: object) -> object:
        if value in ("interpolate", "interp", "both"):
            raise ValueError(f"{value!r} is not in this version yet; it has 'upscale'")
        return value

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if self.sample is not None and (self.start is not None or self.end is not None):
            raise ValueError("sample takes a part from the middle, so it goes with neither start nor end")
        if self.sample == 0:
            raise ValueError("sample: a part of 0 seconds holds nothing")
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(f"end ({self.end:g} s) must lie after start ({self.start or 0.0:g} s)")
        return self

    def span(self, duration_s: float | None) -> Span:
        """Say which part of a video of this length is meant."""
        if self.sample is not None:
            return Span.middle(self.sample, duration_s)
        return Span(self.start or 0.0, self.end)


def enlarged(scale: float, width: int, height: int) -> tuple[int, int]:
    """Give the size in pixels after enlarging: the nearest whole numbers, halves up, at least 1."""
    return max(1, math.floor(scale * width + 0.5)), max(1, math.floor(scale * height + 0.5))
