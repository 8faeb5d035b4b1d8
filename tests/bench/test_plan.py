"""The bench of plans: ten times the keys cost ten times the CPU time and no more memory; a smaller run of the goal."""

from __future__ import annotations

import json

import pytest

from bench import plan

FEW, MANY = 1_000, 10_000


@pytest.mark.slow
def test_a_key_costs_the_same_among_many_as_among_few(capsys: pytest.CaptureFixture[str]) -> None:
    """Listed, planned, written down, planned again, and looked at by an engine: nothing grows with their number."""
    assert plan.main(["--keys", str(FEW), str(MANY), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    few, many = told["sizes"]
    assert (few["jobs"], few["done"], many["jobs"], many["done"]) == (FEW // 2, FEW // 2, MANY // 2, MANY // 2)
    # What is paid once, such as opening the first connection, weighs on the few; the noise of a busy machine on both.
    assert many["plan_cpu_s"] / few["plan_cpu_s"] < 1.5 * MANY / FEW
    assert many["tick_cpu_ms"] < 2 * few["tick_cpu_ms"] + 5
    assert told["growth_mib"] < 40


@pytest.mark.parametrize("words", [["--keys", "5"], ["--keys", "many"]])
def test_a_number_that_says_nothing_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before any server starts."""
    with pytest.raises(SystemExit) as ended:
        plan.main(words)

    assert ended.value.code == 2
    assert "argument --keys" in capsys.readouterr().err
