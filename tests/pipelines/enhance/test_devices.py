"""Precision follows the device, and a wish that it cannot meet is answered with a sentence."""

from __future__ import annotations

import pytest
import torch

from framehaul.pipelines.enhance.devices import (
    Device,
    Precision,
    choose_precision,
    find_device,
    precision_word,
)

CPU, MPS = Device("cpu"), Device("mps")
PASCAL, VOLTA, AMPERE = Device("cuda", (6, 1)), Device("cuda:1", (7, 0)), Device("cuda", (8, 6))


@pytest.mark.parametrize(
    ("wish", "device", "word"),
    [
        ("auto", CPU, "fp32"),
        ("auto", MPS, "fp32"),
        ("auto", PASCAL, "fp32"),
        ("auto", VOLTA, "fp16"),
        ("auto", AMPERE, "fp16"),
        ("fp32", AMPERE, "fp32"),
        ("fp16", PASCAL, "fp16"),
        ("fp16", MPS, "fp16"),
        ("bf16", CPU, "bf16"),
        ("bf16", AMPERE, "bf16"),
    ],
)
def test_a_wish_is_met_and_auto_is_what_is_fast(wish: Precision, device: Device, word: str) -> None:
    """Reduced precision where tensor cores make it faster, full precision where it only costs quality."""
    choice = choose_precision(wish, device)

    assert precision_word(choice.dtype) == word
    assert choice.note == ""


@pytest.mark.parametrize(
    ("wish", "device", "note"),
    [
        ("fp16", CPU, "There is no GPU here, and a CPU is slower in fp16: fp32 is used."),
        ("bf16", VOLTA, "This GPU (compute capability 7.0) has no bf16: fp32 is used."),
    ],
)
def test_a_wish_that_cannot_be_met_is_answered(wish: Precision, device: Device, note: str) -> None:
    """The work is done in full precision, and the person is told."""
    choice = choose_precision(wish, device)

    assert (choice.dtype, choice.note) == (torch.float32, note)


def test_the_device_that_is_found_computes() -> None:
    """A convolution runs there, and free memory is told where it bounds a batch."""
    device = find_device()

    picture = torch.ones(1, 3, 4, 4, device=device.name)

    assert torch.nn.functional.conv2d(picture, picture).item() == 48
    assert (device.free_bytes() is None) == (device.kind != "cuda")
