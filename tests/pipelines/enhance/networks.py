"""Small networks and weight files to test with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact
from framehaul.pipelines.enhance.weights import LoadedNetwork

Weights = dict[str, Tensor]


def random_weights(*, features: int = 4, convs: int = 1, scale: int = 2) -> Weights:
    """Give the state of a fresh network, the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SRVGGNetCompact(features=features, convs=convs, scale=scale).state_dict()


def saved(folder: Path, stored: object, name: str = "some.pth") -> Path:
    """Write an object as torch does."""
    path = folder / name
    torch.save(stored, path)
    return path


def repeater(*, scale: int = 2, lift: float = 0.0) -> LoadedNetwork:
    """Give a network whose weights are zero: it repeats every pixel, plus `lift` (of 1) everywhere."""
    network = SRVGGNetCompact(features=4, convs=1, scale=scale)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(convolution(network, -1).bias, lift)  # type: ignore[arg-type]
    return as_loaded(network)


def overflowing(gain: float) -> LoadedNetwork:
    """Give a network that is a repeater in effect, but multiplies by `gain` and divides it out again inside."""
    loaded = repeater()
    network = loaded.network
    with torch.no_grad():
        convolution(network, 0).weight[:, :, 1, 1] = gain
        convolution(network, 2).weight[:, :, 1, 1] = 0.1 / gain
    return loaded


def with_memory_for(most: int, error: RuntimeError) -> tuple[LoadedNetwork, list[int]]:
    """Give a network that raises when it gets more than `most` frames, and the list of the batches that it got."""
    loaded, batches = repeater(), list[int]()

    def fit(module: nn.Module, given: tuple[Tensor]) -> None:
        batches.append(len(given[0]))
        if len(given[0]) > most:
            raise error

    loaded.network.register_forward_pre_hook(fit)
    return loaded, batches


def as_loaded(network: SRVGGNetCompact) -> LoadedNetwork:
    """Dress a network up as if it came from a file."""
    count = sum(parameter.numel() for parameter in network.parameters())
    return LoadedNetwork(network.eval(), scale=network.scale, sha256="0" * 64, parameters=count, name="made")


def convolution(network: SRVGGNetCompact, index: int) -> nn.Conv2d:
    """Give a layer of the body that is known to be a convolution."""
    layer = network.body[index]
    assert isinstance(layer, nn.Conv2d)
    return layer


OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "weights" / "realesr-animevideov3.pth"
OFFICIAL_SHA256 = "9917685390d063042c684b3ad10c477c2af91a4b8f2612517075a1c973a2019f"
needs_official = pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official weights are not beside this checkout: shared/weights"
)


class Bomb:
    """Leave a mark on the disk when a pickle that holds it is loaded without care, by the shell."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)
