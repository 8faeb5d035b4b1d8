"""A plan as a value: the jobs, what is set aside and why, how long it takes and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controller.inputs import Refusal, SetAside, Source
from controller.ledger import Job
from controller.ledger.rows import PinnedAsset
from controller.listing import video_as_json
from controller.providers.base import Offer
from framehaul.contract.pipeline import Estimate, Needs
from framehaul.contract.spec import OutputSlot
from framehaul.contract.uris import Uri
from framehaul.media.probe import MediaInfo


@dataclass(frozen=True)
class PlannedJob:
    """One job as it would be shipped."""

    source: Source
    outputs: tuple[OutputSlot, ...]
    media: MediaInfo | None
    needs: Needs
    estimate: Estimate
    number: int = 1
    # What a person should know of it before it is paid for.
    notes: tuple[str, ...] = ()

    @property
    def work(self) -> float:
        """Count its work: GFLOP where the pipeline knows, else gigabytes."""
        return self.estimate.gflop or (self.source.size or 0) / 1e9


@dataclass(frozen=True)
class Plan:
    """What a batch would do, and what it sets aside."""

    pipeline: str
    params: dict[str, Any]
    params_digest: str
    target: Uri
    provider: str
    created_at: float
    jobs: list[PlannedJob] = field(default_factory=list)
    done: list[Source] = field(default_factory=list)
    under_way: list[tuple[Source, Job]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    set_aside: SetAside = field(default_factory=SetAside)
    # Of all jobs together, on one machine.
    seconds: float | None = None
    # Seconds that a unit of work took before.
    rate_s: float | None = None
    dollars_per_hour: float | None = None
    assets: tuple[PinnedAsset, ...] = ()

    @property
    def disk_gb(self) -> float:
        """The disk that the largest two jobs need at once: one runs, one waits."""
        largest = sorted((job.needs.disk_gb for job in self.jobs), reverse=True)
        return sum(largest[:2]) + 1.0

    @property
    def needs(self) -> Needs:
        """What a machine must have for any of the jobs."""
        every = [job.needs for job in self.jobs]
        return Needs(
            gpu=any(needs.gpu for needs in every),
            vram_gb=max((needs.vram_gb for needs in every), default=0.0),
            disk_gb=self.disk_gb,
            memory_gb=max((needs.memory_gb for needs in every), default=0.0),
        )

    @property
    def dollars(self) -> float | None:
        """What the time will cost: None while time or price is unknown, 0.0 on a machine that costs nothing."""
        if self.dollars_per_hour == 0.0:
            return 0.0
        if self.dollars_per_hour is None or self.seconds is None:
            return None
        return self.seconds / 3600 * self.dollars_per_hour

    def seconds_of(self, job: PlannedJob) -> float | None:
        """Estimate one job's time; unknown until something like it was done."""
        return None if self.rate_s is None else job.work * self.rate_s


def priced(plan: Plan, offers: Sequence[Offer]) -> Plan:
    """Give the plan with the price of the cheapest offer; unknown where nothing is offered."""
    cheapest = min((offer.dollars_per_hour for offer in offers), default=None)
    return replace(plan, dollars_per_hour=cheapest)


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Give the plan for machines."""
    return {
        "pipeline": plan.pipeline,
        "params": plan.params,
        "provider": plan.provider,
        "to": plan.target.public(),
        "disk_gb": plan.disk_gb,
        "seconds": plan.seconds,
        "dollars": plan.dollars,
        "jobs": [_job_as_json(plan, job) for job in plan.jobs],
        "done": [source.uri.public() for source in plan.done],
        "under_way": [{"input": source.uri.public(), "job": job.id} for source, job in plan.under_way],
        "refused": [asdict(refusal) for refusal in plan.refused],
        "set_aside": plan.set_aside.as_json(),
    }


def _job_as_json(plan: Plan, job: PlannedJob) -> dict[str, Any]:
    return {
        "input": job.source.uri.public(),
        "size": job.source.size,
        "outputs": {output.slot: job.source.folder + output.name for output in job.outputs},
        "needs": job.needs.model_dump(),
        "estimate": {**job.estimate.model_dump(), "seconds": plan.seconds_of(job)},
        "notes": list(job.notes),
        "video": None if job.media is None else video_as_json(job.media),
    }
