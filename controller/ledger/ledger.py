"""Read and write the ledger. Every move is checked against its table and leaves a line in `events`."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, insert, select, update

from controller.ledger import schema
from controller.ledger.jobs import JobRows
from controller.ledger.rows import (
    Attempt,
    Event,
    Job,
    Lease,
    Wish,
    WishWord,
    attempt_from,
    lease_from,
)
from controller.ledger.uploads import UploadRows
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import (
    LEASE_MOVES,
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
    LeaseReason,
    LeaseState,
    check_move,
)

_SHORT_ID_BYTES = 3


class Ledger(JobRows, UploadRows):
    """Batches, jobs, leases and wishes on disk. Many readers; moves are made by whoever holds the lock."""

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

    def move_job(self, job_id: str, state: JobState, reason: JobReason = JobReason.NONE, **fields: Any) -> Job:
        """Move a job, checked against the table, with whatever else is learnt in the same step."""
        with self._writing() as db:
            old = self._restate(db, job_id, state, **{"reason": reason, "updated_at": self._clock.now(), **fields})
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
            self._restate(
                db,
                job.id,
                JobState.ASSIGNED,
                reason=JobReason.NONE,
                message="",
                updated_at=now,
                attempt=number,
                lease_id=lease.id,
                spec=spec,
                receipt=None,
            )
            self._note_use(db, job.batch_id, lease.id)
            db.execute(
                insert(schema.attempts).values(
                    job_id=job.id, attempt=number, lease_id=lease.id, machine_id=lease.machine_id, began_at=now
                )
            )
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
        uses = schema.lease_batches
        return {str(row["lease_id"]) for row in self._read(select(uses)) if row["batch_id"] in batch_ids}

    def _note_use(self, db: Connection, batch_id: str, lease_id: str) -> None:
        uses = schema.lease_batches
        known = select(uses.c.lease_id).where(uses.c.batch_id == batch_id, uses.c.lease_id == lease_id)
        if db.execute(known).first() is None:
            db.execute(insert(uses).values(batch_id=batch_id, lease_id=lease_id))

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

    def pause(self, batch_id: str, why: str) -> bool:
        """Let a batch wait until a person goes on with it; False where it was asked to stop before."""
        table = schema.batches
        with self._writing() as db:
            running = update(table).where(table.c.id == batch_id, table.c.wish == WishWord.RUN)
            paused = db.execute(running.values(wish=WishWord.DRAIN)).rowcount == 1
            if paused:
                self._tell(db, batch_id, f"paused: {why}")
        return paused

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


def _move_text(old: str, new: str, reason: str, message: str) -> str:
    why = f" ({reason})" if reason and reason != "none" else ""
    return f"{old} -> {new}{why}" + (f": {message}" if message else "")
