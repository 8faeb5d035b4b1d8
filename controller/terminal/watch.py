"""Observers: progress bars on a terminal, plain lines when piped, nothing when asked for quiet."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from controller.ledger import Job, Lease
from controller.terminal.words import plain, size_words, time_words
from framehaul.contract.states import AttemptState, JobState, LeaseState
from framehaul.contract.status import JobStatus

_LINE_EVERY_S = 10.0
_LEASE_WORDS = {
    LeaseState.RENTING: "renting {gpu}",
    LeaseState.BOOTING: "{gpu}: starting the agent",
    LeaseState.READY: "{gpu}: ready",
    LeaseState.DRAINING: "{gpu}: draining, no new work",
    LeaseState.DESTROYING: "{gpu}: destroying",
    LeaseState.GONE: "{gpu}: gone",
}
_JOB_WORDS = {
    JobState.ASSIGNED: "shipped (attempt {attempt})",
    JobState.DELIVERED: "result is home, verifying",
    JobState.VERIFIED: "verified against the store",
    JobState.PUBLISHED: "done",
    JobState.EXCLUDED: "FAILED",
    JobState.PLANNED: "back in the queue",
}


class LineObserver:
    """Write one line an event, and at most one line of progress in ten seconds a job."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now
        self._last: dict[str, float] = {}
        self._stage: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Write a sentence."""
        self._write(plain(text))

    def on_lease(self, lease: Lease) -> None:
        """Write how a machine moved, and why where that is no matter of course."""
        words = _LEASE_WORDS.get(lease.state)
        if words:
            why = f" ({lease.message})" if lease.message else ""
            self.say(words.format(gpu=lease.gpu) + why)

    def on_job(self, job: Job) -> None:
        """Write how a job moved."""
        words = _JOB_WORDS[job.state].format(attempt=job.attempt)
        why = f": {job.message}" if job.message and job.state in {JobState.EXCLUDED, JobState.PLANNED} else ""
        self.say(f"{job.name}: {words}{why}")

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Write the stage when it changes, and the count now and then."""
        if status.state is not AttemptState.RUNNING:
            return
        stage = status.stage or "running"
        due = self._now() - self._last.get(job.id, -_LINE_EVERY_S) >= _LINE_EVERY_S
        if self._stage.get(job.id) == stage and not due:
            return
        self._stage[job.id], self._last[job.id] = stage, self._now()
        self.say(f"{job.name}: {progress_words(status)}")

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Keep quiet: transfers are told by the job's own moves."""


class BarObserver(LineObserver):
    """Draw one bar a job that is on its way; events are lines above the bars."""

    def __init__(self, console: Console, progress: Progress, now: Callable[[], float]) -> None:
        super().__init__(lambda text: console.print(text, markup=False, highlight=False), now)
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def on_job(self, job: Job) -> None:
        """Write the move and take down the bar of what is over."""
        super().on_job(job)
        if job.state is not JobState.ASSIGNED and job.id in self._bars:
            self._progress.remove_task(self._bars.pop(job.id))

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Move the bar."""
        if status.state is AttemptState.RUNNING:
            text = f"{plain(job.name)}  {progress_words(status, count=False)}"
            self._draw(job, text, status.done, status.total)
        else:
            why = "" if status.reason == "none" else f" ({status.reason})"
            self._draw(job, f"{plain(job.name)}  {status.state}{why}", 0, None)

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Move the bar by bytes."""
        self._draw(job, plain(what), done, total)

    def _draw(self, job: Job, text: str, done: int, total: int | None) -> None:
        if job.id not in self._bars:
            self._bars[job.id] = self._progress.add_task(text, total=total)
        self._progress.update(self._bars[job.id], description=text, completed=done, total=total)


def bars(console: Console) -> Progress:
    """Make the bars."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        console=console,
        transient=True,
    )


def progress_words(status: JobStatus, *, count: bool = True) -> str:
    """Write a status: `upscale 34/96  12.1 fps  5 s left`."""
    words = [status.stage or str(status.state)]
    if count and status.done:
        words.append(_count_words(status))
    if status.fps:
        words.append(f"{status.fps:.1f} fps")
    if status.eta_s is not None:
        words.append(f"{time_words(status.eta_s)} left")
    return "  ".join(words)


def _count_words(status: JobStatus) -> str:
    if status.unit == "bytes":
        return f"{size_words(status.done)} of {size_words(status.total)}"
    return f"{status.done}/{status.total or '?'}"
