"""The folder of jobs: found again after a restart, made and removed so that no half of one is ever taken up."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from agent.jobs.job import Job
from framehaul.clock import Clock
from framehaul.contract.jobdir import JOB_ID, JOBS, JobDir
from framehaul.contract.spec import JobSpec

# Not job ids, so that no order can name them.
_GONE = ".gone-"
_UNREADABLE = ".unreadable-"

_log = logging.getLogger(__name__)


class JobStore:
    """All attempts that this home holds, by job id, in order of arrival."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._arrivals = 0
        self._removals = 0

    def scan(self) -> None:
        """Read every folder of an earlier agent; what was half made or half removed goes."""
        root = self._home / JOBS
        root.mkdir(parents=True, exist_ok=True)
        folders = sorted(root.iterdir())
        for path in folders:
            if path.name.startswith(_GONE):
                shutil.rmtree(path, ignore_errors=True)
        whole = [path for path in folders if JOB_ID.fullmatch(path.name) and self._is_whole(path)]
        for path in sorted(whole, key=lambda path: JobDir(path).spec.stat().st_mtime_ns):
            self._take_up(path)

    def all(self) -> list[Job]:
        """List the jobs in order of arrival."""
        return sorted(self._jobs.values(), key=lambda job: job.number)

    def find(self, job_id: str) -> Job | None:
        """Look a job up."""
        return self._jobs.get(job_id)

    def create(self, spec: JobSpec) -> Job:
        """Make a job's folder; an earlier attempt that lies there is removed."""
        folder = JobDir.under(self._home, spec.job_id)
        if folder.root.exists():
            shutil.rmtree(self._set_aside(folder.root), ignore_errors=True)
        try:
            job = Job.create(folder, spec, self._clock, self._next_number())
        except OSError:
            shutil.rmtree(folder.root, ignore_errors=True)
            raise
        self._jobs[spec.job_id] = job
        return job

    def remove(self, job: Job) -> Path:
        """Take a job away, at once for everyone who looks; give the folder that the caller then deletes."""
        del self._jobs[job.spec.job_id]
        gone = self._set_aside(job.folder.root)
        job.bell.ring()
        return gone

    def _set_aside(self, folder: Path) -> Path:
        self._removals += 1
        return folder.rename(folder.with_name(f"{_GONE}{self._removals}-{folder.name}"))

    def _is_whole(self, path: Path) -> bool:
        if JobDir(path).spec.exists():
            return True
        _log.warning("job %s: was never accepted, removed", path.name)
        shutil.rmtree(path, ignore_errors=True)
        return False

    def _take_up(self, path: Path) -> None:
        try:
            job = Job.load(JobDir(path), self._clock, self._next_number())
        except (ValueError, OSError) as exc:
            # Kept for a person to look at: it may hold results.
            _log.warning("job %s: cannot be read (%s), set aside", path.name, type(exc).__name__)
            path.rename(path.with_name(f"{_UNREADABLE}{path.name}-{self._clock.now():.0f}"))
            return
        self._jobs[job.spec.job_id] = job

    def _next_number(self) -> int:
        self._arrivals += 1
        return self._arrivals
