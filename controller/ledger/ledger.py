"""Read and write the ledger. Every move is checked against its table and leaves a line in `events`."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, func, insert, inspect, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DatabaseError

from controller.errors import LedgerError
from controller.ledger import schema
from controller.ledger.rows import (
    Attempt,
    Batch,
    Event,
    Job,
    Lease,
    Wish,
    WishWord,
    attempt_from,
    batch_from,
    job_from,
    lease_from,
)
from framehaul.clock import Clock
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import (
    JOB_MOVES,
    LEASE_MOVES,
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
    LeaseReason,
    LeaseState,
    check_move,
)

_BUSY_TIMEOUT_MS = 30_000
_SHORT_ID_BYTES = 3


class Ledger:
    """Batches, jobs, leases and wishes on disk. Many readers; moves are made by whoever holds the lock."""

    def __init__(self, path: Path, clock: Clock) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # lease secrets lie in it
        except OSError as exc:
            raise LedgerError(f"The ledger {path} cannot be opened: {exc.strerror}.") from exc
        self._clock = clock
        self._path = path
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _set_pragmas)
        if not self._has_tables():
            with self._writing() as db:  # in turn: two first commands at once would both make the tables
                schema.metadata.create_all(db)
        self._refuse_another_shape()

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    # -- names ---------------------------------------------------------------------------------------------------

    def controller_id(self) -> str:
        """Give this laptop's id, drawn once: it stands in every lease's label."""
        with self._writing() as db:
            row = db.execute(select(schema.meta.c.value).where(schema.meta.c.key == "controller")).scalar()
            if row is None:
                row = secrets.token_hex(_SHORT_ID_BYTES)
                db.execute(insert(schema.meta).values(key="controller", value=row))
            return str(row)

    # -- batches and jobs ----------------------------------------------------------------------------------------

    def add_batch(self, batch: Batch, jobs: list[dict[str, Any]]) -> bool:
        """Write a batch and all its jobs in one transaction; False, and nothing, where its second is taken."""
        second = int(batch.created_at)
        created_at = schema.batches.c.created_at
        taken = select(schema.batches.c.id).where(created_at >= second, created_at < second + 1)
        with self._writing() as db:
            if db.execute(taken).first() is not None:
                return False
            db.execute(insert(schema.batches).values(**vars(batch)))
            for job in jobs:
                db.execute(insert(schema.jobs).values(**job))
            self._tell(db, batch.id, f"planned {len(jobs)} jobs for {batch.target}")
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

    def jobs(self, *, batch_id: str | None = None, lease_id: str | None = None) -> list[Job]:
        """List jobs in the order in which they were planned."""
        query = select(schema.jobs).order_by(schema.jobs.c.created_at, schema.jobs.c.batch_id, schema.jobs.c.seq)
        if batch_id is not None:
            query = query.where(schema.jobs.c.batch_id == batch_id)
        if lease_id is not None:
            query = query.where(schema.jobs.c.lease_id == lease_id)
        return [job_from(row) for row in self._read(query)]

    def open_jobs(self) -> list[Job]:
        """List the jobs with work left."""
        final = (JobState.PUBLISHED, JobState.EXCLUDED)
        query = select(schema.jobs).where(schema.jobs.c.state.not_in(final))
        return [job_from(row) for row in self._read(query.order_by(schema.jobs.c.created_at, schema.jobs.c.seq))]

    def tally(self, batch_ids: Collection[str]) -> dict[JobState, int]:
        """Count the jobs of these batches by state, without reading any of them."""
        jobs = schema.jobs
        query = select(jobs.c.batch_id, jobs.c.state, func.count().label("count")).group_by(
            jobs.c.batch_id, jobs.c.state
        )
        counts: dict[JobState, int] = {}
        for row in self._read(query):
            if row["batch_id"] in batch_ids:
                counts[JobState(row["state"])] = counts.get(JobState(row["state"]), 0) + int(row["count"])
        return counts

    def job(self, job_id: str) -> Job:
        """Find one job; KeyError when there is none."""
        rows = self._read(select(schema.jobs).where(schema.jobs.c.id == job_id))
        if not rows:
            raise KeyError(job_id)
        return job_from(rows[0])

    def move_job(self, job_id: str, state: JobState, reason: JobReason = JobReason.NONE, **fields: Any) -> Job:
        """Move a job, checked against the table, with whatever else is learnt in the same step."""
        with self._writing() as db:
            old = db.execute(select(schema.jobs.c.state).where(schema.jobs.c.id == job_id)).scalar_one()
            check_move(JOB_MOVES, JobState(old), state)
            values = {"state": state, "reason": reason, "updated_at": self._clock.now(), **fields}
            db.execute(update(schema.jobs).where(schema.jobs.c.id == job_id).values(**values))
            self._tell(db, job_id, _move_text(old, state, reason, str(fields.get("message", ""))))
        return self.job(job_id)

    def note_job(self, job_id: str, **fields: Any) -> None:
        """Write something learnt of a job without moving it."""
        with self._writing() as db:
            db.execute(update(schema.jobs).where(schema.jobs.c.id == job_id).values(**fields))

    def close_batch(self, batch_id: str) -> None:
        """Mark a batch as reported."""
        with self._writing() as db:
            db.execute(
                update(schema.batches).where(schema.batches.c.id == batch_id).values(closed_at=self._clock.now())
            )
            self._tell(db, batch_id, "closed")

    # -- attempts ------------------------------------------------------------------------------------------------

    def begin_attempt(self, job: Job, lease: Lease, spec: dict[str, Any]) -> Job:
        """Assign a job to a lease as its next attempt: job row and attempt row in one transaction."""
        number, now = job.attempt + 1, self._clock.now()
        with self._writing() as db:
            old = db.execute(select(schema.jobs.c.state).where(schema.jobs.c.id == job.id)).scalar_one()
            check_move(JOB_MOVES, JobState(old), JobState.ASSIGNED)
            db.execute(
                insert(schema.attempts).values(
                    job_id=job.id, attempt=number, lease_id=lease.id, machine_id=lease.machine_id, began_at=now
                )
            )
            values = {"state": JobState.ASSIGNED, "reason": JobReason.NONE, "message": "", "updated_at": now}
            values |= {"attempt": number, "lease_id": lease.id, "spec": spec, "receipt": None}
            db.execute(update(schema.jobs).where(schema.jobs.c.id == job.id).values(**values))
            self._tell(db, job.id, f"assigned to {lease.id} as attempt {number}")
        return self.job(job.id)

    def end_attempt(self, job: Job, state: AttemptState | None, reason: AttemptReason | None, message: str) -> None:
        """Write how the present attempt ended; idempotent, the first end stands."""
        table = schema.attempts
        with self._writing() as db:
            db.execute(
                update(table)
                .where(table.c.job_id == job.id, table.c.attempt == job.attempt, table.c.ended_at.is_(None))
                .values(ended_at=self._clock.now(), state=state, reason=reason, message=message)
            )

    def note_receipt(self, job: Job, receipt: Receipt) -> None:
        """Write what the present attempt promises, before any of it is put into the store."""
        table = schema.attempts
        with self._writing() as db:
            db.execute(
                update(table)
                .where(table.c.job_id == job.id, table.c.attempt == job.attempt)
                .values(receipt=receipt.model_dump(mode="json"))
            )

    def attempts(self, job_id: str) -> list[Attempt]:
        """List the tries at a job."""
        query = select(schema.attempts).where(schema.attempts.c.job_id == job_id).order_by(schema.attempts.c.attempt)
        return [attempt_from(row) for row in self._read(query)]

    def lease_ids(self, batch_ids: Collection[str]) -> set[str]:
        """Name the leases on which these batches were worked on."""
        jobs, tries = schema.jobs, schema.attempts
        query = select(jobs.c.batch_id, tries.c.lease_id).join(jobs, jobs.c.id == tries.c.job_id).distinct()
        return {str(row["lease_id"]) for row in self._read(query) if row["batch_id"] in batch_ids}

    # -- leases --------------------------------------------------------------------------------------------------

    def intend_lease(self, lease: Lease) -> None:
        """Write the intent to rent, before a cent is spent."""
        with self._writing() as db:
            db.execute(insert(schema.leases).values(**{**vars(lease), "secret": lease.secret.hex()}))
            self._tell(db, lease.id, f"intended: {lease.gpu or lease.machine_id} as {lease.label}")

    def leases(self, *, alive: bool = False) -> list[Lease]:
        """List leases, oldest first."""
        query = select(schema.leases).order_by(schema.leases.c.intended_at, schema.leases.c.id)
        if alive:
            query = query.where(schema.leases.c.state != LeaseState.GONE)
        return [lease_from(row) for row in self._read(query)]

    def lease(self, lease_id: str) -> Lease:
        """Find one lease; KeyError when there is none."""
        rows = self._read(select(schema.leases).where(schema.leases.c.id == lease_id))
        if not rows:
            raise KeyError(lease_id)
        return lease_from(rows[0])

    def move_lease(self, lease_id: str, state: LeaseState, reason: LeaseReason | None = None, **fields: Any) -> Lease:
        """Move a lease, checked against the table. Without a reason the present one stays."""
        with self._writing() as db:
            old = db.execute(select(schema.leases.c.state).where(schema.leases.c.id == lease_id)).scalar_one()
            check_move(LEASE_MOVES, LeaseState(old), state)
            values = {"state": state, **fields} | ({} if reason is None else {"reason": reason})
            db.execute(update(schema.leases).where(schema.leases.c.id == lease_id).values(**values))
            self._tell(db, lease_id, _move_text(old, state, reason or "", str(fields.get("message", ""))))
        return self.lease(lease_id)

    def note_lease(self, lease_id: str, **fields: Any) -> None:
        """Write something learnt of a lease without moving it."""
        with self._writing() as db:
            db.execute(update(schema.leases).where(schema.leases.c.id == lease_id).values(**fields))

    # -- wishes and events ---------------------------------------------------------------------------------------

    def wish(self, wish: WishWord, batch_id: str | None = None) -> None:
        """Leave a word for whoever holds the lock; no batch means every batch."""
        with self._writing() as db:
            db.execute(insert(schema.wishes).values(at=self._clock.now(), batch_id=batch_id, wish=wish))
            self._tell(db, batch_id or "all", f"wished: {wish}")

    def take_wishes(self) -> list[Wish]:
        """Carry new wishes into the batches that they name, and give them."""
        table = schema.wishes
        with self._writing() as db:
            rows = db.execute(select(table).where(table.c.done_at.is_(None)).order_by(table.c.id)).mappings().all()
            for row in rows:
                target = update(schema.batches).values(wish=row["wish"]).where(schema.batches.c.closed_at.is_(None))
                if row["batch_id"] is not None:
                    target = target.where(schema.batches.c.id == row["batch_id"])
                db.execute(target)
                db.execute(update(table).where(table.c.id == row["id"]).values(done_at=self._clock.now()))
        return [Wish(row["id"], row["at"], row["batch_id"], WishWord(row["wish"])) for row in rows]

    def events(self, subject: str | None = None) -> list[Event]:
        """Read the ledger's story."""
        query = select(schema.events).order_by(schema.events.c.id)
        if subject is not None:
            query = query.where(schema.events.c.subject == subject)
        return [Event(row["at"], row["subject"], row["text"]) for row in self._read(query)]

    def tell(self, subject: str, text: str) -> None:
        """Add a line to the story."""
        with self._writing() as db:
            self._tell(db, subject, text)

    # -- the file ------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The database itself, for tests that count or break its commits."""
        return self._engine

    def _has_tables(self) -> bool:
        with self._translated():
            return inspect(self._engine).has_table(schema.events.name)

    def _refuse_another_shape(self) -> None:
        """Say which version's ledger this is not, now, and not in the middle of work that costs money."""
        with self._translated():
            found = inspect(self._engine)
            lacking = [
                f"{table.name}.{column.name}"
                for table in schema.metadata.sorted_tables
                for column in table.columns
                if column.name not in {each["name"] for each in found.get_columns(table.name)}
            ]
        if lacking:
            raise LedgerError(
                f"The ledger {self._path} is of another version of Framehaul: it lacks {', '.join(lacking)}.",
                advice="See with that version whether anything still runs; then name a fresh folder: --state DIR.",
            )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._translated(), self._engine.connect() as db:
            # Take the write lock before reading, so that a check and the write it guards are one step.
            db.exec_driver_sql("BEGIN IMMEDIATE")
            yield db
            db.commit()

    def _read(self, query: Any) -> list[Any]:
        with self._translated(), self._engine.connect() as db:
            return list(db.execute(query).mappings())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The one gate through which the database's errors leave as ours."""
        try:
            yield
        except DatabaseError as exc:
            raise LedgerError(
                f"The ledger {self._path} cannot be used: {exc.orig}.",
                advice="Is its disk full, or does another program hold it? Machines may still run: framehaul ps.",
            ) from exc

    def _tell(self, db: Connection, subject: str, text: str) -> None:
        db.execute(insert(schema.events).values(at=self._clock.now(), subject=subject, text=text))


def _move_text(old: str, new: str, reason: str, message: str) -> str:
    why = f" ({reason})" if reason and reason != "none" else ""
    return f"{old} -> {new}{why}" + (f": {message}" if message else "")


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are opened by hand, with BEGIN IMMEDIATE
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
