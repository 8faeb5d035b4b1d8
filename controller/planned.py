"""A plan as a value: the jobs, what is set aside and why, how long it takes and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, SupportsIndex, TypeVar, cast, overload

from controller.inputs import Refusal, SetAside, Source
from controller.jobsheet import PlannedJob, PlannedJobs, RunningJob, refusals, running, sources
from controller.ledger.rows import PinnedAsset
from controller.listing import video_as_json
from controller.providers.base import Offer
from controller.spool import Spool
from framehaul.contract.pipeline import Needs
from framehaul.contract.uris import Uri

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What a batch would do, and what it sets aside."""

    pipeline: str
    params: dict[str, Any]
    params_digest: str
    target: Uri
    provider: str
    created_at: float
    jobs: PlannedJobs = field(default_factory=PlannedJobs)
    done: Spool[Source] = field(default_factory=sources)
    under_way: Spool[tuple[Source, RunningJob]] = field(default_factory=running)
    refused: Spool[Refusal] = field(default_factory=refusals)
    set_aside: SetAside = field(default_factory=SetAside)
    # The first input of each bucket or host of which nothing was read for this plan.
    samples: list[Source] = field(default_factory=list)
    # What a person should know of how this plan was made, in whole sentences.
    remarks: list[str] = field(default_factory=list)
    # Of all jobs together, on one machine.
    seconds: float | None = None
    # Seconds that a unit of work took before.
    rate_s: float | None = None
    dollars_per_hour: float | None = None
    assets: tuple[PinnedAsset, ...] = ()

    @property
    def work(self) -> float:
        """Count the work of all jobs."""
        return self.jobs.sums.work

    @property
    def disk_gb(self) -> float:
        """The disk that the largest two jobs need at once: one runs, one waits."""
        return sum(self.jobs.sums.disks_gb) + 1.0

    @property
    def needs(self) -> Needs:
        """What a machine must have for any of the jobs."""
        sums = self.jobs.sums
        return Needs(gpu=sums.gpu, vram_gb=sums.vram_gb, disk_gb=self.disk_gb, memory_gb=sums.memory_gb)

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
    """Give the plan for machines. Its lists are made while they are written: see `Told`."""
    return {
        "pipeline": plan.pipeline,
        "params": plan.params,
        "provider": plan.provider,
        "to": plan.target.public(),
        "disk_gb": plan.disk_gb,
        "seconds": plan.seconds,
        "dollars": plan.dollars,
        "jobs": Told(plan.jobs, lambda job: _job_as_json(plan, job)),
        "done": Told(plan.done, lambda source: source.uri.public()),
        "under_way": Told(plan.under_way, lambda pair: {"input": pair[0].uri.public(), "job": pair[1].id}),
        "refused": Told(plan.refused, asdict),
        "set_aside": plan.set_aside.as_json(),
        "remarks": plan.remarks,
    }


class Told(list[Any]):
    """A list for `json.dump`, which asks for one item after another: a million of them never lie in memory at once.

    It is a `list` because json knows no other kind; what it holds are the rows of a plan, or of a report.
    """

    def __init__(self, rows: Sequence[T], tell: Callable[[T], Any]) -> None:
        super().__init__()
        self._rows: Sequence[Any] = rows
        self._tell = cast(Callable[[Any], Any], tell)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return map(self._tell, self._rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        """Tell one row, or some."""
        if isinstance(index, slice):
            return [self._tell(row) for row in self._rows[index]]
        return self._tell(self._rows[index.__index__()])

    def __eq__(self, other: object) -> bool:
        return list(iter(self)) == other

    __hash__ = None


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
