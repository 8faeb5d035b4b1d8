"""What all tests share: hypothesis without deadlines, repeatable in CI, where no test is skipped silently."""

from __future__ import annotations

import os

import hypothesis
import pytest

from tests.skip_gate import guard_skips

# Machines that run tests are busy and slow; in CI a failure must be the change's, not the draw's.
hypothesis.settings.register_profile("framehaul", deadline=None, derandomize="CI" in os.environ, print_blob=True)
hypothesis.settings.load_profile("framehaul")


def pytest_configure(config: pytest.Config) -> None:
    """Guard against skips where CI=true."""
    guard_skips(config)
