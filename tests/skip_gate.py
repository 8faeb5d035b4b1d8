"""In CI a test is skipped only where `allowed_skips.txt` says so; any other skip fails the run.

A skip is right on a laptop that lacks a program, and a hole in CI: a suite that skips itself is green for ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def guard_skips(config: pytest.Config, allowed: Path = ALLOWED, environment: Mapping[str, str] = os.environ) -> None:
    """Set the gate up where CI=true (or 1)."""
    if environment.get("CI", "").lower() in {"true", "1"}:
        config.pluginmanager.register(SkipGate(read_allowed(allowed)), "framehaul-skip-gate")


def read_allowed(path: Path) -> list[str]:
    """Read one node id a line; `#` at the start of a line is a comment."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


class SkipGate:
    """Note each skip, of tests and of whole files; fail the run for those that are not listed."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed
        self._refused: dict[str, str] = {}

    def allows(self, node_id: str) -> bool:
        """Say whether the list names this test, its function without the parameters, its class or its file."""
        return any(node_id == line or node_id.startswith((f"{line}[", f"{line}::")) for line in self._allowed)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at a test's outcome; an expected failure (xfail) ran, and is no skip."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at a file that skipped itself while it was imported."""
        if report.skipped:
            self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run with a refused skip red."""
        if self._refused and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the refused skips, with their reasons."""
        if self._refused:
            terminalreporter.section("skipped, which CI does not allow", red=True)
            for node_id, reason in self._refused.items():
                terminalreporter.line(f"{node_id}: {reason}")
            terminalreporter.line("Make it run here, or list it in tests/allowed_skips.txt and say why.")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not self.allows(report.nodeid):
            told = report.longrepr
            self._refused[report.nodeid] = told[2] if isinstance(told, tuple) else str(told)
