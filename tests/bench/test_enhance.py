"""The program measures, prints one document, and refuses what it cannot measure. How fast is never asked."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def measured(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    command = [sys.executable, "-m", "bench.enhance", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def positive(figure: float) -> bool:
    return math.isfinite(figure) and figure > 0


@pytest.fixture(scope="module")
def document(ffmpeg_program: str) -> dict[str, Any]:
    """Run it once, quickly, on what every machine has: the shipped network and the memory."""
    done = measured("--quick", "--json", "--device", "cpu", "--case", "shipped-x2", "--case", "memory", "--frames", "6")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_the_document_holds_finite_figures(document: dict[str, Any]) -> None:
    """Efficiency, CPU and wall of every piece of work, and the comparison with PNG files are there and positive."""
    (case,) = document["cases"]

    assert positive(document["efficiency"])
    assert document["efficiency"] == case["efficiency"]["median"]
    assert {"whole", "decode", "model", "encode", "carried", "png_files"} <= case["cpu_ms"].keys()
    for figures in (*case["cpu_ms"].values(), *case["wall_ms"].values(), case["wall_efficiency"]):
        assert figures["least"] <= figures["median"] <= figures["most"]
        assert all(map(positive, figures.values()))
    assert positive(case["codec"]["carried_ratio"]["median"])
    assert (case["input"], case["output"], case["frames"], case["rounds"]) == ([320, 180], [640, 360], 6, 2)


@pytest.mark.slow
def test_the_document_says_where_it_was_measured(document: dict[str, Any]) -> None:
    """Processor, cores, threads, versions and date stand beside the figures."""
    assert {"cpu", "cores", "torch_threads", "load_average", "torch", "av", "ffmpeg", "date"} <= document[
        "machine"
    ].keys()
    assert document["machine"]["cores"] >= 1


@pytest.mark.slow
def test_the_document_tells_growth_and_goals(document: dict[str, Any]) -> None:
    """Memory is one figure a run, and each goal says whether it is met."""
    (growth,) = document["memory"]

    assert math.isfinite(growth["percent_of_frame"])
    assert positive(growth["resident_mib"])
    assert [goal["name"].partition(":")[0] for goal in document["goals"]] == ["shipped-x2"] * 3 + ["memory, identity"]
    assert all(isinstance(goal["met"], bool) for goal in document["goals"])


@pytest.mark.slow
def test_missing_weights_are_named(tmp_path: Path) -> None:
    """Where nothing that was asked for can be measured, a sentence says why, and the exit code is 2."""
    done = measured("--case", "animevideov3-x4", "--weights", str(tmp_path / "absent.pth"))

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no absent.pth" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--rounds", "0"), ("--case", "everything"), ("--frames", "many")])
def test_wrong_words_are_usage(words: tuple[str, ...]) -> None:
    """A number below one, a case that does not exist and a word for a number end with exit code 2."""
    done = measured(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert words[0] in done.stderr
