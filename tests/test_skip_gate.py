"""The skip gate lets listed skips through and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skip_gate import ALLOWED, SkipGate, read_allowed

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[1]
CONFTEST = """
from pathlib import Path
from tests.skip_gate import guard_skips

def pytest_configure(config):
    guard_skips(config, Path("allowed.txt"))
"""
TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="no GPU here")
def test_plain():
    pass

@pytest.mark.parametrize("size", [1, 2])
def test_sized(size):
    pytest.skip("no disk here")

@pytest.mark.xfail(reason="not yet")
def test_expected():
    raise NotImplementedError
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A small suite with skips, in CI."""
    monkeypatch.setenv("CI", "true")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_small=TESTS)
    _allow(pytester)
    return pytester


def _allow(pytester: pytest.Pytester, *lines: str) -> None:
    (pytester.path / "allowed.txt").write_text("\n".join(["# why", "", *lines]), encoding="utf-8")


def test_skip_outside_of_the_list_fails_the_run(suite: pytest.Pytester) -> None:
    """A run whose tests all passed is red when one was skipped unasked, and says which and why."""
    _allow(suite, "test_small.py::test_plain", "test_small.py::test_sized[1]")

    run = suite.runpytest_inprocess()

    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*skipped, which CI does not allow*", "test_small.py::test_sized[[]2[]]: *no disk here"])
    run.stdout.no_fnmatch_line("test_small.py::test_plain: *")
    run.assert_outcomes(passed=1, skipped=3, xfailed=1)


@pytest.mark.parametrize("lines", [("test_small.py",), ("test_small.py::test_plain", "test_small.py::test_sized")])
def test_listed_skips_pass(suite: pytest.Pytester, lines: tuple[str, ...]) -> None:
    """A file, or a test with all of its parameters, can be listed; expected failures need no line."""
    _allow(suite, *lines)

    assert suite.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_file_that_skips_itself_fails_the_run(suite: pytest.Pytester) -> None:
    """A whole file that skips at import, or for want of a package, counts as a skip."""
    _allow(suite, "test_small.py")
    suite.makepyfile(test_whole="import pytest\npytest.importorskip('no_such_package')\ndef test_never(): pass\n")

    run = suite.runpytest_inprocess()

    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["test_whole.py: *no_such_package*"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("listed", "code"), [("", pytest.ExitCode.TESTS_FAILED), ("test_small.py", pytest.ExitCode.OK)]
)
def test_a_parallel_run_is_judged_as_one(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, listed: str, code: pytest.ExitCode
) -> None:
    """Skips of all workers, of tests and of whole files, are counted once each by the process that started them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds to load
    suite.makeini("")
    suite.makepyfile(test_whole="import pytest\npytest.importorskip('no_such_package')\n")
    suite.makepyfile(test_other=TESTS)
    _allow(suite, *([listed, "test_other.py", "test_whole.py"] if listed else []))

    run = suite.runpytest_subprocess("-p", "xdist.plugin", "-n", "2")

    assert run.ret == code
    run.assert_outcomes(passed=2, skipped=7, xfailed=2)
    refused = [line for line in run.outlines if line.startswith("test_") and ": " in line]
    assert len(refused) == len(set(refused)) == (0 if listed else 7)


def test_laptop_may_skip(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of CI nothing changes."""
    monkeypatch.delenv("CI")

    assert suite.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_failure_stays_a_failure(suite: pytest.Pytester) -> None:
    """The gate never turns a red run green, nor an interrupted one into a mere failure."""
    suite.makepyfile(test_broken="import no_such_package\n")

    assert suite.runpytest_inprocess().ret == pytest.ExitCode.INTERRUPTED


def test_similar_names_are_not_covered() -> None:
    """A listed test does not cover another one whose name starts alike."""
    gate = SkipGate(["tests/test_a.py::test_one"])

    assert gate.allows("tests/test_a.py::test_one[x]")
    assert not gate.allows("tests/test_a.py::test_one_more")
    assert not gate.allows("tests/test_a.py")


def test_every_listed_skip_has_its_file_and_its_reason() -> None:
    """The list names files that exist, each entry under a comment."""
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()

    for line in read_allowed(ALLOWED):
        assert (ROOT / line.partition("::")[0]).is_file(), line
        assert lines[lines.index(line) - 1].startswith("# "), f"{line}: say above it what CI lacks"
