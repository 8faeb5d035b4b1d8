"""Hear all that happens, pass it on, and tell at every tick how the whole stands."""

from __future__ import annotations

from collections.abc import Callable, Collection

from controller.desk import Observer
from controller.ledger import Job, Lease, Ledger
from controller.ledger.rows import WishWord
from controller.overview import Overview, overview_of, read_scene
from framehaul.contract.states import JobState
from framehaul.contract.status import JobStatus


class Lookout:
    """An observer before the observer: it remembers what each agent said last."""

    def __init__(self, observer: Observer, ledger: Ledger, asked: Collection[str] = ()) -> None:
        self._observer = observer
        self._ledger = ledger
        self._latest: dict[str, JobStatus] = {}
        # Every batch that was asked for, or worked on since we look: what is finished or stopped stays in the count.
        self._carried: set[str] = set(asked)

    def look(self, now: float, runs_here: Callable[[str], bool]) -> None:
        """Sum up what is being carried, and tell it."""
        self._carried |= {batch.id for batch in self._ledger.batches(unclosed=True) if batch.wish is WishWord.RUN}
        scene = read_scene(self._ledger, self._carried, self._latest, at_work=True, runs_here=runs_here)
        self._observer.on_overview(overview_of(scene, now))

    def say(self, text: str) -> None:
        """Pass a sentence on."""
        self._observer.say(text)

    def on_lease(self, lease: Lease) -> None:
        """Pass a machine's move on."""
        self._observer.on_lease(lease)

    def on_job(self, job: Job) -> None:
        """Pass a job's move on; what an earlier attempt said is then no longer true."""
        if job.state is not JobState.ASSIGNED:
            self._latest.pop(job.id, None)
        self._carried.add(job.batch_id)
        self._observer.on_job(job)

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Remember how an attempt stands."""
        self._latest[job.id] = status
        self._observer.on_progress(job, status)

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Pass on how far the bytes got."""
        self._observer.on_transfer(job, what, done, total)

    def on_overview(self, overview: Overview) -> None:
        """Pass it on."""
        self._observer.on_overview(overview)
