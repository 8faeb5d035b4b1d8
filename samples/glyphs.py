"""Draw letters: a 5×7 alphabet of our own, as far as the clip needs it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHAPES = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "-": "00000 00000 00000 11111 00000 00000 00000",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


def lettering(text: str, dot: int) -> NDArray[np.bool_]:
    """Give where ink is, (7·dot, 6·dot·len(text)): each dot of a letter is `dot` pixels wide."""
    letters = [np.array([[mark == "1" for mark in row + "0"] for row in _SHAPES[char].split()]) for char in text]
    return np.concatenate(letters, axis=1).repeat(dot, axis=0).repeat(dot, axis=1)
