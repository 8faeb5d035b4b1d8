"""The suite runs in parallel by default, serially when asked, and in the background as in the foreground."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import CHOSEN, cores, workers

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[1]
CONFTEST = """
from tests.running import hear_ctrl_c

def pytest_configure(config):
    hear_ctrl_c()
"""
TYPES_CTRL_C = """
import signal, subprocess, sys

def test_child_hears():
    with subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == -signal.SIGINT
"""


def test_two_cores_get_four_workers_and_many_cores_eight() -> None:
    """Waiting is shared out on small machines; on large ones memory bounds the number."""
    assert [workers(count, {}) for count in (1, 2, 3, 16)] == [2, 4, 6, 8]


def test_a_persons_number_of_workers_stands() -> None:
    """Whoever names a number in the environment gets it, from xdist."""
    assert workers(2, {CHOSEN: "3"}) is None


def test_cores_that_a_process_may_not_use_are_not_counted() -> None:
    """On a machine that is shared out by core, the share counts."""
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("words", "expected"), [([], r"-n auto --dist \w+ ?"), (['ARGS=-n 0 -k "a b"'], r'-n auto .* -n 0 -k "a b"')]
)
def test_make_test_is_parallel_and_what_a_person_adds_comes_last(words: list[str], expected: str) -> None:
    """pytest heeds the last of two -n: `make test ARGS="-n 0"` runs in one process, and words may hold spaces."""
    bare = {"PATH": os.environ["PATH"]}  # without the words that a make which runs this test was given
    command = ["make", "--dry-run", "test", *words]

    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=True)

    assert re.search(rf"-m pytest {expected}$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", ["0", "2"])
def test_a_run_in_the_background_types_ctrl_c_as_any_other(pytester: pytest.Pytester, number: str) -> None:
    """Started with SIGINT ignored, as by `make test &`, what tests start still hears it, in workers too."""
    pytester.makeconftest(CONFTEST)
    path = pytester.makepyfile(TYPES_CTRL_C)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-n", number, str(path)]
    bare = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they take seconds to load

    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *command],
        env=bare, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
