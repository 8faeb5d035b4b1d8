"""Computations that are easy to foresee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Batch = NDArray[np.uint8]  # (N, H, W, 3)


@dataclass
class Enlarge:
    """Repeat each pixel `scale` times both ways; 1 is the identity. `calls` keeps each batch's length."""

    scale: int = 1
    batch: int = 1
    calls: list[int] = field(default_factory=list)

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give (width, height) of the output."""
        return width * self.scale, height * self.scale

    def __call__(self, frames: Batch) -> Batch:
        """Give (N, scale·H, scale·W, 3)."""
        self.calls.append(len(frames))
        return frames.repeat(self.scale, axis=1).repeat(self.scale, axis=2)


@dataclass
class Failing(Enlarge):
    """Be the identity until the picture numbered `at`, and raise there."""

    at: int = 0

    def __call__(self, frames: Batch) -> Batch:
        """Raise ArithmeticError in the call that holds picture `at`."""
        if sum(self.calls) + len(frames) > self.at:
            raise ArithmeticError(f"picture {self.at}")
        return super().__call__(frames)


@dataclass
class Telling(Enlarge):
    """Be the identity, and tell `say` before each batch."""

    say: Callable[[], None] = lambda: None

    def __call__(self, frames: Batch) -> Batch:
        """Give the batch back."""
        self.say()
        return super().__call__(frames)
