"""Choose where the network runs, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "fp16", "bf16"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_WORDS = {dtype: word for word, dtype in _DTYPES.items()}
# NVIDIA's compute capabilities from which tensor cores take fp16 (Volta) and bf16 (Ampere).
_FAST_FP16, _FAST_BF16 = (7, 0), (8, 0)


@dataclass(frozen=True)
class Device:
    """Where to compute: torch's name for it, and NVIDIA's compute capability where it is one of theirs."""

    name: str
    capability: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """Give "cuda", "mps" or "cpu", without a number."""
        return self.name.partition(":")[0]

    def free_bytes(self) -> int | None:
        """Ask how much memory is free; None where the answer would not bound a batch."""
        return torch.cuda.mem_get_info(self.name)[0] if self.kind == "cuda" else None


@dataclass(frozen=True)
class Choice:
    """A precision, and a sentence where it is not the one that was asked for."""

    dtype: torch.dtype
    note: str = ""


def find_device() -> Device:
    """Name where this machine computes fastest: an NVIDIA GPU, an Apple one that works, else the CPU."""
    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.get_device_capability())
    if torch.backends.mps.is_available() and _computes("mps"):
        return Device("mps")
    return Device("cpu")


def choose_precision(wish: Precision, device: Device) -> Choice:
    """Choose fp16 on CUDA where it is fast and fp32 elsewhere, or what was asked for where the device can do it.

    bf16 on a CPU was measured (one thread with AMX, torch 2.13, 320×180; CPU-ms a frame, fp32 and bf16): 64x16 takes
    407 and 83, the shipped 24x8 takes 44 and 56. It is off by up to 4 levels (2 in 24x8), 55 dB. So it is done when
    asked for, and what nobody asked about stays exact.
    """
    if wish == "auto":
        return Choice(torch.float16 if (device.capability or (0, 0)) >= _FAST_FP16 else torch.float32)
    if wish == "fp16" and device.kind == "cpu":
        return Choice(torch.float32, "There is no GPU here, and a CPU is slower in fp16: fp32 is used.")
    if wish == "bf16" and device.capability is not None and device.capability < _FAST_BF16:
        shown = ".".join(map(str, device.capability))
        return Choice(torch.float32, f"This GPU (compute capability {shown}) has no bf16: fp32 is used.")
    return Choice(_DTYPES[wish])


def precision_word(dtype: torch.dtype) -> str:
    """Give the word that people use: fp32, fp16, bf16."""
    return _WORDS[dtype]


def _computes(device: str) -> bool:
    """Try a convolution: an Apple GPU may be there and out of reach, as in a virtual machine."""
    try:
        picture = torch.ones(1, 3, 4, 4, device=device)
        return bool(torch.isfinite(torch.nn.functional.conv2d(picture, picture)).item())
    except RuntimeError:
        return False
