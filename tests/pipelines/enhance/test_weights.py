"""Weight files: the official ones load strictly, everything else is a sentence and never runs."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from framehaul.errors import DigestMismatch, ModelError
from framehaul.pipelines.enhance.form import MAX_BYTES, MAX_PARAMETERS
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, DEFAULT_WEIGHTS, load_network, sha256_of
from tests.pipelines.enhance.networks import (
    OFFICIAL,
    OFFICIAL_SHA256,
    Bomb,
    Weights,
    needs_official,
    random_weights,
    saved,
)


@needs_official
def test_the_official_video_model_loads_strictly() -> None:
    """realesr-animevideov3, stored in fp16, is recognised from its shapes alone and comes out in fp32."""
    loaded = load_network(OFFICIAL, sha256=OFFICIAL_SHA256)

    network = loaded.network
    assert (loaded.scale, loaded.parameters, loaded.sha256) == (4, 621_424, OFFICIAL_SHA256)
    assert (network.features, network.convs, loaded.name) == (64, 16, "realesr-animevideov3")
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert not network.training


def test_the_shipped_network_is_the_recorded_one() -> None:
    """The file, its record and the pin in the code tell of the same bytes, and the file is small."""
    record = json.loads(DEFAULT_WEIGHTS.with_suffix(".json").read_text("utf-8"))

    loaded = load_network(DEFAULT_WEIGHTS, sha256=DEFAULT_SHA256)

    assert loaded.sha256 == record["sha256"] == sha256_of(DEFAULT_WEIGHTS)
    assert (loaded.scale, loaded.parameters) == (record["scale"], record["parameters"]) == (2, 45_156)
    assert record["licence"] == "MIT"
    assert DEFAULT_WEIGHTS.stat().st_size < 250_000


@pytest.mark.parametrize(
    "layout",
    [
        lambda good, other: {"params_ema": good, "params": other},
        lambda good, other: {"params": good, "note": other},
        lambda good, other: good,
    ],
    ids=["params_ema first", "then params", "then flat"],
)
def test_every_official_layout_is_read(layout: Callable[[Weights, Weights], object], tmp_path: Path) -> None:
    """The averaged weights are preferred to the plain ones, and both to bare keys."""
    good = random_weights(features=5, convs=2, scale=3)
    path = saved(tmp_path, layout(good, random_weights()))

    loaded = load_network(path)

    assert loaded.scale == 3
    assert all(torch.equal(value, good[key]) for key, value in loaded.network.state_dict().items())


def test_half_precision_is_widened_without_change(tmp_path: Path) -> None:
    """Every fp16 number has its exact fp32 twin."""
    half = {key: value.half() for key, value in random_weights().items()}

    state = load_network(saved(tmp_path, half)).network.state_dict()

    assert all(value.dtype == torch.float32 and torch.equal(value.half(), half[key]) for key, value in state.items())


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    """A job's seed gives the same numbers whether or not a network was loaded in between."""
    path = saved(tmp_path, random_weights())
    before = torch.get_rng_state()

    load_network(path)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, protocol=2))])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    write: Callable[[object, Path], object], tmp_path: Path
) -> None:
    """Neither in torch's zip nor bare does a hostile file get to call anything."""
    path, mark = tmp_path / "bad.pth", tmp_path / "mark"
    write({"params": Bomb(mark)}, path)

    with pytest.raises(ModelError, match=r"bad\.pth asks to run code while it is read"):
        load_network(path)

    assert not mark.exists()


def test_the_bomb_is_a_real_one(tmp_path: Path) -> None:
    """The test above would notice: a careless load of the same object does leave the mark."""
    mark = tmp_path / "mark"

    pickle.loads(pickle.dumps(Bomb(mark)))

    assert mark.exists()


def _without(key: str) -> Weights:
    return {name: value for name, value in random_weights().items() if name != key}


def _with(**changed: torch.Tensor) -> Weights:
    return random_weights() | {key.replace("_", "."): value for key, value in changed.items()}


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        ([1, 2], "holds no table of weights"),
        ({}, "holds no table of weights"),
        ({"params": {}}, "holds no table of weights"),
        ({"params": 3}, "holds no table of weights"),
        ({"epoch": 3}, "holds 'epoch', which is no table of floating-point numbers"),
        (_with(body_0_weight=torch.zeros(4, 3, 3, 3, dtype=torch.int64)), "holds 'body.0.weight', which is no table"),
        (_with(body_0_weight=torch.zeros(4, 3, 3, 3, device="meta")), "holds 'body.0.weight', which is no table"),
        ({"conv_first.weight": torch.zeros(3)}, "is no SRVGGNetCompact: its first keys are conv_first.weight"),
        (_without("body.0.weight"), "is no SRVGGNetCompact"),
        (_without("body.1.weight"), "lacks body.1.weight"),
        (_without("body.2.bias"), "lacks body.2.bias"),
        (_with(extra=torch.zeros(1)), "holds extra, which a network of 1 convolutions does not have"),
        (_with(body_4_weight=torch.zeros(13, 4, 3, 3)), "ends in 13 channels, which is not 3·scale²"),
        (
            _with(body_2_weight=torch.zeros(4, 5, 3, 3)),
            r"has body.2.weight of shape \(4, 5, 3, 3\) where \(4, 4, 3, 3\)",
        ),
        (_with(body_2_bias=torch.full((4,), float("nan"))), "has values that are not finite in body.2.bias"),
        ({"a": torch.zeros(1).expand(MAX_PARAMETERS + 1)}, f"claims more than {MAX_PARAMETERS} parameters"),
    ],
)
def test_what_is_no_network_is_a_sentence_with_the_files_name(stored: object, sentence: str, tmp_path: Path) -> None:
    """Whatever a readable file holds instead, the error says what and where, and what to give instead."""
    path = saved(tmp_path, stored)

    with pytest.raises(ModelError, match=f"some.pth {sentence}") as caught:
        load_network(path)

    assert "SRVGGNetCompact" in caught.value.advice


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "is no weight file, or a damaged one"),
        (b"<!doctype html>", "is no weight file, or a damaged one"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is no weight file, or a damaged one"),
    ],
    ids=["empty", "picture", "web page", "LFS pointer"],
)
def test_bytes_that_are_no_weights_are_a_sentence(data: bytes, sentence: str, tmp_path: Path) -> None:
    """What downloads often leave in place of a weight file is told as such."""
    path = tmp_path / "some.pth"
    path.write_bytes(data)

    with pytest.raises(ModelError, match=f"some.pth {sentence}"):
        load_network(path)


def test_a_file_that_ends_early_is_a_sentence(tmp_path: Path) -> None:
    """A broken download does not reach the network."""
    path = saved(tmp_path, random_weights())
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelError, match=r"some.pth is no weight file, or a damaged one"):
        load_network(path)


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    """Both name the path that was asked for."""
    with pytest.raises(ModelError, match=r"There is no weight file at .*absent\.pth"):
        load_network(tmp_path / "absent.pth")
    with pytest.raises(ModelError, match="is not a file"):
        load_network(tmp_path)


@pytest.mark.parametrize(
    "write",
    [
        lambda weights, path: torch.save(weights, path, _use_new_zipfile_serialization=False),
        lambda weights, path: save_file(weights, path),
        lambda weights, path: save_file({key: value.half() for key, value in weights.items()}, path),
    ],
    ids=["torch before 1.6", "safetensors", "safetensors in fp16"],
)
def test_older_and_safer_layouts_give_the_same_network(write: Callable[[Weights, Path], None], tmp_path: Path) -> None:
    """What is told apart by its first bytes, not by its name, comes out as the zip does."""
    path = tmp_path / "some.pth"
    weights = {key: value.half().float() for key, value in random_weights().items()}
    write(weights, path)

    loaded = load_network(path).network

    assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())


def test_an_absurdly_large_file_is_refused_unread(tmp_path: Path) -> None:
    """Size is judged first; the file here is sparse, so only its length is large."""
    path = tmp_path / "some.pth"
    with path.open("wb") as file:
        file.truncate(50 * MAX_BYTES)

    with pytest.raises(ModelError, match=r"some\.pth has 6400 MiB, far more than any network"):
        load_network(path)


def test_a_small_zip_that_unpacks_to_an_absurd_size_is_refused(tmp_path: Path) -> None:
    """torch would inflate it; we add up what it claims first."""
    path = tmp_path / "some.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(MAX_BYTES + 2**20))
    assert path.stat().st_size < 2**20

    with pytest.raises(ModelError, match=r"some\.pth unpacks to 129 MiB, far more"):
        load_network(path)


def test_a_pin_is_held_before_anything_is_parsed(tmp_path: Path) -> None:
    """Bytes other than the promised ones are a DigestMismatch, even when they are no network at all."""
    path = saved(tmp_path, [1, 2])

    with pytest.raises(DigestMismatch, match=f"{sha256_of(path)}, but {'0' * 64} was promised"):
        load_network(path, sha256="0" * 64)


def test_a_pin_may_be_written_in_capitals(tmp_path: Path) -> None:
    """Some sites print digests that way."""
    path = saved(tmp_path, random_weights())

    assert load_network(path, sha256=sha256_of(path).upper()).sha256 == sha256_of(path)


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    """And a file that cannot be read is a sentence here too."""
    path = tmp_path / "some.bin"
    path.write_bytes(b"abc")

    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(ModelError, match=r"absent\.bin cannot be read"):
        sha256_of(tmp_path / "absent.bin")
