"""The jobs of a plan, of which there may be a million: a list on disk, and sums that are kept as it grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import TypeAdapter

from controller.inputs import Refusal, Source
from controller.spool import Spool
from framehaul.contract.pipeline import Estimate, Needs
from framehaul.contract.spec import OutputSlot
from framehaul.contract.uris import Uri
from framehaul.media.probe import MediaInfo

_MEDIA = TypeAdapter(MediaInfo)


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
class RunningJob:
    """A job of an open batch that is what a plan would make anew."""

    id: str
    batch_id: str


@dataclass
class Sums:
    """What all jobs together come to."""

    work: float = 0.0
    gpu: bool = False
    vram_gb: float = 0.0
    memory_gb: float = 0.0
    # Of the largest two: one runs, one waits.
    disks_gb: list[float] = field(default_factory=list)

    def add(self, job: PlannedJob) -> None:
        """Count one job."""
        self.work += job.work
        self.gpu = self.gpu or job.needs.gpu
        self.vram_gb = max(self.vram_gb, job.needs.vram_gb)
        self.memory_gb = max(self.memory_gb, job.needs.memory_gb)
        if len(self.disks_gb) < 2 or job.needs.disk_gb > self.disks_gb[1]:
            self.disks_gb = sorted([*self.disks_gb, job.needs.disk_gb], reverse=True)[:2]


class PlannedJobs(Spool[PlannedJob]):
    """The jobs, in the order in which they were found."""

    def __init__(self) -> None:
        super().__init__(_packed_job, _job)
        self.sums = Sums()

    @classmethod
    def of(cls, jobs: Iterable[PlannedJob]) -> Self:
        """Gather jobs."""
        made = cls()
        for job in jobs:
            made.append(job)
        return made

    def append(self, job: PlannedJob) -> None:
        """Add a job at the end."""
        self.sums.add(job)
        super().append(job)


def sources() -> Spool[Source]:
    """Begin a list of inputs."""
    return Spool(_packed_source, _source)


def running() -> Spool[tuple[Source, RunningJob]]:
    """Begin a list of inputs that are worked on, and the jobs that do it."""
    return Spool(
        lambda pair: [*_packed_source(pair[0]), pair[1].id, pair[1].batch_id],
        lambda told: (_source(told[:-2]), RunningJob(*told[-2:])),
    )


def refusals() -> Spool[Refusal]:
    """Begin a list of what cannot be worked on."""
    return Spool(lambda refusal: [refusal.uri, refusal.why], lambda told: Refusal(*told))


def _packed_source(source: Source) -> list[Any]:
    uri = source.uri
    return [uri.scheme, uri.authority, uri.key, uri.query, source.name, source.folder, source.size, source.fingerprint]


def _source(told: list[Any]) -> Source:
    return Source(Uri(*told[:4]), *told[4:])


def _packed_job(job: PlannedJob) -> list[Any]:
    return [
        _packed_source(job.source),
        [[output.slot, output.name] for output in job.outputs],
        None if job.media is None else _MEDIA.dump_python(job.media, mode="json"),
        job.needs.__dict__,
        job.estimate.__dict__,
        job.number,
        job.notes,
    ]


def _job(told: list[Any]) -> PlannedJob:
    """Read a job back; what was judged when it was made is not judged again."""
    source, outputs, media, needs, estimate, number, notes = told
    return PlannedJob(
        _source(source),
        tuple(OutputSlot.model_construct(slot=slot, name=name) for slot, name in outputs),
        None if media is None else _MEDIA.validate_python(media),
        Needs.model_construct(**needs),
        Estimate.model_construct(**estimate),
        number,
        tuple(notes),
    )
