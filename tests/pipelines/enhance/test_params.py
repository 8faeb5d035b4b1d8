"""Parameters are judged before anything is rented, in plain words, and each has one spelling."""

from __future__ import annotations

import pytest

from framehaul.errors import BadParams
from framehaul.media.span import Span
from framehaul.pipelines.enhance.params import enlarged
from framehaul.pipelines.enhance.spec import PIPELINE

PIN = {"sha256": "ab" * 32, "scale": 4, "parameters": 621_424, "features": 64, "convs": 16}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"crt": 3}, "enhance: there is no parameter 'crt'; did you mean 'crf'?"),
        ({"modle": "x.pth"}, "there is no parameter 'modle'; did you mean 'mode'?"),
        ({"zzz": 1}, "enhance: there is no parameter 'zzz'."),
        ({"mode": "upscael"}, "mode: 'upscael' is not 'upscale'; did you mean 'upscale'?"),
        ({"mode": "both"}, "mode: 'both' is not in this version yet; it has 'upscale'."),
        ({"precision": "fp8"}, "precision: 'fp8' is none of 'auto', 'fp32', 'fp16' or 'bf16'."),
        ({"container": "avi"}, "container: 'avi' is none of 'auto', 'mp4', 'mkv', 'mov' or 'webm'."),
        ({"preset": "mediun"}, "or 'veryslow'; did you mean 'medium'?"),
        ({"scale": 0.5}, "scale: a number from 1 to 8, such as 2 or 1.5, not 0.5."),
        ({"scale": "9"}, "scale: a number from 1 to 8, such as 2 or 1.5, not 9."),
        ({"scale": "nan"}, "scale: a number from 1 to 8, such as 2 or 1.5, not nan."),
        ({"scale": True}, "scale: a number from 1 to 8, such as 2 or 1.5, not True."),
        ({"batch": 0}, "batch: 'auto' or a number of frames from 1 to 64, not 0."),
        ({"batch": 2.5}, "batch: 'auto' or a number of frames from 1 to 64, not 2.5."),
        ({"crf": 99}, "crf: Input should be less than or equal to 51, not 99."),
        ({"allow_truncated": "maybe"}, "allow_truncated: true or false, not 'maybe'."),
        ({"model": 5}, "model: give the path of a .pth or .safetensors file."),
        ({"model": " "}, "model: give the path of a .pth or .safetensors file."),
        ({"model": {**PIN, "sha256": "x"}}, "model: this is neither a path nor a network as it travels."),
        ({"model": {**PIN, "path": "/home/eve"}}, "model: this is neither a path nor a network as it travels."),
        ({"start": "1:75"}, "start: '1:75' is no time; write seconds"),
        ({"end": -1}, "end: -1 lies before the video; write seconds"),
        ({"start": 90, "end": "1:30"}, "end (90 s) must lie after start (90 s)."),
        ({"end": 0}, "end (0 s) must lie after start (0 s)."),
        ({"sample": 5, "start": 1}, "sample takes a part from the middle, so it goes with neither start nor end."),
        ({"sample": 5, "end": 9}, "sample takes a part from the middle, so it goes with neither start nor end."),
        ({"sample": "0s"}, "sample: a part of 0 seconds holds nothing."),
        ({"crf": -1, "scale": 0}, "not 0; crf: Input should be"),
    ],
)
def test_a_wrong_parameter_is_a_plain_sentence(given: dict[str, object], sentence: str) -> None:
    """It says what was given, what is known, and where one comes near, which one was meant."""
    with pytest.raises(BadParams) as caught:
        PIPELINE.parse(given)  # type: ignore[arg-type]

    assert sentence in caught.value.message
    assert caught.value.advice.startswith("Known parameters: mode, scale, crf, preset, container, model, precision")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"scale": 2}, {"scale": "2.0"}),
        ({"scale": "1.5"}, {"scale": 1.5}),
        ({"batch": "4"}, {"batch": 4}),
        ({"start": "1:30"}, {"start": 90}),
        ({"start": 0}, {}),
        ({"sample": "500ms"}, {"sample": 0.5}),
        ({"allow_truncated": "yes"}, {"allow_truncated": True}),
        ({"model": PIN}, {"model": PIPELINE.parse({"model": PIN}).model}),  # type: ignore[dict-item]
    ],
)
def test_two_spellings_are_one_piece_of_work(one: dict[str, object], other: dict[str, object]) -> None:
    """They give the same JSON, and so the same digest: nothing is done again."""
    first, second = PIPELINE.parse(one), PIPELINE.parse(other)  # type: ignore[arg-type]

    assert first.model_dump_json() == second.model_dump_json()
    assert PIPELINE.parse(first.model_dump(mode="json")) == first


def test_the_part_that_is_meant() -> None:
    """Start and end are taken as they are; a sample lies in the middle."""
    assert PIPELINE.parse({}).span(10) == Span()
    assert PIPELINE.parse({"start": 2, "end": "3s"}).span(10) == Span(2, 3)
    assert PIPELINE.parse({"end": 3}).span(None) == Span(0, 3)
    assert PIPELINE.parse({"sample": 2}).span(10) == Span(4, 6)


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (5, 3)), (1.5, (8, 5)), (2, (10, 6)), (1.1, (6, 3)), (8, (40, 24)), (0.01, (1, 1))]
)
def test_sizes_are_rounded_with_halves_up(scale: float, size: tuple[int, int]) -> None:
    """7.5 becomes 8 and 4.5 becomes 5, as people round."""
    assert enlarged(scale, 5, 3) == size
