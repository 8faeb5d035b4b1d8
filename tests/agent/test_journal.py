"""The journal on a disk that fills up: what it says is on the disk, or it is not said at all."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.attempts.delivery import clear_leftovers
from agent.jobs.journal import COMPUTED, STARTED, Journal
from framehaul.clock import ManualClock
from tests.agent.vault import Attempt, Vault, film


@contextmanager
def _room_for(path: Path, count: int) -> Iterator[None]:
    """Let a file grow by so many bytes and no more, as a disk does that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_line_that_fits_in_part_is_not_written_at_all(tmp_path: Path) -> None:
    """The caller hears of it, memory and disk say the same, and the next line is whole."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.add(STARTED, at=1.0)
    before = path.read_bytes()

    with _room_for(path, 20), pytest.raises(OSError, match="File too large"):
        journal.add(COMPUTED, outputs={"result": 600_000})

    assert path.read_bytes() == before
    assert journal.last(COMPUTED) is None
    journal.add(COMPUTED, outputs={"result": 7})
    assert Journal(path).last(COMPUTED) == {"event": COMPUTED, "outputs": {"result": 7}}


def test_finished_result_outlives_a_failure_of_the_bookkeeping(
    tmp_path: Path, vault: Vault, clock: ManualClock
) -> None:
    """What was being delivered stays on the disk, even where the journal no longer vouches for it."""
    attempt = Attempt(tmp_path, vault, clock, film())
    attempt.job.folder.journal.unlink()
    attempt.restart()
    assert not attempt.job.computed()

    clear_leftovers(attempt.job)

    attempt.assert_kept()
