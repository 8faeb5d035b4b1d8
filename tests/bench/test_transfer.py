"""The benches of transfers run to their end on tiny objects and print what they promise; figures mean nothing there."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.transfer import bytes_of, rounds_for
from bench.transfer_idle import idle

ROOT = Path(__file__).parents[2]


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def _document(*words: str) -> dict[str, Any]:
    done = _run(*words, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.slow
def test_both_directions_are_held_against_boto3(tmp_path: Path) -> None:
    """One row a direction, with a ratio, both speeds and the agent's memory; nothing is left in the folder."""
    told = _document("bench.transfer", "--size", "300kB", "--rounds", "1", "--folder", str(tmp_path))

    assert [(row["direction"], row["size"]) for row in told["rows"]] == [("down", 300_000), ("up", 300_000)]
    for row in told["rows"]:
        assert row["ratio"]["least"] <= row["ratio"]["median"] <= row["ratio"]["most"]
        assert min(row["agent_mb_s"], row["boto3_mb_s"], row["agent_cpu_s"]) > 0
        assert row["growth_bytes"] < 200_000_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_idle_time_between_jobs_is_told(tmp_path: Path) -> None:
    """Two jobs have one gap between them; nothing is left in the folder."""
    told = _document(
        *("bench.transfer_idle", "--size", "100kB", "--jobs", "2", "--work-s", "0.2", "--folder", str(tmp_path))
    )

    assert [gap > 0 for gap in told["idle_s"]] == [True]
    assert list(tmp_path.iterdir()) == []


def test_idle_time_runs_from_one_end_to_the_next_beginning() -> None:
    """A job that ended at 10 and one that copied for 4 s until 14.5 leave half a second."""
    first = {"finished_at": 10.0, "stage_seconds": {"copy": 5.0}}
    second = {"finished_at": 14.5, "stage_seconds": {"copy": 4.0}}

    assert idle([first, second]) == [0.5]


@pytest.mark.parametrize(("word", "count"), [("64MB", 64_000_000), ("2GB", 2 * 10**9), ("16MiB", 16 << 20), ("7", 7)])
def test_sizes_are_read(word: str, count: int) -> None:
    """Thousands and powers of two, and plain bytes."""
    assert bytes_of(word) == count


@pytest.mark.parametrize("word", ["0", "-1MB", "64mb", "2 GB", "big", ""])
def test_other_sizes_are_refused(word: str) -> None:
    """They are usage, told in a sentence."""
    with pytest.raises(argparse.ArgumentTypeError, match="must be a size"):
        bytes_of(word)


def test_what_is_short_is_measured_more_often() -> None:
    """Nine rounds of 64 MB, three of 2 GB, one of 5 GB."""
    assert [rounds_for(size) for size in (64 * 10**6, 2 * 10**9, 5 * 10**9)] == [9, 3, 1]
