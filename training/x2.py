"""Train the ×2 network that Framehaul ships, in minutes on two CPU cores.

    python -m training.x2 --seed 1 --steps 3000 --out x2.pth

The same seed and steps on the same machine give the same bytes. Settings and measured quality are written
beside the weights, as x2.json. What it learns from is told in training/README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from framehaul.pipelines.enhance.srvgg import SRVGGNetCompact
from training import procedural
from training.photographs import photographs
from training.quality import Pixels, even, halve, measure

FEATURES, CONVS, SCALE = 24, 8, 2
BATCH = 16
PATCH = 40  # pixels of the small picture; 80 of the large one
RATE = 1e-3  # Adam's, falling to 0 along a cosine
PHOTOGRAPH_WEIGHT = 15  # times as likely as a drawn picture, whose edges are sharper than a lens makes them
THREADS = 2  # part of the recipe: sums are split by thread, so another number gives other bytes
WEIGHTS_LICENCE = "MIT"  # the project's own


class Pair(NamedTuple):
    """A picture at half and at full size, both uint8: (3, h, w) and (3, 2h, 2w)."""

    small: Tensor
    large: Tensor


def pairs() -> list[Pair]:
    """Gather all that is learnt from: the catalogue's photographs and the drawn pictures."""
    taken = [pair(photograph.pixels) for photograph in photographs("train")]
    drawn = [pair(pixels) for pixels in procedural.pictures().values()]
    return PHOTOGRAPH_WEIGHT * taken + drawn


def pair(pixels: Pixels) -> Pair:
    """Make the question and the answer of one picture: (H, W, 3) uint8, an odd last row or column left out."""
    large = even(pixels)
    return Pair(_channels_first(halve(large)), _channels_first(large))


def train(
    data: Sequence[Pair], *, seed: int, steps: int, say: Callable[[str], None] = lambda line: None
) -> SRVGGNetCompact:
    """Fit a fresh network by L1; every random choice follows from the seed."""
    rng = np.random.default_rng(seed)
    network = _fresh_network(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    recent = 0.0
    for step in range(1, steps + 1):
        small, large = _batch(data, rng)
        loss = functional.l1_loss(network(small), large)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        recent += 0.02 * (loss.item() - recent) if step > 1 else loss.item()
        if step % max(1, steps // 10) == 0:
            say(f"step {step}/{steps}: mean error {255 * recent:.2f} of 255")
    return network.eval()


def as_file(network: SRVGGNetCompact) -> bytes:
    """Lay the weights out as the official files do. Through memory, because torch writes a file's name into it."""
    weights = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"params": weights}, buffer)
    return buffer.getvalue()


def enlarger(network: SRVGGNetCompact) -> Callable[[Pixels], Pixels]:
    """Wrap a network for `measure`: (H, W, 3) uint8 in, (2H, 2W, 3) uint8 out."""

    def enlarge(pixels: Pixels) -> Pixels:
        with torch.inference_mode():
            x = _channels_first(pixels)[None].float() / 255  # (1, 3, H, W)
            y = (network(x)[0] * 255).round().clamp(0, 255).to(torch.uint8)  # (3, 2H, 2W)
        enlarged: NDArray[np.uint8] = y.permute(1, 2, 0).numpy()
        return enlarged

    return enlarge


def main(argv: Sequence[str] | None = None) -> None:
    """Train, measure on what was held out, and write the weights and their record."""
    options = _options(argv)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    data = pairs()
    wall, cpu = time.perf_counter(), time.process_time()
    network = train(data, seed=options.seed, steps=options.steps, say=_say)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    weights = as_file(network)
    quality = measure(enlarger(network))
    record = _record(network, weights, quality) | {
        "seed": options.seed,
        "steps": options.steps,
        "wall_s": round(wall),
        "cpu_s": round(cpu),
    }
    options.out.write_bytes(weights)
    options.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    for name, row in quality.items():
        _say(f"{name}: " + ", ".join(f"{method} {db:.2f} dB" for method, db in row.items()))
    _say(f"{options.out}: {len(weights)} bytes, sha256 {record['sha256']}, {wall:.0f} s")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.x2", description="Train the ×2 network.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000, help="batches to learn from (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("x2.pth"), help="the weight file to write")
    return parser.parse_args(argv)


def _fresh_network(seed: int) -> SRVGGNetCompact:
    """Start from a network that repeats pixels: its last convolution is zero, so training starts at no harm done."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SRVGGNetCompact(features=FEATURES, convs=CONVS, scale=SCALE)
    last = network.body[-1]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    return convert_conv2d_weight_memory_format(network, torch.channels_last)  # half the time on a CPU


def _channels_first(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)  # (3, H, W)


def _batch(data: Sequence[Pair], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut, flip, turn and tint one patch of each of BATCH pictures: (B, 3, P, P) and (B, 3, 2P, 2P) in 0…1."""
    patches = [_patch(data[int(rng.integers(len(data)))], rng) for _ in range(BATCH)]
    small, large = (torch.stack(side).float().div_(255) for side in zip(*patches, strict=True))
    tint = torch.from_numpy(rng.uniform(0.5, 1, (BATCH, 3, 1, 1))).float()  # so that grey textures teach colours too
    layout = torch.channels_last
    return (small * tint).contiguous(memory_format=layout), (large * tint).contiguous(memory_format=layout)


def _patch(pair: Pair, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    _, height, width = pair.small.shape
    top, left = int(rng.integers(height - PATCH + 1)), int(rng.integers(width - PATCH + 1))
    small = pair.small[:, top : top + PATCH, left : left + PATCH]
    large = pair.large[:, 2 * top : 2 * (top + PATCH), 2 * left : 2 * (left + PATCH)]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    return _turned(small, turns, mirrored), _turned(large, turns, mirrored)


def _turned(patch: Tensor, turns: int, mirrored: bool) -> Tensor:
    turned = torch.rot90(patch, turns, (1, 2))
    return turned.flip(2) if mirrored else turned


def _record(network: SRVGGNetCompact, weights: bytes, quality: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "architecture": "SRVGGNetCompact",
        "features": network.features,
        "convs": network.convs,
        "scale": network.scale,
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "licence": WEIGHTS_LICENCE,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "threads": THREADS,
        "psnr_db": {name: {method: round(db, 2) for method, db in row.items()} for name, row in quality.items()},
    }


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
