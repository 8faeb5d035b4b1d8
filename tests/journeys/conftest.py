"""The laptop and the inputs of the journeys."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.person import Person


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """A laptop of one's own."""
    home = tmp_path / "laptop"
    home.mkdir()
    person = Person(home)
    yield person
    person.leaves()


@pytest.fixture
def blob(tmp_path: Path) -> Callable[[str, int], Path]:
    """Make an input of random bytes, the same for the same name."""

    def make(name: str, size: int) -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size))
        return path

    return make
