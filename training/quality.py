"""How an enlarger is measured: halve a held-out photograph, enlarge it again, compare with the original."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.photographs import photographs

Pixels = NDArray[np.uint8]
Enlarger = Callable[[Pixels], Pixels]

MARGIN = 4  # pixels at each edge that are not judged: there the methods differ in how they pad


def halve(pixels: Pixels) -> Pixels:
    """Shrink (H, W, 3) to (H/2, W/2, 3) by antialiased bicubic; H and W must be even."""
    height, width, _ = pixels.shape
    return _resized(pixels, width // 2, height // 2, Image.Resampling.BICUBIC)


def doubled(pixels: Pixels, method: Image.Resampling) -> Pixels:
    """Enlarge (H, W, 3) to (2H, 2W, 3) with one of Pillow's filters (LANCZOS has three lobes)."""
    height, width, _ = pixels.shape
    return _resized(pixels, 2 * width, 2 * height, method)


def even(pixels: Pixels) -> Pixels:
    """Crop the last row or column of an odd side away."""
    height, width, _ = pixels.shape
    return pixels[: height // 2 * 2, : width // 2 * 2]


def psnr(one: Pixels, other: Pixels) -> float:
    """Give the peak signal-to-noise ratio over all RGB samples inside of the margin, in dB."""
    inner = slice(MARGIN, -MARGIN)
    error = one[inner, inner].astype(np.float64) - other[inner, inner]
    return 10 * math.log10(255**2 / float(np.mean(error**2)))


def measure(enlarge: Enlarger) -> dict[str, dict[str, float]]:
    """Give dB by held-out photograph, then by method: bicubic, lanczos and `network`, which is `enlarge`."""
    table = {}
    for photograph in photographs("held_out"):
        original = even(photograph.pixels)
        small = halve(original)
        table[photograph.entry.name] = {
            "bicubic": psnr(original, doubled(small, Image.Resampling.BICUBIC)),
            "lanczos": psnr(original, doubled(small, Image.Resampling.LANCZOS)),
            "network": psnr(original, enlarge(small)),
        }
    return table


def _resized(pixels: Pixels, width: int, height: int, method: Image.Resampling) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height), method))
