"""The ledger's tables. SQLite by default; nothing here keeps it from PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
)

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False))

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("provider", String, nullable=False),
    Column("pipeline", String, nullable=False),
    Column("params", JSON, nullable=False),
    Column("params_digest", String, nullable=False),
    Column("target", String, nullable=False),
    Column("options", JSON, nullable=False),
    Column("wish", String, nullable=False),
    Column("closed_at", Float),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", String, nullable=False, default=""),
    Column("source", String, nullable=False),
    Column("name", String, nullable=False),
    Column("size", Integer),
    Column("fingerprint", String, nullable=False),
    Column("outputs", JSON, nullable=False),
    Column("folder", String, nullable=False, default=""),
    Column("frames", Integer),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lease_id", String),
    Column("spec", JSON),
    Column("receipt", JSON),
    Column("figures", JSON, nullable=False, default=dict),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    # A batch may hold a million jobs, and the engine asks several times a second: what is next, and what is under way.
    Index("ix_jobs_in_order", "batch_id", "state", "seq"),
    Index("ix_jobs_by_state", "state", "attempt"),
)

# How many jobs of a batch are in which state: kept with every move, since counting a million rows takes a tick's time.
tallies = Table(
    "tallies",
    metadata,
    Column("batch_id", ForeignKey("batches.id"), primary_key=True),
    Column("state", String, primary_key=True),
    Column("count", Integer, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("lease_id", String, nullable=False),
    Column("machine_id", String, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("state", String),
    Column("reason", String),
    Column("message", String),
    Column("receipt", JSON),
)

# Which machines worked on which batch, so that nobody has to look through all attempts for it.
lease_batches = Table(
    "lease_batches",
    metadata,
    Column("batch_id", ForeignKey("batches.id"), primary_key=True),
    Column("lease_id", String, primary_key=True),
)

leases = Table(
    "leases",
    metadata,
    Column("id", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("message", String, nullable=False, default=""),
    Column("offer_id", String, nullable=False),
    Column("machine_id", String, nullable=False),
    Column("gpu", String, nullable=False, default=""),
    Column("dollars_per_hour", Float, nullable=False),
    Column("secret", String, nullable=False),
    Column("ref", String),
    Column("deadline", Float, nullable=False),
    Column("boot_deadline", Float, nullable=False),
    Column("restarts", Integer, nullable=False, default=0),
    Column("intended_at", Float, nullable=False),
    Column("rented_at", Float),
    Column("ready_at", Float),
    Column("heartbeat_at", Float),
    Column("gone_at", Float),
    UniqueConstraint("label"),
)

wishes = Table(
    "wishes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("batch_id", String),
    Column("wish", String, nullable=False),
    Column("done_at", Float),
)

uploads = Table(
    "uploads",
    metadata,
    # Two stores may draw the same id, and one store again after a restart: only with its address it is one upload's.
    Column("upload_id", String, primary_key=True),
    Column("uri", String, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("slot", String, nullable=False),
    Column("begun_at", Float, nullable=False),
    # When it was proven completed or aborted: until then its parts may be billed.
    Column("ended_at", Float),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("subject", String, nullable=False, index=True),
    Column("text", String, nullable=False),
)


def add_what_is_derived(db: Connection) -> None:
    """Give a ledger from before they were thought of its indices and sums; idempotent."""
    for index in jobs.indexes:
        index.create(db, checkfirst=True)
    counted = select(jobs.c.batch_id, jobs.c.state, func.count()).group_by(jobs.c.batch_id, jobs.c.state)
    worked = select(jobs.c.batch_id, attempts.c.lease_id).join(jobs, jobs.c.id == attempts.c.job_id).distinct()
    for table, rows in ((tallies, counted), (lease_batches, worked)):
        db.execute(delete(table))
        db.execute(insert(table).from_select([column.name for column in table.columns], rows))
