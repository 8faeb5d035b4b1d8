"""Observers: plain lines when piped, little when asked for quiet, everything when asked for more."""

from __future__ import annotations

from collections.abc import Callable

from controller.ledger import Job, Lease
from controller.overview import Overview
from controller.terminal.words import overview_words, plain, size_words, time_words, why_words
from framehaul.contract.states import AttemptReason, AttemptState, JobState, LeaseState
from framehaul.contract.status import JobStatus
from framehaul.contract.uris import parse_uri

_LINE_EVERY_S = 10.0
_TROUBLES = frozenset({AttemptReason.STORE_UNAVAILABLE, AttemptReason.GRANTS_EXPIRED, AttemptReason.WAITING_FOR_ROOM})
_OVERVIEW_EVERY_S = 60.0
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
    """Write one line an event, at most one line of progress in ten seconds a job, and how the whole stands."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float], *, counts: bool = True) -> None:
        """With `counts` off, progress and the status line are somebody else's to show."""
        self._write = write
        self._now = now
        self._counts = counts
        self._last: dict[str, float] = {}
        self._stage: dict[str, str] = {}
        self._trouble: dict[str, AttemptReason | None] = {}
        self._overview: Overview | None = None
        self._overview_at = 0.0

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
        told = job.message and job.state in {JobState.EXCLUDED, JobState.PLANNED}
        self.say(f"{job.name}: {words}" + (f": {why_words(job.reason, job.message)}" if told else ""))

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Write the stage when it changes, and the count now and then; and what holds an attempt up, once."""
        self._tell_trouble(job, status)
        if status.state is not AttemptState.RUNNING or not self._counts:
            return
        stage = status.stage or "running"
        due = self._now() - self._last.get(job.id, -_LINE_EVERY_S) >= _LINE_EVERY_S
        if self._stage.get(job.id) == stage and not due:
            return
        self._stage[job.id], self._last[job.id] = stage, self._now()
        self.say(f"{job.name}: {progress_words(status)}")

    def _tell_trouble(self, job: Job, status: JobStatus) -> None:
        reason = status.reason if status.reason in _TROUBLES else None
        if reason is not self._trouble.get(job.id):
            self._trouble[job.id] = reason
            self.say(f"{job.name}: {why_words(reason, status.message) if reason else 'it goes on'}")

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Keep quiet: transfers are told by the job's own moves."""

    def on_overview(self, overview: Overview) -> None:
        """Write the status line when what it says of now has changed, else once a minute."""
        if not self._counts:
            return
        moved = self._overview is None or _standing(self._overview) != _standing(overview)
        if moved or self._now() - self._overview_at >= _OVERVIEW_EVERY_S:
            self._overview, self._overview_at = overview, self._now()
            self._write(plain(overview_words(overview)))

    def finish(self) -> None:
        """Leave the console to the report."""


class QuietObserver(LineObserver):
    """Write sentences and failures only."""

    def on_lease(self, lease: Lease) -> None:
        """Keep quiet."""

    def on_job(self, job: Job) -> None:
        """Write what failed."""
        if job.state is JobState.EXCLUDED:
            super().on_job(job)

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Keep quiet."""

    def on_overview(self, overview: Overview) -> None:
        """Keep quiet."""


class DetailedObserver(LineObserver):
    """Write every move with the second since the beginning: ids, places without secrets, transfers, timings."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float], *, counts: bool = True) -> None:
        super().__init__(write, now, counts=counts)
        self._began = now()
        self._states: dict[str, tuple[str, str]] = {}
        self._transfers: dict[tuple[str, str], float] = {}

    def say(self, text: str) -> None:
        """Write a sentence, and when."""
        super().say(f"{self._now() - self._began:8.1f} s  {text}")

    def on_lease(self, lease: Lease) -> None:
        """Write a machine's move with its ids."""
        ref = f", instance {lease.ref}" if lease.ref else ""
        why = " ".join(part for part in (str(lease.reason).replace("none", ""), lease.message) if part)
        self.say(f"{lease.gpu}: lease {lease.id} {lease.state}{ref}" + (f" ({why})" if why else ""))

    def on_job(self, job: Job) -> None:
        """Write a job's move with its ids, where it comes from, where it went, and how long each stage took."""
        super().on_job(job)
        if job.state is JobState.ASSIGNED:
            source = parse_uri(job.source).public()
            self.say(f"{job.name}: job {job.id}, attempt {job.attempt}, lease {job.lease_id}, from {source}")
        elif job.state is JobState.PUBLISHED:
            stages = job.figures.get("stage_seconds") or {}
            took = ", ".join(f"{name} {time_words(seconds)}" for name, seconds in stages.items())
            places = ", ".join(parse_uri(text).public() for text in job.figures.get("uris", {}).values())
            self.say(f"{job.name}: {took or 'no stages were timed'}; at {places}")

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Write each state of an attempt, and why it waits."""
        standing = (f"{job.attempt} {status.state}", str(status.reason))
        if self._states.get(job.id) != standing:
            self._states[job.id] = standing
            why = "" if status.reason == "none" else f" ({why_words(status.reason, status.message)})"
            self.say(f"{job.name}: attempt {job.attempt} {status.state}{why}")
        super().on_progress(job, status)

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Write when a transfer begins and ends."""
        began = self._transfers.setdefault((job.id, what), self._now())
        if done == total:
            del self._transfers[job.id, what]
            self.say(f"{job.name}: {what}, {size_words(total)} in {time_words(self._now() - began)}")
        elif began == self._now() and done == 0:
            self.say(f"{job.name}: {what}, {size_words(total)}")


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


def _standing(overview: Overview) -> tuple[object, ...]:
    return (overview.total, overview.done, overview.failed, overview.machines, overview.lid, overview.stopped)


def _count_words(status: JobStatus) -> str:
    if status.unit == "bytes":
        return f"{size_words(status.done)} of {size_words(status.total)}"
    return f"{status.done}/{status.total or '?'}"
