"""constraints.txt pins what the tests run with, and nothing of the machine that wrote it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINS = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_name_and_an_exact_version(line: str) -> None:
    """No address, path, option or local build such as +cpu: the list is good on every machine."""
    assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_what_pyproject_declares_is_pinned_within_its_range(requirement: Requirement) -> None:
    """Each declared package has a pin that its own range allows; `make constraints` makes it so."""
    pin = PINS.get(canonicalize_name(requirement.name))

    assert pin, f"{requirement} has no pin; `make constraints` gives it one."
    assert requirement.specifier.contains(pin, prereleases=True), (
        f"{requirement}, but the pin is {pin}: `make constraints`."
    )


def test_what_comes_along_is_pinned_too() -> None:
    """Every package that a declared one brings here is pinned, so that two installs are the same."""
    assert {name for name in _brought_along() if name not in PINS} == set()


def _brought_along() -> Iterator[str]:
    todo, seen = list(DECLARED), set[str]()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        try:
            wanted = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        extras = requirement.extras or {""}
        todo += [want for want in wanted if not want.marker or any(want.marker.evaluate({"extra": e}) for e in extras)]
        yield name
