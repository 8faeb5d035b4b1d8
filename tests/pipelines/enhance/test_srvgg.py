"""The network has the official files' keys, shapes and residual."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact
from tests.pipelines.enhance.networks import convolution, repeater


def test_keys_are_the_official_ones() -> None:
    """Even indices are convolutions with weight and bias, odd ones a PReLU per channel, the last has 3·s² outputs."""
    network = SRVGGNetCompact(features=5, convs=2, scale=3)

    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}

    assert shapes == {
        "body.0.weight": (5, 3, 3, 3),
        "body.0.bias": (5,),
        "body.1.weight": (5,),
        "body.2.weight": (5, 5, 3, 3),
        "body.2.bias": (5,),
        "body.3.weight": (5,),
        "body.4.weight": (5, 5, 3, 3),
        "body.4.bias": (5,),
        "body.5.weight": (5,),
        "body.6.weight": (27, 5, 3, 3),
        "body.6.bias": (27,),
    }


@pytest.mark.parametrize(
    ("features", "convs", "scale", "parameters"), [(64, 16, 4, 621_424), (64, 32, 4, 1_213_296), (24, 8, 2, 45_156)]
)
def test_the_published_networks_have_their_published_size(
    features: int, convs: int, scale: int, parameters: int
) -> None:
    """animevideov3, general-x4v3 and the shipped network have the parameter counts that are known of them."""
    network = SRVGGNetCompact(features=features, convs=convs, scale=scale)

    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_it_enlarges_odd_sizes_by_its_scale(scale: int) -> None:
    """No size needs padding: (B, 3, H, W) becomes (B, 3, sH, sW)."""
    network = SRVGGNetCompact(features=4, convs=1, scale=scale)

    with torch.inference_mode():
        enlarged = network(torch.rand(2, 3, 7, 11))

    assert enlarged.shape == (2, 3, 7 * scale, 11 * scale)


def test_without_weights_it_repeats_pixels() -> None:
    """The residual is the nearest-neighbour enlargement, bit for bit."""
    network = repeater(scale=3).network
    x = torch.rand(1, 3, 5, 4)

    with torch.inference_mode():
        enlarged = network(x)

    assert torch.equal(enlarged, functional.interpolate(x, scale_factor=3, mode="nearest"))


def test_detail_lands_where_the_official_shuffle_puts_it() -> None:
    """Channel c·s² + i·s + j of the last convolution is colour c at row i and column j of each enlarged pixel."""
    network = repeater(scale=2).network
    bias = convolution(network, -1).bias
    assert bias is not None
    with torch.no_grad():
        bias.copy_(torch.arange(12))

    with torch.inference_mode():
        enlarged = network(torch.zeros(1, 3, 1, 1))

    assert enlarged.flatten().tolist() == list(range(12))
    assert enlarged.shape == (1, 3, 2, 2)
