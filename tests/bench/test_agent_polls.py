"""The bench of polls: what it refuses to measure, and what it says where a clock is too coarse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.agent_polls import Cost

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [("--polls", "0"), ("--polls", "-3"), ("--rounds", "0"), ("--rounds", "many")])
def test_a_number_below_one_is_refused(words: tuple[str, str]) -> None:
    """It is usage, and told before any server starts."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.agent_polls", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert f"argument {words[0]}: " in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_polls_are_said_to_be_few() -> None:
    """The system counts CPU time in hundredths of a second: a bare cost of 0 has no ratio."""
    assert str(Cost(2.0, 0.0)) == "too few polls to measure"
    assert Cost(2.0, 0.0).ratio is None
    assert str(Cost(2.0, 1.0)) == "2.00 ms CPU a request; bare route 1.00 ms; ratio 2.00"
