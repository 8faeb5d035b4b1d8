"""The ledger's file: opened once, judged by its shape, written in transactions; its errors leave as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, insert, inspect
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DatabaseError

from controller.errors import LedgerError
from controller.ledger import schema
from framehaul.clock import Clock

# A plan of half a million jobs is written in one transaction: an engine that wants to write meanwhile waits, and its
# machines wait for ten minutes before they take a laptop for silent.
_BUSY_TIMEOUT_MS = 120_000


class LedgerFile:
    """A database with the ledger's tables; what reads and writes rows builds on it."""

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
        self._refuse_another_shape()
        if self._lacks_tables():  # a fresh file, or one from before a table was thought of: its rows stay as they are
            with self._writing() as db:  # in turn: two first commands at once would both make the tables
                schema.metadata.create_all(db)
                schema.add_what_is_derived(db)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """The database itself, for tests that count or break its commits."""
        return self._engine

    def _lacks_tables(self) -> bool:
        with self._translated():
            return not set(schema.metadata.tables) <= set(inspect(self._engine).get_table_names())

    def _refuse_another_shape(self) -> None:
        """Say which version's ledger this is not, now, and not in the middle of work that costs money."""
        with self._translated():
            found = inspect(self._engine)
            there = set(found.get_table_names())
            lacking = [
                f"{table.name}.{column.name}"
                for table in schema.metadata.sorted_tables
                for column in table.columns
                if table.name in there and column.name not in {each["name"] for each in found.get_columns(table.name)}
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


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are opened by hand, with BEGIN IMMEDIATE
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
