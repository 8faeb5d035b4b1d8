"""Small networks and weight files to test with."""

from __future__ import annotations

from pathlib import Path

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


def as_loaded(network: SRVGGNetCompact) -> LoadedNetwork:
    """Dress a network up as if it came from a file."""
    count = sum(parameter.numel() for parameter in network.parameters())
    return LoadedNetwork(network.eval(), scale=network.scale, sha256="0" * 64, parameters=count, name="made")


def convolution(network: SRVGGNetCompact, index: int) -> nn.Conv2d:
    """Give a layer of the body that is known to be a convolution."""
    layer = network.body[index]
    assert isinstance(layer, nn.Conv2d)
    return layer
