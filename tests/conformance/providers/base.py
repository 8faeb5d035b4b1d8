"""What the suite needs of a cloud, and how the files beside this one are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import tests.conformance.providers as folder
from controller.providers.base import Provider

# The code that a rented machine runs.
TREE = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Cloud:
    """A cloud without instances. Each call of `open` gives a provider that remembers nothing of the others.

    `exit` ends the processes of an instance from outside, as a crash would; its disk stays.
    """

    open: Callable[[], Provider]
    exit: Callable[[str], None]


def cloud_names() -> list[str]:
    """List the clouds that lie here."""
    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if module.name != "base")


def open_cloud(name: str, place: Path) -> AbstractContextManager[Cloud]:
    """Open a cloud by its name, in a folder of the test's own."""
    opened: AbstractContextManager[Cloud] = importlib.import_module(f"{folder.__name__}.{name}").open_cloud(place)
    return opened
