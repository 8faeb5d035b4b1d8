"""Our networks against spandrel's: the same file, the same pictures, the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import DEFAULT_WEIGHTS, load_network
from tests.pipelines.enhance.networks import OFFICIAL, needs_official, random_weights, saved
from tests.pipelines.enhance.oracle import Oracle
from training.photographs import photographs

NEAR = 1e-4


def photograph(height: int, width: int, *, count: int = 1) -> Tensor:
    """Cut pieces out of the held-out photographs: (count, 3, height, width) in 0…1."""
    pixels = photographs("held_out")[0].pixels
    pieces = [pixels[40 * i : 40 * i + height, 60 * i : 60 * i + width] for i in range(count)]
    return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).float() / 255


def noise(count: int, height: int, width: int) -> Tensor:
    """Give what no camera gives: every pixel on its own."""
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(7))


PICTURES: dict[str, Callable[[], Tensor]] = {
    "a photograph": lambda: photograph(96, 128),
    "noise": lambda: noise(1, 64, 64),
    "an odd size": lambda: photograph(37, 53),
    "one row": lambda: noise(1, 1, 9),
    "a batch": lambda: photograph(24, 40, count=3),
}


@pytest.mark.parametrize("pictures", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize(
    "weights", [pytest.param(OFFICIAL, marks=needs_official, id="animevideov3"), pytest.param(DEFAULT_WEIGHTS, id="x2")]
)
def test_every_number_is_spandrels(weights: Path, pictures: Callable[[], Tensor]) -> None:
    """The official video model and the shipped one differ from spandrel's by less than 1e-4 of full scale."""
    given, ours, judge = pictures(), load_network(weights), Oracle(weights)
    with torch.inference_mode():
        enlarged = ours.network(given)

    assert judge.scale == ours.scale
    assert judge.architecture == "RealESRGAN Compact"
    assert (enlarged - judge.enlarge(given)).abs().max() < NEAR


@pytest.mark.parametrize("weights", [pytest.param(OFFICIAL, marks=needs_official), DEFAULT_WEIGHTS], ids=["x4", "x2"])
def test_what_is_written_is_spandrels_picture(weights: Path) -> None:
    """Through the upscaler, with its layout and its rounding, no level differs by more than one."""
    frames = photographs("held_out")[1].pixels[None, 100:137, 100:153]
    given = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float() / 255
    judged = Oracle(weights).enlarge(given).clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).numpy()

    enlarged = Upscaler(load_network(weights))(frames).astype(int)

    assert np.abs(enlarged - judged).max() <= 1
    assert np.mean(enlarged != judged) < 0.001


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_other_members_of_the_family_agree(scale: int, tmp_path: Path) -> None:
    """Networks of other sizes and factors, and files of safetensors, are read alike."""
    weights = random_weights(features=6, convs=3, scale=scale)
    path = saved(tmp_path, {"params": weights})
    save_file(weights, tmp_path / "some.safetensors")
    given = noise(2, 9, 7)

    with torch.inference_mode():
        enlarged = load_network(path).network(given)

    assert (enlarged - Oracle(path).enlarge(given)).abs().max() < NEAR
    assert (enlarged - Oracle(tmp_path / "some.safetensors").enlarge(given)).abs().max() < NEAR
