"""Idle threads of a computation sleep, so that codecs get the cores; a person's own choice stands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from framehaul.pipelines.waiting import POLICY, wait_asleep

_SHOW = f"""
import os, sys
from framehaul.pipelines.catalogue import load_runner
assert "torch" not in sys.modules, "torch was loaded before the policy was settled"
load_runner("enhance")
assert "torch" in sys.modules
print(os.environ["{POLICY}"])
"""


@pytest.mark.parametrize(("chosen", "settled"), [({}, "passive"), ({POLICY: "active"}, "active")])
def test_a_persons_choice_stands(chosen: dict[str, str], settled: str) -> None:
    """Passive by default; what the environment says already is kept."""
    environment = dict(chosen)

    wait_asleep(environment)

    assert environment[POLICY] == settled


@pytest.mark.slow
def test_it_is_settled_before_torch_is_loaded() -> None:
    """libgomp reads the variable once: loading a pipeline's heavy half sets it while torch is not there yet."""
    environment = {name: value for name, value in os.environ.items() if name != POLICY}

    done = subprocess.run([sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "passive"), done.stderr
