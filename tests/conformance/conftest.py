"""Servers that the suites' rows share: starting one a test would take longer than all the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.store_rows import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start what is asked for, once; stop it in the end."""
    running = Servers(tmp_path_factory.mktemp("servers"))
    yield running
    running.stop()
