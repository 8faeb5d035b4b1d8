"""The photographs of `images.json`, read from the installed scikit-image and held against their digests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Role = Literal["train", "held_out"]

CATALOGUE = Path(__file__).with_name("images.json")


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue; `sha256` is that of the file as scikit-image ships it."""

    name: str
    file: str
    role: Role
    licence: str
    source: str
    sha256: str


@dataclass(frozen=True)
class Photograph:
    """A decoded picture: (H, W, 3) RGB, grey ones with three equal channels."""

    entry: Entry
    pixels: Pixels

    @property
    def pixels_sha256(self) -> str:
        """Tell the picture by its content, so that a re-saved copy is recognised too."""
        shape = f"{self.pixels.shape}".encode()
        return hashlib.sha256(shape + self.pixels.tobytes()).hexdigest()


def catalogue(listing: Path = CATALOGUE) -> list[Entry]:
    """Read every entry, trained on or held out."""
    return [Entry(**entry) for entry in json.loads(listing.read_text("utf-8"))]


def photographs(role: Role, listing: Path = CATALOGUE) -> list[Photograph]:
    """Decode every photograph of a role; ValueError when a file is not the one that was chosen for its licence."""
    return [_photograph(entry) for entry in catalogue(listing) if entry.role == role]


def _photograph(entry: Entry) -> Photograph:
    data = files("skimage").joinpath("data", entry.file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise ValueError(f"{entry.file} of the installed scikit-image has sha256 {found}, not {entry.sha256}.")
    return Photograph(entry, np.asarray(Image.open(BytesIO(data)).convert("RGB")))
