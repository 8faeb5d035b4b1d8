"""One example of each message, read from `examples/`; both sides of the wire are tested against the same files.

A file is named after its type, with a variant where there are several: `GrantSet.relay.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from framehaul.contract.grants import GrantSet
from framehaul.contract.manifest import Manifest
from framehaul.contract.pipeline import PipelineCard
from framehaul.contract.problem import Problem
from framehaul.contract.receipt import Receipt, Sentinel
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import Health, Info, JobList, JobStatus, JobView, LeaseOrder, LeaseView, OutputReceived

FOLDER = Path(__file__).parent / "examples"

MESSAGES: tuple[type[BaseModel], ...] = (
    GrantSet,
    Health,
    Info,
    JobList,
    JobSpec,
    JobStatus,
    JobView,
    LeaseOrder,
    LeaseView,
    Manifest,
    OutputReceived,
    PipelineCard,
    Problem,
    Receipt,
    Sentinel,
)


def example_names() -> list[str]:
    """List the examples, without `.json`."""
    return sorted(path.name.removesuffix(".json") for path in FOLDER.glob("*.json"))


def example_text(name: str) -> str:
    """Read an example as it travels."""
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def example(name: str) -> dict[str, Any]:
    """Read an example as plain values, to change one and send it."""
    content: dict[str, Any] = json.loads(example_text(name))
    return content


def message_type(name: str) -> type[BaseModel]:
    """Find the type that an example is named after."""
    word = name.partition(".")[0]
    return next(kind for kind in MESSAGES if kind.__name__ == word)
