"""What the open batches ask for, counted and not listed: a batch may hold a million jobs, the engine looks often."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from controller.ledger import Batch, Job, Ledger
from controller.ledger.rows import WishWord
from framehaul.contract.states import JobState


@dataclass(frozen=True)
class Agenda:
    """The unclosed batches, oldest first, and how many of their jobs are in which state at this moment."""

    ledger: Ledger
    batches: Mapping[str, Batch]
    tallies: Mapping[str, Mapping[JobState, int]]
    # The batches whose jobs may be begun; None means every one.
    only: Collection[str] | None = None

    @classmethod
    def read(cls, ledger: Ledger, only: Collection[str] | None = None) -> Self:
        """Look into the ledger; costs the same for ten jobs and for a million."""
        batches = {batch.id: batch for batch in ledger.batches(unclosed=True)}
        return cls(ledger, batches, ledger.tallies(batches), only)

    def clouds(self) -> list[str]:
        """Name the clouds that a machine should work on now."""
        return sorted({batch.provider for batch in self.batches.values() if self._runnable(batch)})

    def going(self, cloud: str) -> list[Batch]:
        """List the batches that a machine of this cloud should work on now."""
        return [batch for batch in self.batches.values() if batch.provider == cloud and self._runnable(batch)]

    def runnable(self, cloud: str | None = None) -> int:
        """Count the jobs that a machine should work on now: those that wait, and those that are at one."""
        return sum(self._runnable(batch) for batch in self.batches.values() if cloud in {None, batch.provider})

    def waiting(self, cloud: str, most: int, *, machine_id: str | None = None) -> list[Job]:
        """List the next jobs that may begin on this cloud; with a machine, those that have not failed on it."""
        return self.ledger.next_jobs(
            (batch.id for batch in self.going(cloud) if self._may_begin(batch)), most, machine_id=machine_id
        )

    def often_tried(self, times: int) -> list[Job]:
        """List the jobs that would begin again although they were handed out so many times."""
        found = self.ledger.often_tried(times)
        return [job for job in found if job.batch_id in self.batches and self._may_begin(self.batches[job.batch_id])]

    def _runnable(self, batch: Batch) -> int:
        if batch.wish is not WishWord.RUN:
            return 0
        tally = self.tallies[batch.id]
        return tally.get(JobState.ASSIGNED, 0) + (tally.get(JobState.PLANNED, 0) if self._may_begin(batch) else 0)

    def _may_begin(self, batch: Batch) -> bool:
        return batch.wish is WishWord.RUN and (self.only is None or batch.id in self.only)
