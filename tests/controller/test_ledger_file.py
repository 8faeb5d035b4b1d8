"""The ledger's file: several processes see one, and only its owner can read it."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from controller.errors import LedgerError
from controller.ledger import Ledger
from controller.ledger.rows import WishWord
from framehaul.contract.states import (
    JobReason,
    JobState,
)
from framehaul.errors import IllegalMove
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours


@pytest.fixture
def another(ledger: Ledger, tmp_path: Path, clock: Hours) -> Iterator[Ledger]:
    """The same file, as another process sees it."""
    opened = Ledger(tmp_path / "state" / "ledger.sqlite", clock)
    yield opened
    opened.close()


def test_two_processes_see_one_ledger(ledger: Ledger, another: Ledger) -> None:
    """What one writes, the other reads at once: batches, moves, wishes, and the id that stands in every label."""
    ledger.add_batch(a_batch(), [a_job_row()])
    another.wish(WishWord.NOW, "b-1")

    assert [wish.wish for wish in ledger.take_wishes()] == [WishWord.NOW]
    ledger.move_job("b-1-00001", JobState.EXCLUDED, JobReason.REFUSED)

    found = another.batch("b-1")
    assert found is not None
    assert found.wish is WishWord.NOW
    assert another.job("b-1-00001").state is JobState.EXCLUDED
    assert another.take_wishes() == []
    assert another.controller_id() == ledger.controller_id()


def test_several_first_commands_at_once_set_up_one_ledger(tmp_path: Path, clock: Hours) -> None:
    """Whoever comes first makes the tables and draws the id; the others wait for it, and nobody fails."""
    together = threading.Barrier(4)

    def open_and_ask(_: int) -> str:
        together.wait()
        opened = Ledger(tmp_path / "fresh.sqlite", clock)
        try:
            return opened.controller_id()
        finally:
            opened.close()

    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(open_and_ask, range(4)))

    assert len(set(ids)) == 1


def test_of_two_processes_that_move_one_job_one_is_refused(ledger: Ledger, another: Ledger) -> None:
    """The check reads what the other one wrote, not what was there before."""
    ledger.add_batch(a_batch(), [a_job_row()])
    ledger.begin_attempt(ledger.job("b-1-00001"), a_lease(), SPEC)
    ledger.move_job("b-1-00001", JobState.DELIVERED)

    with pytest.raises(IllegalMove, match="delivered may not become published"):
        another.move_job("b-1-00001", JobState.PUBLISHED)


def test_a_check_and_its_write_are_one_step(ledger: Ledger) -> None:
    """The write lock is taken before the row is read: nobody can write between a check and what it guards."""
    ledger.add_batch(a_batch(), [a_job_row()])
    statements = _statements(ledger.engine)

    ledger.move_job("b-1-00001", JobState.EXCLUDED)

    begins = [number for number, text in enumerate(statements) if text == "BEGIN IMMEDIATE"]
    reads = [number for number, text in enumerate(statements) if text.startswith("SELECT jobs.state")]
    assert begins == [0]
    assert reads == [1]


def test_what_was_written_survives_the_process(tmp_path: Path, ledger: Ledger, clock: Hours) -> None:
    """A lease comes back from the file with everything that is needed to find, reach and end its machine."""
    lease = a_lease(ref="i-1", rented_at=HOUR + 1)
    ledger.intend_lease(lease)
    ledger.close()

    again = Ledger(tmp_path / "state" / "ledger.sqlite", clock)

    assert again.leases(alive=True) == [lease]
    again.close()


def test_only_the_owner_reads_the_file(tmp_path: Path, clock: Hours) -> None:
    """Lease secrets lie in it: 0600 under any umask, and so are the files that SQLite puts beside it."""
    before = os.umask(0)
    try:
        opened = Ledger(tmp_path / "deep" / "ledger.sqlite", clock)
        opened.intend_lease(a_lease())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").iterdir()}
        opened.close()
    finally:
        os.umask(before)

    assert modes["ledger.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}


def test_secrets_print_as_stars(ledger: Ledger) -> None:
    """Neither a lease, nor its secret, nor the story shows the key of a machine."""
    lease = a_lease()
    ledger.intend_lease(lease)

    (read,) = ledger.leases()

    shown = f"{read!r} {read} {read.secret!r} {read.secret} {vars(read)} {ledger.events()}"
    assert read.secret == lease.secret
    assert "***" in shown
    assert lease.secret.hex() not in shown
    assert repr(lease.secret.raw) not in shown


def _statements(engine: Engine) -> list[str]:
    """Collect what is sent to the database from now on."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return sent


def test_a_ledger_of_another_version_is_named_before_anything_is_done(tmp_path: Path, clock: Hours) -> None:
    """A column that is not there is told by its name, with what to do; the file is left as it is."""
    path = tmp_path / "ledger.sqlite"
    Ledger(path, clock).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE attempts DROP COLUMN receipt")
        db.commit()
    before = path.read_bytes()

    with pytest.raises(LedgerError, match=r"another version of Framehaul: it lacks attempts\.receipt") as caught:
        Ledger(path, clock)

    assert "--state DIR" in caught.value.advice
    assert path.read_bytes() == before
