"""The quality gate: the shipped network beats Lanczos on photographs that it has never seen."""

from __future__ import annotations

import numpy as np
import pytest

from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, DEFAULT_WEIGHTS, load_network
from training.photographs import photographs
from training.quality import Pixels, measure

MARGIN_DB = 0.3


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, float]]:
    """Measure once what a user gets: the shipped file, through the upscaler, with its rounding."""
    upscaler = Upscaler(load_network(DEFAULT_WEIGHTS, sha256=DEFAULT_SHA256))

    def enlarge(pixels: Pixels) -> Pixels:
        enlarged: Pixels = upscaler(pixels[np.newaxis])[0]
        return enlarged

    return measure(enlarge)


@pytest.mark.parametrize("name", ["chelsea", "rocket"])
def test_the_shipped_network_beats_lanczos(name: str, table: dict[str, dict[str, float]]) -> None:
    """PSNR over RGB, halved by antialiased bicubic and enlarged again, is at least 0.3 dB above Lanczos."""
    row = table[name]
    figures = f"{name}: " + ", ".join(f"{method} {db:.2f} dB" for method, db in row.items())
    print(figures)

    assert row["network"] >= row["lanczos"] + MARGIN_DB, figures
    assert row["lanczos"] > row["bicubic"], f"the yardstick itself is odd; {figures}"


def test_the_judged_photographs_were_not_trained_on() -> None:
    """Neither their files nor, in case a copy was saved anew, their pixels are among the training pictures."""
    trained, held_out = photographs("train"), photographs("held_out")

    assert {p.entry.name for p in held_out} == {"chelsea", "rocket"}
    assert not {p.entry.sha256 for p in trained} & {p.entry.sha256 for p in held_out}
    assert not {p.pixels_sha256 for p in trained} & {p.pixels_sha256 for p in held_out}
