"""The jobs of batches, of which one may hold a million: written in a stream, read no more of than is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, exists, insert, or_, select, update

from controller.ledger import schema
from controller.ledger.file import LedgerFile
from controller.ledger.rows import Batch, Job, batch_from, job_from
from framehaul.contract.states import JOB_MOVES, AttemptState, JobState, check_move

_ROWS_AT_ONCE = 2000
# Of whole jobs, whose orders and receipts are large.
_JOBS_AT_ONCE = 200
UNDER_WAY = frozenset({JobState.ASSIGNED, JobState.DELIVERED, JobState.VERIFIED})
_OPEN = UNDER_WAY | {JobState.PLANNED}


class JobRows(LedgerFile):
    """The tables `batches` and `jobs`, and what is counted of them."""

    def add_batch(self, batch: Batch, jobs: Iterable[dict[str, Any]]) -> bool:
        """Write a batch and all its jobs in one transaction; False, and nothing, where its second is taken.

        The rows are taken as they come, a few thousand at a time; whoever else writes waits meanwhile.
        """
        second = int(batch.created_at)
        created_at = schema.batches.c.created_at
        taken = select(schema.batches.c.id).where(created_at >= second, created_at < second + 1)
        counts: Counter[str] = Counter()
        with self._writing() as db:
            if db.execute(taken).first() is not None:
                return False
            db.execute(insert(schema.batches).values(**vars(batch)))
            for rows in _pieces(jobs):
                db.execute(insert(schema.jobs), rows)
                counts.update(row["state"] for row in rows)
            for state, count in counts.items():
                db.execute(insert(schema.tallies).values(batch_id=batch.id, state=state, count=count))
            self._tell(db, batch.id, f"planned {counts.total()} jobs for {batch.target}")
        return True

    def batches(self, *, unclosed: bool = False) -> list[Batch]:
        """List batches, oldest first."""
        query = select(schema.batches).order_by(schema.batches.c.created_at, schema.batches.c.id)
        if unclosed:
            query = query.where(schema.batches.c.closed_at.is_(None))
        return [batch_from(row) for row in self._read(query)]

    def batch(self, batch_id: str) -> Batch | None:
        """Find one batch."""
        rows = self._read(select(schema.batches).where(schema.batches.c.id == batch_id))
        return batch_from(rows[0]) if rows else None

    def jobs(
        self,
        *,
        batch_id: str | None = None,
        lease_id: str | None = None,
        states: Collection[JobState] = (),
        most: int | None = None,
    ) -> list[Job]:
        """List jobs in the order in which they were planned; all of a batch may be a million."""
        query = _in_order()
        if batch_id is not None:
            query = query.where(schema.jobs.c.batch_id == batch_id)
        if lease_id is not None:
            query = query.where(schema.jobs.c.lease_id == lease_id)
        if states:
            query = query.where(schema.jobs.c.state.in_(states))
        return [job_from(row) for row in self._read(query.limit(most))]

    def each_job(self, batch_id: str) -> Iterator[Job]:
        """Stream a batch's jobs as all of them are at one moment. Not to be dawdled over: the ledger stays open."""
        query = _in_order().where(schema.jobs.c.batch_id == batch_id)
        for row in self._streamed(query, at_once=_JOBS_AT_ONCE):
            yield job_from(row._mapping)

    def published_jobs(self, batch_id: str) -> Iterator[Job]:
        """Stream a batch's jobs that are done, page by page: one may take hours between them."""
        jobs, last = schema.jobs, 0
        query = select(jobs).where(jobs.c.batch_id == batch_id, jobs.c.state == JobState.PUBLISHED)
        query = query.order_by(jobs.c.seq).limit(_JOBS_AT_ONCE)
        while page := self._read(query.where(jobs.c.seq > last)):
            yield from map(job_from, page)
            last = page[-1]["seq"]

    def open_jobs(self, *, most: int | None = None) -> list[Job]:
        """List the jobs with work left, also those that wait: for a person's eye, never for a loop."""
        return self.jobs(states=_OPEN, most=most)

    def jobs_under_way(self, *, lease_id: str | None = None) -> list[Job]:
        """List the jobs that are at a machine, or on their way home from one: as many as machines can carry."""
        return self.jobs(lease_id=lease_id, states=UNDER_WAY)

    def next_jobs(self, batch_ids: Iterable[str], most: int, *, machine_id: str | None = None) -> list[Job]:
        """List the jobs that wait, batch by batch in the order given, at most so many.

        With a machine: only those that have not failed on it before.
        """
        jobs, found = schema.jobs, list[Job]()
        for batch_id in batch_ids:
            if len(found) >= most:
                break
            query = select(jobs).where(jobs.c.batch_id == batch_id, jobs.c.state == JobState.PLANNED)
            query = query.order_by(jobs.c.seq)  # as the index has it: nothing is sorted, the rest is not looked at
            if machine_id is not None:
                query = query.where(or_(jobs.c.attempt == 0, ~_failed_on(machine_id)))
            found += [job_from(row) for row in self._read(query.limit(most - len(found)))]
        return found

    def often_tried(self, times: int) -> list[Job]:
        """List the jobs that wait although they were handed out so many times."""
        jobs = schema.jobs
        query = _in_order().where(jobs.c.state == JobState.PLANNED, jobs.c.attempt >= times)
        return [job_from(row) for row in self._read(query)]

    def tallies(self, batch_ids: Collection[str]) -> dict[str, dict[JobState, int]]:
        """Count the jobs of each of these batches by state, without reading any of them."""
        counts: dict[str, dict[JobState, int]] = {batch_id: {} for batch_id in batch_ids}
        for row in self._read(select(schema.tallies).where(schema.tallies.c.count > 0)):
            if row["batch_id"] in counts:
                counts[row["batch_id"]][JobState(row["state"])] = int(row["count"])
        return counts

    def tally(self, batch_ids: Collection[str]) -> dict[JobState, int]:
        """Count the jobs of these batches together."""
        counts: Counter[JobState] = Counter()
        for tally in self.tallies(batch_ids).values():
            counts.update(tally)
        return dict(counts)

    def left(self, batch_ids: Collection[str]) -> int:
        """Count the jobs of these batches with work left."""
        return sum(count for state, count in self.tally(batch_ids).items() if state in _OPEN)

    def job(self, job_id: str) -> Job:
        """Find one job; KeyError when there is none."""
        rows = self._read(select(schema.jobs).where(schema.jobs.c.id == job_id))
        if not rows:
            raise KeyError(job_id)
        return job_from(rows[0])

    def open_inputs(self, batch_ids: Collection[str]) -> Iterator[tuple[str, str, str]]:
        """Stream (fingerprint, job, batch) of every job of these batches with work left."""
        jobs = schema.jobs
        for batch_id in batch_ids:
            query = select(jobs.c.fingerprint, jobs.c.id).where(jobs.c.batch_id == batch_id, jobs.c.state.in_(_OPEN))
            for fingerprint, job_id in self._streamed(query):
                yield fingerprint, job_id, batch_id

    def fingerprints(self, batch_ids: Collection[str], state: JobState) -> Iterator[str]:
        """Stream which inputs of these batches came to this state."""
        jobs = schema.jobs
        for batch_id in batch_ids:
            query = select(jobs.c.fingerprint).where(jobs.c.batch_id == batch_id, jobs.c.state == state)
            for (fingerprint,) in self._streamed(query):
                yield fingerprint

    def rates(self, batch_ids: Iterable[str], most: int) -> list[float]:
        """Give the seconds that a unit of work took in jobs of these batches, at most so many."""
        jobs, found = schema.jobs, list[float]()
        seconds, work = jobs.c.figures["seconds"].as_float(), jobs.c.figures["work"].as_float()
        for batch_id in batch_ids:
            query = select(seconds, work).where(jobs.c.batch_id == batch_id, seconds > 0, work > 0)
            found += [took / done for took, done in self._streamed(query.limit(most - len(found)))]
            if len(found) >= most:
                break
        return found

    def moved_since(self, event: int | None) -> tuple[int, list[str]]:
        """Name the jobs of which the story tells since an event, and the latest event; None means from now on."""
        events = schema.events
        if event is None:
            rows = self._read(select(events.c.id).order_by(events.c.id.desc()).limit(1))
            return (rows[0]["id"] if rows else 0), []
        rows = self._read(select(events.c.id, events.c.subject).where(events.c.id > event).order_by(events.c.id))
        return (rows[-1]["id"] if rows else event), list(dict.fromkeys(row["subject"] for row in rows))

    def jobs_named(self, job_ids: Sequence[str]) -> list[Job]:
        """List those of the jobs that there are."""
        query = _in_order().where(schema.jobs.c.id.in_(job_ids))
        return [job_from(row) for row in self._read(query)]

    def _restate(self, db: Connection, job_id: str, state: JobState, **values: Any) -> JobState:
        """Move a job's row, checked against the table, and what is counted of it; gives the old state."""
        jobs = schema.jobs
        row = db.execute(select(jobs.c.state, jobs.c.batch_id).where(jobs.c.id == job_id)).one()
        old = JobState(row.state)
        check_move(JOB_MOVES, old, state)
        db.execute(update(jobs).where(jobs.c.id == job_id).values(state=state, **values))
        for counted, change in ((old, -1), (state, 1)):
            _count(db, row.batch_id, counted, change)
        return old

    def _streamed(self, query: Select[Any], *, at_once: int = _ROWS_AT_ONCE) -> Iterator[Any]:
        """Read plain rows piece by piece, so that a million never lie in memory."""
        with self._translated(), self._engine.connect() as db:
            yield from db.execution_options(yield_per=at_once).execute(query)


def _in_order() -> Select[Any]:
    jobs = schema.jobs
    return select(jobs).order_by(jobs.c.created_at, jobs.c.batch_id, jobs.c.seq)


def _failed_on(machine_id: str) -> Any:
    tries = schema.attempts
    return exists().where(
        tries.c.job_id == schema.jobs.c.id, tries.c.machine_id == machine_id, tries.c.state == AttemptState.FAILED
    )


def _count(db: Connection, batch_id: str, state: JobState, change: int) -> None:
    table = schema.tallies
    mine = (table.c.batch_id == batch_id, table.c.state == state)
    if db.execute(update(table).where(*mine).values(count=table.c.count + change)).rowcount == 0:
        db.execute(insert(table).values(batch_id=batch_id, state=state, count=change))


def _pieces(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    stream = iter(rows)
    while piece := list(islice(stream, _ROWS_AT_ONCE)):
        yield piece
