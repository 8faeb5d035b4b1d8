"""spandrel, an independent reader and runner of weight files: the judge of ours."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

# spandrel imports torchvision for two architectures that nobody asks for here, by these names.
_STAND_INS = {
    "torchvision": (),
    "torchvision.transforms": (),
    "torchvision.transforms.functional": ("InterpolationMode", "rotate", "normalize"),
}


class Oracle:
    """A network as spandrel loads it."""

    def __init__(self, path: Path) -> None:
        self._described = _spandrel().ModelLoader().load_from_file(path)
        self.scale: int = self._described.scale
        self.architecture: str = self._described.architecture.name

    def enlarge(self, pictures: Tensor) -> Tensor:
        """Enlarge (B, 3, H, W) in 0…1 to (B, 3, sH, sW), not clamped."""
        with torch.inference_mode():
            enlarged: Tensor = self._described.model(pictures)
        return enlarged


def _spandrel() -> Any:
    """Import it, with stand-ins for torchvision while that goes on: the real one would bring a torch of its own."""
    if "spandrel" not in sys.modules:
        stand_ins = {name: _module(name, words) for name, words in _STAND_INS.items() if name not in sys.modules}
        sys.modules.update(stand_ins)
        try:
            return pytest.importorskip("spandrel", reason="spandrel, the oracle, is not installed: make test does that")
        finally:
            for name in stand_ins:
                del sys.modules[name]
    return sys.modules["spandrel"]


def _module(name: str, words: tuple[str, ...]) -> ModuleType:
    module = ModuleType(name)
    for word in words:
        setattr(module, word, type(word, (), {}))
    return module
