"""Paint a train that crosses a viaduct at dusk: textures, thin lines, small letters, and things that move.

Everything is drawn on a canvas of 1280×720 and then averaged down, so that the clip at 320×180 has the detail of a real
lens, and the same scene can be had at 640×360 as the truth that an enlargement is measured against.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from samples.glyphs import lettering
from samples.texture import Grid, fractal, noise, ridge

WIDTH, HEIGHT = 1280, 720  # of the canvas
FRAMES = 108
DECK, WATER = 430, 560  # rows: where the rails lie, where the water begins
_MARGIN = 400  # columns beyond the canvas into which the landscape reaches, for the camera to move
_CAR, _GAP = 330, 14

Picture = NDArray[np.uint8]
Canvas = NDArray[np.float32]


def paint(index: int, scale: int = 1) -> Picture:
    """Paint picture `index` (0 to 107) as RGB (180·scale, 320·scale, 3); scale is 1, 2 or 4."""
    canvas = _sky().copy()
    _clouds(canvas, index)
    _balloon(canvas, 930 - 1.6 * index, 150 + 9 * np.sin(index / 14), index)
    _paste(canvas, *_mountains(), shift=index * 0.25)
    _paste(canvas, *_hills(), shift=index * 0.75)
    _birds(canvas, index)
    _train(canvas, -620 + 9.25 * index, index)
    _paste(canvas, *_viaduct(), shift=index * 1.5)
    _wires(canvas, index * 1.5)
    _water(canvas, index)
    return _reduced(canvas, 4 // scale)


def _reduced(canvas: Canvas, factor: int) -> Picture:
    blocks = canvas.reshape(HEIGHT // factor, factor, WIDTH // factor, factor, 3)
    picture: Picture = np.clip(np.rint(blocks.mean(axis=(1, 3))), 0, 255).astype(np.uint8)
    return picture


def _paste(canvas: Canvas, layer: Canvas, cover: Grid, *, shift: float) -> None:
    """Lay a wide layer over the canvas, moved left by `shift` pixels."""
    left = round(shift)
    part, mask = layer[:, left : left + WIDTH], cover[:, left : left + WIDTH, None].astype(np.float32)
    canvas += (part - canvas) * mask


@cache
def _sky() -> Canvas:
    height = np.linspace(0, 1, HEIGHT)[:, None, None] / 0.62
    top, middle, low = (np.array(rgb, np.float32) for rgb in ((36, 52, 108), (196, 120, 128), (252, 190, 120)))
    sky = np.where(
        height < 0.55, top + (middle - top) * height / 0.55, middle + (low - middle) * (height - 0.55) / 0.45
    )
    canvas = np.broadcast_to(np.clip(sky, 0, 255), (HEIGHT, WIDTH, 3)).astype(np.float32)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(x - 900, y - 330)
    canvas += (np.exp(-distance / 120)[..., None] * (120, 90, 40)).astype(np.float32)
    canvas[distance < 46] = (255, 236, 190)
    stars = np.random.Generator(np.random.PCG64(5)).integers((0, 0), (200, WIDTH - 4), (90, 2))
    for row, column in stars:
        canvas[row : row + 3, column : column + 3] += 110 * (1 - row / 200)
    return canvas


@cache
def _cloud_cover() -> Grid:
    cover = fractal(300, WIDTH + _MARGIN, 150, 21, octaves=6) * np.linspace(0.7, 1.15, 300)[:, None]
    return np.clip((cover - 0.52) * 4, 0, 0.85)


def _clouds(canvas: Canvas, index: int) -> None:
    cover = _cloud_cover()[:, round(index * 0.5) : round(index * 0.5) + WIDTH, None]
    light = np.array((255, 214, 196), np.float32) - 70 * cover**2
    canvas[60:360] += ((light - canvas[60:360]) * cover * 0.8).astype(np.float32)


@cache
def _mountains() -> tuple[Canvas, Grid]:
    """Rock with snow on its upper parts, lit from the right."""
    width = WIDTH + _MARGIN
    line = ridge(width, 380, 190, 260, 31)
    rows = np.arange(HEIGHT)[:, None]
    rock = fractal(HEIGHT, width, 60, 32, octaves=6)
    light = np.clip(np.gradient(rock, axis=1) * 14, -0.35, 0.35)
    shade = (0.62 + 0.5 * rock + light)[..., None]
    layer = shade * np.array((92, 84, 116))
    snow = (rows - line < 70 * rock) & (rock + light > 0.42)
    layer[snow] = (shade * (226, 214, 224))[snow]
    return np.clip(layer, 0, 255).astype(np.float32), np.clip(rows - line + 0.5, 0, 1)


@cache
def _hills() -> tuple[Canvas, Grid]:
    """Woods: a fringe of firs, and the mottle of crowns below it."""
    width = WIDTH + _MARGIN
    firs = np.abs((np.arange(width) * 7 % 23) - 11) * 1.5 * noise(2, width, 9, 41)[0]
    line = ridge(width, 440, 330, 200, 42) - firs
    rows = np.arange(HEIGHT)[:, None]
    crowns = 0.5 * noise(HEIGHT, width, 7, 43) + 0.5 * fractal(HEIGHT, width, 40, 44)
    layer = (0.45 + 0.9 * crowns)[..., None] * (58, 84, 60)
    layer += np.clip(rows - line, 0, 90)[..., None] * (0.25, 0.1, 0.2)
    return np.clip(layer, 0, 255).astype(np.float32), np.clip(rows - line + 0.5, 0, 1)


@cache
def _viaduct() -> tuple[Canvas, Grid]:
    """Brick with pale mortar, arches, and a cornice of stone."""
    width = WIDTH + _MARGIN
    rows, columns = np.mgrid[DECK:HEIGHT, 0:width]
    course = (rows - DECK) // 13
    joint = ((rows - DECK) % 13 < 2) | ((columns + course % 2 * 15) % 30 < 2)
    brick = noise(HEIGHT, width, 5, 51)[DECK:] * 26 + ((columns + course % 2 * 15) // 30 * 37 + course * 53) % 11 * 4.0
    layer = np.zeros((HEIGHT, width, 3), np.float32)
    layer[DECK:] = np.where(joint[..., None], (196, 178, 160), brick[..., None] * (1, 0.55, 0.45) + (128, 62, 48))
    layer[DECK : DECK + 22] = 176 + 40 * noise(22, width, 6, 52)[..., None]
    layer[DECK + 18 : DECK + 22] = 70
    cover = np.zeros((HEIGHT, width))
    span = (columns % 240) - 120
    arch = (np.hypot(span, np.minimum(rows - (DECK + 150), 0)) < 92) & (rows > DECK + 40)
    cover[DECK:] = ~arch
    return layer, cover


def _box(x: float, y: float, width: float, height: float) -> tuple[slice, slice]:
    """Give the canvas's rows and columns of a rectangle, cut to what is visible."""
    top, left = max(0, round(y)), max(0, round(x))
    return slice(top, max(top, min(HEIGHT, round(y + height)))), slice(left, max(left, min(WIDTH, round(x + width))))


def _train(canvas: Canvas, x: float, index: int) -> None:
    """Four cars in two liveries; the words on their sides and the spokes of their wheels are the fine detail."""
    for car in range(4):
        left = x + car * (_CAR + _GAP)
        body = ((30, 74, 110), (150, 44, 40))[car % 2]
        canvas[_box(left, DECK - 104, _CAR, 84)] = body
        canvas[_box(left, DECK - 112, _CAR, 9)] = (200, 200, 204)
        canvas[_box(left, DECK - 58, _CAR, 3)] = (240, 214, 150)
        canvas[_box(left - _GAP, DECK - 40, _GAP, 8)] = (30, 30, 34)
        for window in range(9):
            canvas[_box(left + 14 + 35 * window, DECK - 98, 25, 32)] = (255, 226, 150)
            canvas[_box(left + 25 + 35 * window, DECK - 98, 3, 32)] = (60, 44, 40)
        _write(canvas, ("FRAMEHAUL", "1080-2160")[car % 2], left + 22, DECK - 51, 4, (244, 240, 228))
        _write(canvas, f"{car}0{car}-24", left + 262, DECK - 48, 2, (250, 240, 200))
        for axle in (40, 92, 240, 292):
            _wheel(canvas, left + axle, DECK - 14, 17, index)


def _write(canvas: Canvas, text: str, x: float, y: float, dot: int, ink: tuple[int, int, int]) -> None:
    marks = lettering(text, dot)
    left, top = round(x), round(y)
    visible = marks[:, max(0, -left) : max(0, WIDTH - left)]
    left = max(0, left)
    canvas[top : top + marks.shape[0], left : left + visible.shape[1]][visible] = ink


def _wheel(canvas: Canvas, x: float, y: float, radius: int, index: int) -> None:
    box = _box(x - radius, y - radius, 2 * radius, 2 * radius)
    rows, columns = np.mgrid[box]
    distance, angle = np.hypot(columns - x, rows - y), np.arctan2(rows - y, columns - x)
    turn = index * 9.25 / radius
    spoke = np.abs(np.sin(3 * (angle - turn))) * distance < 3.5
    canvas[box][distance < radius] = (26, 26, 30)
    canvas[box][(distance < radius - 4) & ~spoke & (distance > 4)] = (150, 140, 132)


def _balloon(canvas: Canvas, x: float, y: float, index: int) -> None:
    """A chequered balloon that turns, with its basket on four ropes."""
    box = _box(x - 64, y - 70, 128, 136)
    rows, columns = np.mgrid[box]
    across, down = (columns - x) / 62, (rows - y) / 68
    inside = across**2 + down**2 < 1
    longitude = np.arcsin(np.clip(across / np.sqrt(np.clip(1 - down**2, 1e-3, 1)), -1, 1)) + index / 40
    check = (np.floor(longitude * 4) + np.floor(down * 5)) % 2 > 0
    colour = (
        np.where(check[..., None], (226, 60, 50), (246, 232, 206)) * (0.75 + 0.25 * np.clip(across, -1, 1))[..., None]
    )
    canvas[box][inside] = colour[inside]
    for rope in (-16, -5, 5, 16):
        for step in range(40):
            canvas[_box(x + rope * (1.6 - step / 66), y + 62 + step, 2, 1)] = (70, 50, 40)
    canvas[_box(x - 15, y + 102, 30, 18)] = (120, 80, 46)


def _birds(canvas: Canvas, index: int) -> None:
    for bird in range(7):
        x, y = 1290 - 5.5 * index + 46 * bird, 120 + 26 * abs(bird - 3) + 6 * np.sin(index / 5 + bird)
        flap = np.sin(index * 0.9 + bird)
        for part in range(-14, 15):
            canvas[_box(x + part, y + abs(part) * 0.55 * flap, 2, 3)] = (30, 28, 40)


def _wires(canvas: Canvas, shift: float) -> None:
    """Masts with an arm, and three sagging wires, thinner than a pixel of the clip."""
    for mast in range(-1, 6):
        x = mast * 320 + 160 - shift
        canvas[_box(x, 232, 7, DECK - 232)] = (52, 50, 58)
        canvas[_box(x - 34, 262, 68, 4)] = (52, 50, 58)
    columns = np.arange(WIDTH)
    along = ((columns + shift - 160) % 320) / 320
    for height, sag in ((238, 16), (262, 22), (288, 8)):
        rows = np.rint(height + 4 * sag * along * (1 - along)).astype(int)
        for thickness in range(2):
            canvas[rows + thickness, columns] = (34, 32, 42)


def _water(canvas: Canvas, index: int) -> None:
    """Mirror what stands above the shore, broken by ripples."""
    rows = np.arange(WATER, HEIGHT)
    depth = rows - WATER
    wave = np.sin(depth / 3.1 - index * 0.55) * (1 + depth / 22) + np.sin(depth / 7.3 + index * 0.3) * 3
    above = np.clip(np.rint(WATER - 1 - depth * 2.2 + wave), 0, WATER - 1).astype(int)
    sway = np.rint(np.sin(depth / 2.3 + index * 0.4) * (2 + depth / 14)).astype(int)
    columns = np.clip(np.arange(WIDTH)[None, :] + sway[:, None], 0, WIDTH - 1)
    mirror = canvas[above[:, None], columns]
    glint = (noise(HEIGHT - WATER, WIDTH, 6, 61 + index // 3) > 0.83)[..., None] * 60
    canvas[WATER:] = mirror * 0.62 + np.array((10, 26, 44), np.float32) + glint
    canvas[WATER : WATER + 3] = (40, 40, 48)
