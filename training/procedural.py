"""Training pictures that our own code draws, so that nobody else's licence is involved.

`leaves` follows the dead-leaves model: shapes of all sizes that cover each other have edges and flat areas in
about the proportion of photographs (A. Lee, D. Mumford, J. Huang, IJCV 41, 2001). `page` adds letters and thin lines,
which photographs lack and videos have. Both are drawn large and averaged down, so that edges are antialiased.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]

SIDE = 384  # pixels, finished
OVERSAMPLE = 3
GLYPHS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?-+%&()   "


def pictures() -> dict[str, Pixels]:
    """Draw the whole set by name; the seeds are fixed, so a run's own seed does not change the data."""
    drawn = {f"leaves-{seed}": leaves(seed) for seed in range(8)}
    drawn |= {f"page-{seed}": page(seed) for seed in range(2)}
    return drawn


def leaves(seed: int) -> Pixels:
    """Return (SIDE, SIDE, 3) RGB of shapes over shapes, half of the pictures with a grain of 1/f noise."""
    rng = np.random.default_rng([1, seed])
    side = SIDE * OVERSAMPLE
    canvas = Image.new("RGB", (side, side), _color(rng))
    draw = ImageDraw.Draw(canvas)
    for radius in _radii(rng, count=6000):
        _leaf(draw, rng, radius, side)
    grain = 0.12 * (seed % 2)
    return _grained(_averaged_down(canvas), rng, grain)


def page(seed: int) -> Pixels:
    """Return (SIDE, SIDE, 3) RGB of lines of letters in several sizes, crossed by a few thin strokes."""
    rng = np.random.default_rng([2, seed])
    side = SIDE * OVERSAMPLE
    canvas = Image.new("RGB", (side, side), _color(rng))
    draw = ImageDraw.Draw(canvas)
    top = 0.0
    while top < side:
        size = OVERSAMPLE * rng.uniform(9, 30)
        line = "".join(rng.choice(list(GLYPHS), 80))
        draw.text((0, top), line, fill=_color(rng), font=ImageFont.load_default(size))
        top += 1.25 * size
    for _ in range(30):
        ends = [float(v) for v in rng.uniform(0, side, 4)]
        draw.line(ends, fill=_color(rng), width=int(rng.integers(2, 9)))
    return _averaged_down(canvas)


def _radii(rng: np.random.Generator, *, count: int) -> NDArray[np.float64]:
    """Draw radii in oversampled pixels with density r⁻³, which makes the picture look alike at every zoom."""
    smallest, largest = 3.0 * OVERSAMPLE, SIDE * OVERSAMPLE / 4
    u = rng.uniform(size=count)
    return np.asarray((smallest**-2 - u * (smallest**-2 - largest**-2)) ** -0.5)


def _leaf(draw: ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, side: int) -> None:
    """Draw one polygon of 3, 4, 5 or (to look round) 24 corners, stretched and turned."""
    corners = int(rng.choice([3, 4, 5, 24]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    outline = radius * np.stack([np.cos(angles), rng.uniform(0.3, 1) * np.sin(angles)])  # (2, corners)
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ outline
    placed = turned + rng.uniform(0, side, (2, 1))
    draw.polygon([(float(x), float(y)) for x, y in placed.T], fill=_color(rng))


def _color(rng: np.random.Generator) -> Color:
    """Pick a brightness first and a tint around it: channels of photographs go together."""
    brightness = rng.uniform(10, 245)
    red, green, blue = np.clip(brightness + rng.normal(0, 35, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)


def _averaged_down(canvas: Image.Image) -> Pixels:
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX))


def _grained(pixels: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Multiply by 1 + strength · noise, whose amplitude falls as 1/frequency like that of natural surfaces."""
    fy, fx = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / SIDE)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * amplitude, s=(SIDE, SIDE))
    noise /= noise.std()
    grained = pixels * (1 + strength * noise[:, :, None])
    return np.clip(np.rint(grained), 0, 255).astype(np.uint8)
