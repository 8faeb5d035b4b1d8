"""Tell networks of the SRVGGNetCompact family apart by the names and shapes of their weights. Needs no torch.

The same judgement is made twice: on the person's machine, before anything is rented, and where the network is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from framehaul.errors import ModelError

MAX_BYTES = 128 * 2**20  # the largest official file of the family has 5 MB
MAX_PARAMETERS = MAX_BYTES // 4
MAX_SCALE = 8
ADVICE = "Give a .pth or .safetensors file of the SRVGGNetCompact family, such as realesr-animevideov3.pth."

NO_TABLE = "which is no table of floating-point numbers that this version reads"

LAYER = re.compile(r"body\.(\d{1,3})\.(?:weight|bias)")
# A key that only this family has, and what people call the family.
_OTHER_FAMILIES = {
    "body.0.rdb1.conv1.weight": "an RRDBNet (ESRGAN, Real-ESRGAN x4plus)",
    "RRDB_trunk.0.RDB1.conv1.weight": "an RRDBNet of the old ESRGAN layout",
    "model.1.sub.0.RDB1.conv1.0.weight": "an RRDBNet of the old ESRGAN layout",
    "layers.0.residual_group.blocks.0.attn.qkv.weight": "a SwinIR or HAT",
    "block0.conv0.0.0.weight": "a RIFE network, which makes frames in between",
}

Shape = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """The three numbers that tell one network of the family from another."""

    features: int
    convs: int
    scale: int

    def __str__(self) -> str:
        return f"SRVGGNetCompact {self.features}x{self.convs} x{self.scale}"

    @property
    def shapes(self) -> dict[str, Shape]:
        """Give the shape of every weight: convolutions at even places of the body, PReLUs between them."""
        hidden, last = self.features, 3 * self.scale**2
        found: dict[str, Shape] = {}
        for place in range(self.convs + 2):
            inward, outward = 3 if place == 0 else hidden, last if place == self.convs + 1 else hidden
            found[f"body.{2 * place}.weight"] = (outward, inward, 3, 3)
            found[f"body.{2 * place}.bias"] = (outward,)
            if place <= self.convs:
                found[f"body.{2 * place + 1}.weight"] = (hidden,)
        return found

    @property
    def parameters(self) -> int:
        """Count the weights."""
        return sum(map(math.prod, self.shapes.values()))


def find_table(stored: object, plain: Callable[[object], T | None], path: Path) -> dict[str, T]:
    """Find the weights under 'params_ema' (averaged over training, hence the better ones), 'params', or bare.

    `plain` gives a stored value back as an ordinary table of floating-point numbers, or None where it is none.
    """
    if isinstance(stored, Mapping):
        stored = stored.get("params_ema", stored.get("params", stored))
    if not isinstance(stored, Mapping) or not stored:
        raise bad(path, "holds no table of weights")
    found: dict[str, T] = {}
    for key, value in stored.items():
        weight = plain(value)
        if not isinstance(key, str) or weight is None:
            raise bad(path, f"holds {_shown(key)!r}, {NO_TABLE}")
        found[key] = weight
    return found


def judge(shapes: Mapping[str, Shape], path: Path) -> Form:
    """Infer which network this is, and hold every key and shape against it; ModelError says what is amiss."""
    if sum(map(math.prod, shapes.values())) > MAX_PARAMETERS:
        raise bad(path, f"claims more than {MAX_PARAMETERS} parameters, far more than any network of this family")
    form = _form(shapes, path)
    expected = form.shapes
    if missing := sorted(expected.keys() - shapes.keys()):
        raise bad(path, f"lacks {listed(missing)}")
    if unexpected := sorted(shapes.keys() - expected.keys()):
        raise bad(path, f"holds {listed(unexpected)}, which a network of {form.convs} convolutions does not have")
    for key, shape in expected.items():
        if shapes[key] != shape:
            raise bad(path, f"has {key} of shape {shapes[key]} where {shape} belongs")
    return form


def _form(shapes: Mapping[str, Shape], path: Path) -> Form:
    """Infer features from the first convolution, scale from the last, and the number between from the keys."""
    layers = [int(match[1]) for key in shapes if (match := LAYER.fullmatch(key))]
    first, last = shapes.get("body.0.weight"), shapes.get(f"body.{max(layers, default=0)}.weight")
    if first is None or last is None or len(first) != 4 or len(last) != 4 or max(layers) < 2 or max(layers) % 2:
        raise bad(path, _stranger(shapes))
    scale = math.isqrt(last[0] // 3)
    if not first[0] or scale < 1 or 3 * scale * scale != last[0]:
        raise bad(path, f"ends in {last[0]} channels, which is not 3·scale² for any scale")
    if scale > MAX_SCALE:
        raise bad(path, f"enlarges {scale} times; this version goes up to {MAX_SCALE}")
    return Form(features=first[0], convs=max(layers) // 2 - 1, scale=scale)


def _stranger(shapes: Mapping[str, Shape]) -> str:
    """Name the family that this file is of, where it is known; else show how it begins."""
    for key, family in _OTHER_FAMILIES.items():
        if key in shapes:
            return f"is no SRVGGNetCompact but {family}; this version runs networks of the SRVGGNetCompact family"
    return f"is no SRVGGNetCompact: its first keys are {listed(list(shapes))}"


def listed(keys: Sequence[str]) -> str:
    """Name the first three."""
    shown = ", ".join(map(_shown, keys[:3]))
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"


def _shown(key: object) -> str:
    """Cut a stranger's word short, and leave out what would confuse a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(key)[:60])


def bad(path: Path, why: str) -> ModelError:
    """Say why a file is no network for us."""
    return ModelError(f"{path} {why}.", advice=ADVICE)
