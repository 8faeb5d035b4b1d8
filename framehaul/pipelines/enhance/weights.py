"""Load a weight file: pinned, judged before torch sees it, and never run.

A `.pth` file is a pickle in a zip, and a pickle can run code. So the bytes are read once, held against the pin, judged
by our own reader (header.py), and only then read by torch's restricted one, which knows tensors and dictionaries and
nothing else. Safetensors hold no code.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from framehaul.errors import DigestMismatch
from framehaul.pipelines.enhance.form import Form, bad, find_table, judge, listed
from framehaul.pipelines.enhance.header import damaged, form_of, is_safetensors, read_whole, unreadable
from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact

DEFAULT_WEIGHTS = Path(__file__).with_name("x2.pth")
DEFAULT_SHA256 = "4ae15753bb0df5ef86f0a587310ccb0d1b00137119c716c184c95abab348ef7a"


@dataclass(frozen=True)
class LoadedNetwork:
    """A network on the CPU, in fp32 and eval mode, with what a manifest should tell about it."""

    network: SRVGGNetCompact
    scale: int
    sha256: str
    parameters: int
    name: str


def load_network(path: Path, *, sha256: str | None = None) -> LoadedNetwork:
    """Read a weight file in one of the official layouts; `sha256` pins the file's exact bytes.

    Raises ModelError when the file is no network of this family, DigestMismatch when it is not the pinned one.
    """
    data = read_whole(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise DigestMismatch(f"{path} has sha256 {found}, but {sha256.lower()} was promised.")
    form_of(data, path)  # for its refusals: torch's reader is not asked about what ours would not read
    weights = find_table(_stored(data, path), _plain, path)
    form = judge({key: tuple(value.shape) for key, value in weights.items()}, path)
    network = _filled(form, weights, path)
    return LoadedNetwork(network=network, scale=form.scale, sha256=found, parameters=form.parameters, name=path.stem)


def sha256_of(path: Path) -> str:
    """Digest a file of any size; ModelError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise unreadable(path, exc) from exc


def empty_network(form: Form) -> SRVGGNetCompact:
    """Make the network without memory for its weights, and without touching the random state."""
    with torch.device("meta"):
        return SRVGGNetCompact(features=form.features, convs=form.convs, scale=form.scale)


def _stored(data: bytes, path: Path) -> object:
    """Read tensors and containers, nothing else. The one gate for what a damaged file makes the readers raise."""
    try:
        if is_safetensors(data):
            return safetensors.torch.load(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as exc:
        raise damaged(path) from exc


def _plain(value: object) -> Tensor | None:
    """Give back an ordinary tensor: a file may hold sparse ones, and ones with no data at all."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.device.type != "cpu":
        return None
    return value if value.is_floating_point() else None


def _filled(form: Form, weights: Mapping[str, Tensor], path: Path) -> SRVGGNetCompact:
    """Give the network its weights, of which every key and shape is right, after every number was found finite."""
    full = {key: value.to(torch.float32).contiguous() for key, value in weights.items()}
    if broken := sorted(key for key, value in full.items() if not torch.isfinite(value).all()):
        raise bad(path, f"has values that are not finite in {listed(broken)}")
    network = empty_network(form)
    network.load_state_dict(full, assign=True)
    return network.eval().requires_grad_(False)
