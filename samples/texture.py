"""Make noise and ridges that look like nature, the same on every machine: PCG64 from a fixed seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]


def noise(height: int, width: int, cell: int, seed: int) -> Grid:
    """Give smooth noise in 0…1, (height, width), with features of about `cell` pixels."""
    knots = np.random.Generator(np.random.PCG64(seed)).random((height // cell + 2, width // cell + 2))
    y, x = np.arange(height) / cell, np.arange(width) / cell
    top, left = y.astype(int), x.astype(int)
    down, right = _eased(y - top)[:, None], _eased(x - left)[None, :]
    upper = knots[top][:, left] * (1 - right) + knots[top][:, left + 1] * right
    lower = knots[top + 1][:, left] * (1 - right) + knots[top + 1][:, left + 1] * right
    smooth: Grid = upper * (1 - down) + lower * down
    return smooth


def fractal(height: int, width: int, cell: int, seed: int, octaves: int = 5) -> Grid:
    """Sum noise at halving sizes; 0…1, (height, width)."""
    total, weight = np.zeros((height, width)), 0.0
    for octave in range(octaves):
        share = 0.55**octave
        total += share * noise(height, width, max(2, cell >> octave), seed + octave)
        weight += share
    return total / weight


def ridge(width: int, low: float, high: float, cell: int, seed: int) -> Grid:
    """Give a skyline: one height a column, between `low` and `high`."""
    line = fractal(2, width, cell, seed, octaves=6)[0]
    heights: Grid = low + (high - low) * (line - line.min()) / (line.max() - line.min())
    return heights


def _eased(part: Grid) -> Grid:
    return part * part * (3 - 2 * part)
