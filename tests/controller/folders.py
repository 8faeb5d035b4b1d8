"""Inputs and outputs in folders, and what would be planned of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from controller.desk import Desk
from controller.planning import Plan, make_plan, write_batch
from controller.settings import Settings
from framehaul.contract.naming import done_marker
from framehaul.storage.base import Stores
from tests.controller.desks import HOUR


class Folder:
    """Inputs and outputs on disk, and what would be planned of them."""

    def __init__(self, root: Path, desk: Desk) -> None:
        self.root, self.desk = root, desk
        self.inputs, self.outputs = root / "in", root / "out"
        self.inputs.mkdir()

    def write(self, name: str, content: bytes | Path = b"ten bytes.") -> Path:
        """Put a file among the inputs."""
        path = self.inputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)
        return path

    def settings(self, *inputs: str | Path, **more: Any) -> Settings:
        """Say what is wanted: copies, unless told otherwise."""
        chosen = tuple(str(path) for path in inputs or (self.inputs,))
        return Settings(**({"inputs": chosen, "to": str(self.outputs), "pipeline": "copy"} | more))

    def plan(self, *inputs: str | Path, at: float = HOUR, stores: Stores | None = None, **more: Any) -> Plan:
        """Plan."""
        return make_plan(self.settings(*inputs, **more), self.desk.ledger, stores or self.desk.stores, at)

    def plan_videos(self, *inputs: str | Path, **more: Any) -> Plan:
        """Plan for the pipeline that takes videos alone."""
        return self.plan(*inputs, pipeline="enhance", **more)

    def finish(self, plan: Plan) -> None:
        """Do what a run leaves behind: the markers, and a closed batch."""
        for job in plan.jobs:
            marker = self.outputs / done_marker(job.source.fingerprint, plan.params_digest)
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text("{}")

    def write_down(self, plan: Plan, **more: Any) -> str:
        """Put a plan into the ledger; gives the batch's id."""
        return write_batch(plan, self.settings(**more), self.desk.ledger).id


def names(plan: Plan) -> list[str]:
    """Name the inputs that would be worked on, with their folders."""
    return [job.source.folder + job.source.name for job in plan.jobs]


def outputs(plan: Plan) -> list[str]:
    """Name the results, with their folders."""
    return [job.source.folder + job.outputs[0].name for job in plan.jobs]


def refusals(plan: Plan) -> dict[str, str]:
    """Give the sentence for each refused name."""
    return {Path(refusal.uri).name: refusal.why for refusal in plan.refused}
