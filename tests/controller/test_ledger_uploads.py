"""The table of uploads: each on paper until it is proven ended; and ledgers from before there was such a table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.ledger import Ledger, OpenUpload
from tests.controller.desks import HOUR, a_batch, a_job_row
from tests.controller.hours import Hours

ONE = OpenUpload("u1", "b-1-00001", 1, "result", "b2://clips/out/a.mp4", HOUR)


@pytest.fixture
def with_jobs(ledger: Ledger) -> Ledger:
    """A ledger with two jobs."""
    ledger.add_batch(a_batch(), [a_job_row(number=1), a_job_row(number=2)])
    return ledger


def test_an_upload_is_open_until_its_end_is_written(with_jobs: Ledger, clock: Hours) -> None:
    """The first end stands; the row stays, so that later attempts know what was ours."""
    with_jobs.note_upload(ONE)
    assert with_jobs.open_uploads() == [ONE]
    clock.advance(5.0)

    with_jobs.end_upload(ONE)
    clock.advance(5.0)
    with_jobs.end_upload(ONE)

    assert with_jobs.open_uploads() == []
    assert with_jobs.uploads(ONE.job_id) == [replace(ONE, ended_at=HOUR + 5)]


def test_uploads_are_listed_by_their_job(with_jobs: Ledger) -> None:
    """Or all of them, oldest first."""
    other = replace(ONE, upload_id="u0", job_id="b-1-00002", uri="b2://clips/out/b.mp4", begun_at=HOUR + 1)
    with_jobs.note_upload(other)
    with_jobs.note_upload(ONE)

    assert with_jobs.open_uploads() == [ONE, other]
    assert with_jobs.open_uploads("b-1-00002") == [other]


def test_an_id_is_one_upload_s_only_together_with_its_address(with_jobs: Ledger) -> None:
    """Stores draw ids of their own; one that was restarted may draw the same again for the same object."""
    elsewhere = replace(ONE, uri="b2://clips/out/b.mp4", slot="manifest")
    with_jobs.note_upload(ONE)
    with_jobs.note_upload(elsewhere)
    with_jobs.end_upload(ONE)
    again = replace(ONE, attempt=2, begun_at=HOUR + 9)

    with_jobs.note_upload(again)

    assert with_jobs.open_uploads() == [elsewhere, again]


def test_a_ledger_from_before_there_were_uploads_is_taken_over(tmp_path: Path, clock: Hours) -> None:
    """The table is added, and what the file holds stays."""
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path, clock)) as fresh:
        fresh.add_batch(a_batch(), [a_job_row()])
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE uploads")
        db.commit()

    with closing(Ledger(path, clock)) as opened:
        opened.note_upload(ONE)
        assert opened.open_uploads() == [ONE]
        assert [job.id for job in opened.jobs()] == ["b-1-00001"]
