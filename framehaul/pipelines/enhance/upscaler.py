"""Frames in, larger frames out: precision, layout, batches and rounding around one network."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from framehaul.errors import ModelError
from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact
from framehaul.pipelines.enhance.weights import LoadedNetwork

Frames = NDArray[np.uint8]


def choose_device() -> tuple[str, torch.dtype]:
    """Name where this machine computes fastest, and the precision to use there."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return device, precision_for(device)


def precision_for(device: str) -> torch.dtype:
    """Choose fp16 on CUDA and fp32 elsewhere.

    bf16 on a CPU was measured (two AVX512 cores, torch 2.13): it halves the time of a network of 64 features, at
    errors of up to 6 levels, and leaves that of the shipped one as it is. Whoever wants it passes it as `dtype`.
    """
    return torch.float16 if device.startswith("cuda") else torch.float32


class Upscaler:
    """Enlarge frames with one network on one device; may be called from any one thread at a time.

    `precision_retries` counts the batches whose result was not finite in reduced precision and was made again in fp32.
    """

    def __init__(
        self, loaded: LoadedNetwork, *, device: str = "cpu", dtype: torch.dtype = torch.float32, batch: int = 1
    ) -> None:
        if batch < 1:
            raise ValueError(f"A batch has at least one frame, not {batch}.")
        self.scale = loaded.scale
        self.batch = batch
        self.precision_retries = 0
        self._loaded = loaded
        self._device = torch.device(device)
        self._dtype = dtype
        self._networks: dict[torch.dtype, SRVGGNetCompact] = {}
        self._network(dtype)  # now, so that a device that is missing or full is an error before the first frame

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the enlarged width and height in pixels."""
        return width * self.scale, height * self.scale

    def __call__(self, frames: Frames) -> Frames:
        """Enlarge (N, H, W, 3) RGB to (N, sH, sW, 3) RGB, C-contiguous, `batch` frames at a time.

        Raises ModelError when the network gives values that are not finite even in fp32.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ValueError(f"Frames are (N, H, W, 3) uint8, not {frames.shape} {frames.dtype}.")
        count, height, width, _ = frames.shape
        source = torch.from_numpy(np.require(frames, requirements=["C", "W"]))  # torch warns about read-only arrays
        result = np.empty((count, height * self.scale, width * self.scale, 3), np.uint8)
        target = torch.from_numpy(result)
        with torch.inference_mode():  # here, because the mode belongs to the thread that calls
            for start in range(0, count, self.batch):
                part = slice(start, start + self.batch)
                target[part].copy_(self._enlarge(source[part].to(self._device)))
        return result

    def _enlarge(self, pixels: Tensor) -> Tensor:
        """Enlarge one batch on the device, uint8 (B, H, W, 3) to uint8 (B, sH, sW, 3)."""
        enlarged = self._run(pixels, self._dtype)
        if not _finite(enlarged):
            enlarged = self._in_full_precision(pixels)
        return _to_bytes(enlarged)

    def _in_full_precision(self, pixels: Tensor) -> Tensor:
        """Make a batch that failed again in fp32; ModelError when it failed there, or fails there too."""
        if self._dtype != torch.float32:
            self.precision_retries += 1
            enlarged = self._run(pixels, torch.float32)
            if _finite(enlarged):
                return enlarged
        raise ModelError(
            f"The network {self._loaded.name} gave values that are not finite.",
            advice="Its weights are damaged or were trained for another kind of input; choose another file.",
        )

    def _run(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        x = pixels.permute(0, 3, 1, 2)  # (B, 3, H, W); frames lie channels last already, so nothing is copied
        enlarged: Tensor = self._network(dtype)(x.to(dtype).div_(255))  # (B, 3, sH, sW)
        return enlarged

    def _network(self, dtype: torch.dtype) -> SRVGGNetCompact:
        """Keep one copy a precision; the fp32 one beside a reduced one is made when it is first needed."""
        if dtype not in self._networks:
            network = copy.deepcopy(self._loaded.network).to(self._device, dtype)
            self._networks[dtype] = convert_conv2d_weight_memory_format(network, torch.channels_last)
        return self._networks[dtype]


def _finite(values: Tensor) -> bool:
    """Tell by the sum, in fp32: one pass and one number to wait for, where isfinite() would write a mask first."""
    return bool(torch.isfinite(values.sum(dtype=torch.float32)))


def _to_bytes(values: Tensor) -> Tensor:
    """Round and clamp (B, 3, H, W) around 0…1 to uint8 (B, H, W, 3), on the device: a quarter of fp32 to copy back.

    Truncation, as in the official script, would darken every frame by half a level.
    """
    levels = values.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous()
