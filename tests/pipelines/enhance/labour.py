"""One enhancement on this machine, as the agent's worker would do it: a task laid out, and what the runner told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from framehaul.contract.spec import Limits
from framehaul.contract.status import Unit
from framehaul.contract.wire import Json
from framehaul.media.probe import MediaInfo, probe
from framehaul.pipelines.base import Outcome, Task
from framehaul.pipelines.enhance.devices import Device
from framehaul.pipelines.enhance.run import EnhanceRunner
from framehaul.pipelines.enhance.spec import PIPELINE


@dataclass
class Told:
    """A reporter that remembers."""

    lines: list[str] = field(default_factory=list)
    counts: list[tuple[int, int | None]] = field(default_factory=list)

    def stage(self, name: str, unit: Unit = "frames") -> None:
        """Begin to count anew."""
        self.counts.clear()

    def progress(self, done: int, total: int | None) -> None:
        """Remember."""
        self.counts.append((done, total))

    def log(self, message: str) -> None:
        """Remember."""
        self.lines.append(message)

    def should_stop(self) -> bool:
        """Go on."""
        return False


@dataclass
class Bench:
    """A folder to work in, and a runner that stays warm from job to job."""

    folder: Path
    runner: EnhanceRunner = field(default_factory=lambda: EnhanceRunner(Device("cpu")))
    told: Told = field(default_factory=Told)

    def task(self, clip: Path, **given: Json) -> Task:
        """Plan, as a laptop does, and lay the task out."""
        params, assets = PIPELINE.pack(PIPELINE.parse(given))
        (output,) = PIPELINE.output_slots(params, [clip.name], 1.8e9, 1)
        (self.folder / "out").mkdir(exist_ok=True)
        return Task(
            params=params.model_dump(mode="json"),
            inputs={"source": clip, **{asset.slot: asset.path for asset in assets}},
            outputs={"result": self.folder / "out" / output.name},
            parts=self.folder,
            preview=self.folder / "preview.jpg",
            limits=Limits(),
            reporter=self.told,
        )

    def run(self, clip: Path, **given: Json) -> tuple[Outcome, MediaInfo]:
        """Do it; gives what it told of itself, and what the file says."""
        self.told.lines.clear()
        task = self.task(clip, **given)
        outcome = self.runner.run(task)
        return outcome, probe(task.outputs["result"])
