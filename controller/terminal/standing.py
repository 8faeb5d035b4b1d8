"""How everything stands, for `framehaul status`: the line, and each job that runs or waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from controller.ledger import Job, Lease
from controller.overview import Overview
from controller.terminal.rows import show_rows
from controller.terminal.tables import job_as_json, say
from controller.terminal.watch import progress_words
from controller.terminal.words import counted, overview_words, plain, why_words
from framehaul.contract.states import AttemptState, JobState
from framehaul.contract.status import JobStatus


@dataclass(frozen=True)
class Standing:
    """One look: the whole, the open jobs (of many that wait the next ones), their machines' word, who is at work."""

    overview: Overview
    jobs: Sequence[Job]
    told: Mapping[str, JobStatus]
    leases: Sequence[Lease]
    at_work: bool

    @property
    def more(self) -> int:
        """Count the jobs that wait behind those."""
        return max(0, self.overview.left - len(self.jobs))


def show_standing(console: Console, standing: Standing) -> None:
    """Print the line, then a line a job."""
    say(console, overview_words(standing.overview))
    if standing.jobs:
        machines = {lease.id: plain(lease.gpu) for lease in standing.leases}
        rows = [
            [plain(job.name), *_now(job, standing.told.get(job.id)), machines.get(job.lease_id or "", ""), job.id]
            for job in standing.jobs
        ]
        show_rows(console, ("input", "state", "now", "machine", "job"), rows)
    if standing.more:
        say(console, f"... and {counted(standing.more, 'more job')} behind those")
    if not standing.at_work and standing.jobs:
        alone = _left_alone(standing.jobs, standing.more, {lease.id for lease in standing.leases})
        say(console, f"Nobody is at work; {alone}: framehaul resume goes on.")
    if not standing.at_work and standing.leases:
        say(console, f"{counted(len(standing.leases), 'machine')} may still be running. End them: framehaul stop")


def standing_as_json(standing: Standing) -> dict[str, Any]:
    """Give it for machines."""
    return {
        "at_work": standing.at_work,
        "overview": {**asdict(standing.overview), "left": standing.overview.left},
        "more_waiting": standing.more,
        "jobs": [_job_as_json(job, standing.told.get(job.id)) for job in standing.jobs],
    }


def _left_alone(jobs: Sequence[Job], more: int, machines: Collection[str]) -> str:
    """Say how many jobs wait, and how many go on without us: a machine knows what it was given."""
    waiting = sum(job.state is JobState.PLANNED for job in jobs)
    assigned = [job for job in jobs if job.state is JobState.ASSIGNED]
    machined = sum(job.lease_id in machines for job in assigned)
    lost = len(assigned) - machined
    home = len(jobs) - waiting - len(assigned)
    waiting += more
    told = [f"{counted(waiting, 'job')} waiting"] if waiting else []
    if machined:
        told.append(f"{counted(machined, 'job')} at a machine, which goes on by itself")
    if lost:
        told.append(f"{counted(lost, 'job')} whose machine is gone, and may have left a result")
    if home:
        told.append(f"{counted(home, 'result')} to be verified")
    return ", ".join(told)


def _now(job: Job, status: JobStatus | None) -> tuple[str, str]:
    """Say what a job does: by its machine's word where there is one, else by the ledger's."""
    if status is None:
        told = "" if job.reason == "none" else why_words(job.reason, job.message)
        return ("waiting" if job.state is JobState.PLANNED else str(job.state), told)
    if status.state is AttemptState.RUNNING:
        return str(status.state), plain(progress_words(status))
    return str(status.state), "" if status.reason == "none" else why_words(status.reason, status.message)


def _job_as_json(job: Job, status: JobStatus | None) -> dict[str, Any]:
    return {**job_as_json(job), "status": None if status is None else status.model_dump(mode="json")}
