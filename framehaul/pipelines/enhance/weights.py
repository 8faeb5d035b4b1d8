"""Weight files: read without running what is in them, judged whole, and told apart by their shapes.

A `.pth` file is a pickle in a zip, and a pickle can run code. So the bytes are read once, held against the pin,
bounded in size, and then read by torch's restricted reader, which knows tensors and dictionaries and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from framehaul.errors import DigestMismatch, ModelError
from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact

DEFAULT_WEIGHTS = Path(__file__).with_name("x2.pth")
DEFAULT_SHA256 = "4ae15753bb0df5ef86f0a587310ccb0d1b00137119c716c184c95abab348ef7a"

MAX_BYTES = 128 * 2**20  # the largest official file of the family has 5 MB
MAX_PARAMETERS = MAX_BYTES // 4
LAYER = re.compile(r"body\.(\d{1,3})\.(?:weight|bias)")
ADVICE = "Give a .pth file of the SRVGGNetCompact family, such as realesr-animevideov3.pth."


@dataclass(frozen=True)
class LoadedNetwork:
    """A network on the CPU, in fp32 and eval mode, with what a manifest should tell about it."""

    network: SRVGGNetCompact
    scale: int
    sha256: str
    parameters: int
    name: str


@dataclass(frozen=True)
class Form:
    """The three numbers that tell one network of the family from another."""

    features: int
    convs: int
    scale: int

    def build(self) -> SRVGGNetCompact:
        """Make the network without memory for its weights, and without touching the random state."""
        with torch.device("meta"):
            return SRVGGNetCompact(features=self.features, convs=self.convs, scale=self.scale)


def load_network(path: Path, *, sha256: str | None = None) -> LoadedNetwork:
    """Read a weight file in one of the official layouts; `sha256` pins the file's exact bytes.

    Raises ModelError when the file is no network of this family, DigestMismatch when it is not the pinned one.
    """
    data = _read(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise DigestMismatch(f"{path} has sha256 {found}, but {sha256.lower()} was promised.")
    weights = _weights(_unpickle(data, path), path)
    form = _form(weights, path)
    network = _filled(form, weights, path)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return LoadedNetwork(network=network, scale=form.scale, sha256=found, parameters=parameters, name=path.stem)


def sha256_of(path: Path) -> str:
    """Digest a file of any size; ModelError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _read(path: Path) -> bytes:
    """Take the whole file into memory, so that the bytes that are hashed are the bytes that are loaded."""
    try:
        if not path.exists():
            raise ModelError(f"There is no weight file at {path}.", advice=ADVICE)
        if not path.is_file():
            raise _bad(path, "is not a file")
        size = path.stat().st_size
        if size == 0:
            raise _bad(path, "is empty")
        if size > MAX_BYTES:
            raise _bad(path, f"has {size // 2**20} MiB, far more than any network of this family")
        return path.read_bytes()
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _unpickle(data: bytes, path: Path) -> object:
    """Read tensors and containers, nothing else. The one gate for what a hostile file makes torch raise."""
    try:
        unpacked = _unpacked_size(data)
        if unpacked <= MAX_BYTES:
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as exc:
        if "GLOBAL" in str(exc):  # torch's word for "this pickle names a function or class to call"
            raise _bad(path, "asks to run code while it is read, which is refused; nothing of it was run") from exc
        raise _bad(path, "is no weight file, or a damaged one") from exc
    raise _bad(path, f"unpacks to {unpacked // 2**20} MiB, far more than any network of this family")


def _unpacked_size(data: bytes) -> int:
    """Add up what a zip says it holds: torch itself would inflate a small file to any size."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(member.file_size for member in archive.infolist())


def _weights(stored: object, path: Path) -> dict[str, Tensor]:
    """Find the tensors under 'params_ema' (averaged over training, hence the better ones), 'params', or bare."""
    if isinstance(stored, Mapping):
        stored = stored.get("params_ema", stored.get("params", stored))
    if not isinstance(stored, Mapping) or not stored:
        raise _bad(path, "holds no table of weights")
    for key, value in stored.items():
        if not isinstance(key, str) or not _is_plain(value):
            raise _bad(path, f"holds {key!r}, which is no table of floating-point numbers")
    if sum(value.numel() for value in stored.values()) > MAX_PARAMETERS:
        raise _bad(path, f"claims more than {MAX_PARAMETERS} parameters, far more than any network of this family")
    return dict(stored)


def _is_plain(value: object) -> bool:
    """Say whether this is an ordinary tensor: a file may hold sparse ones, and ones with no data at all."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.is_floating_point()
    )


def _form(weights: Mapping[str, Tensor], path: Path) -> Form:
    """Infer features from the first convolution, scale from the last, and the number between from the keys."""
    layers = [int(match[1]) for key in weights if (match := LAYER.fullmatch(key))]
    first, last = weights.get("body.0.weight"), weights.get(f"body.{max(layers, default=0)}.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4 or max(layers) < 2 or max(layers) % 2:
        raise _bad(path, f"is no SRVGGNetCompact: its first keys are {_listed(list(weights))}")
    scale = math.isqrt(last.shape[0] // 3)
    if scale < 1 or 3 * scale * scale != last.shape[0]:
        raise _bad(path, f"ends in {last.shape[0]} channels, which is not 3·scale² for any scale")
    return Form(features=first.shape[0], convs=max(layers) // 2 - 1, scale=scale)


def _filled(form: Form, weights: Mapping[str, Tensor], path: Path) -> SRVGGNetCompact:
    """Give the network its weights after every key, shape and number was found in order."""
    network = form.build()
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    if missing := sorted(expected.keys() - weights.keys()):
        raise _bad(path, f"lacks {_listed(missing)}")
    if unexpected := sorted(weights.keys() - expected.keys()):
        raise _bad(path, f"holds {_listed(unexpected)}, which a network of {form.convs} convolutions does not have")
    for key, shape in expected.items():
        if tuple(weights[key].shape) != shape:
            raise _bad(path, f"has {key} of shape {tuple(weights[key].shape)} where {shape} belongs")
    full = {key: value.to(torch.float32).contiguous() for key, value in weights.items()}
    if broken := sorted(key for key, value in full.items() if not torch.isfinite(value).all()):
        raise _bad(path, f"has values that are not finite in {_listed(broken)}")
    network.load_state_dict(full, assign=True)
    return network.eval().requires_grad_(False)


def _listed(keys: list[str]) -> str:
    shown = ", ".join(key[:60] for key in keys[:3])
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"


def _bad(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} {why}.", advice=ADVICE)


def _unreadable(path: Path, exc: OSError) -> ModelError:
    return ModelError(f"{path} cannot be read: {exc.strerror}.", advice="Check that it exists and may be read.")
