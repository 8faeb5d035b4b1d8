"""A try: a few seconds of one input first, and from them what the whole would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.errors import ConfigError
from controller.ledger import Job
from controller.planned import Plan
from controller.settings import Settings
from framehaul.pipelines.catalogue import load_pipeline


@dataclass(frozen=True)
class Whole:
    """What all of it would take, as far as a few seconds tell."""

    jobs: int
    seconds: float
    bytes: int
    dollars: float | None

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        return {"jobs": self.jobs, "seconds": self.seconds, "output_bytes": self.bytes, "dollars": self.dollars}


def trial_settings(settings: Settings, whole: Plan, *, to: str, seconds: float, start_s: float | None) -> Settings:
    """Compose the settings of a try at a plan's first job: some seconds from `start_s` on, or from the middle."""
    if not {"start", "end", "sample"} <= set(load_pipeline(settings.pipeline).params_model.model_fields):
        raise ConfigError(
            f"{settings.pipeline} works on whole inputs only.", advice="Take one input: framehaul run --max-files 1"
        )
    params = {key: value for key, value in settings.params.items() if key not in {"start", "end", "sample"}}
    part = {"sample": seconds} if start_s is None else {"start": start_s, "end": start_s + seconds}
    selecting = {"include": (), "exclude": (), "newer_than": None, "max_files": None}
    return settings.model_copy(
        update={
            **selecting,
            "inputs": (str(whole.jobs[0].source.uri),),
            "params": {**params, **part},
            "to": to,
            "preview": True,
            "redo": True,
            "max_instances": 1,
        }
    )


def whole_from(tried: Job, whole: Plan, *, dollars_per_hour: float | None, machines: int) -> Whole | None:
    """Extrapolate from a job that is done: work scales, loading does not. None where the work cannot be measured."""
    seconds, work = tried.figures.get("seconds"), tried.figures.get("work")
    total = whole.work
    if not seconds or not work or not total:
        return None
    frames, fps = tried.figures.get("frames"), tried.figures.get("fps")
    # What the frames took is work; the rest is starting and loading, which is gone through once a machine.
    working_s = min(seconds, frames / fps) if frames and fps else seconds
    machines = min(machines, len(whole.jobs))
    machine_s = (seconds - working_s) * machines + working_s * total / work
    return Whole(
        jobs=len(whole.jobs),
        seconds=machine_s / machines,
        bytes=round(tried.figures.get("output_bytes", 0) * total / work),
        dollars=None if dollars_per_hour is None else machine_s / 3600 * dollars_per_hour,
    )
