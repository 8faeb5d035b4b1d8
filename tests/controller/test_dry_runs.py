"""Rehearsals: every command that acts says what it would do, for people and machines, and changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from controller.ledger import Ledger
from controller.state import StateFolder
from framehaul.contract.states import LeaseState
from tests.controller.desks import HOUR, a_batch, a_job_row, a_lease
from tests.controller.endings import failed
from tests.controller.hours import Hours
from tests.controller.typist import Typist


@pytest.fixture
def busy(typist: Typist) -> Typist:
    """A laptop with inputs, a batch that waits, a batch with a failure, and a machine that was left over."""
    source = typist.home / "in" / "clip.bin"
    source.parent.mkdir()
    source.write_bytes(b"ten bytes.")
    typist.state.mkdir()
    ledger = Ledger(StateFolder(typist.state).ledger, Hours(HOUR))
    target = f"file://{typist.home}/out/"
    ledger.add_batch(a_batch(provider="local", target=target), [a_job_row()])
    over: dict[str, Any] = {"source": source.as_uri(), "name": source.name, "batch_id": "b-2", "id": "b-2-00002"}
    ledger.add_batch(a_batch("b-2", provider="local", created_at=HOUR + 1, target=target), [failed(**over)])
    ledger.close_batch("b-2")
    ledger.intend_lease(a_lease(provider="local", state=LeaseState.READY, rented_at=HOUR))
    ledger.close()
    return typist


REHEARSED = [
    (["run", "in", "--pipeline", "copy", "--to", "out"], "clip_result_"),
    (["plan", "in", "--pipeline", "copy"], "the default, framehaul-out."),
    (["resume"], "clip1.mp4 (planned) of b-1 would be gone on with."),
    (["resume", "b-1"], "1 machine would be ended when the work allows it."),
    (["stop"], "would be finished or kept."),
    (["stop", "--now"], "would be dropped."),
    (["retry", "b-2", "--failed"], "1 job of b-2 would be retried."),
    (["retry"], "clip_result_"),
    (["demo"], "clip_upscaled_"),
]


@pytest.mark.parametrize(
    ("words", "sentence"), REHEARSED, ids=lambda value: " ".join(value) if type(value) is list else ""
)
def test_a_rehearsal_changes_nothing(busy: Typist, words: list[str], sentence: str) -> None:
    """Neither ledger nor store nor machines: every row and every file is what it was."""
    before = busy.world()

    shown = busy.types(*words, "--dry-run")
    told = busy.types(*words, "--dry-run", "--json")

    assert (shown.code, told.code) == (0, 0), shown.err + told.err
    assert sentence in shown.out
    assert "Nothing was changed: this was a dry run." in shown.out
    assert isinstance(told.document, dict)
    assert busy.world() == before


def test_a_try_is_rehearsed_too(busy: Typist) -> None:
    """The plan of the part, and the command for the whole."""
    sample = Path(__file__).parents[2] / "samples" / "clip.mp4"
    before = busy.world()

    told = busy.types("try", str(sample), "--to", "out", "--start", "0:01", "--seconds", "2", "--dry-run", "--json")

    assert told.code == 0, told.err
    assert told.document["command"] == f"framehaul run {sample} --to out --state {busy.state}"
    assert (told.document["try"]["params"]["start"], told.document["try"]["params"]["end"]) == (1.0, 3.0)
    assert told.document["whole"] is None
    assert busy.world() == before


def test_looking_changes_nothing(busy: Typist) -> None:
    """ps, status, ls, pipelines: with a failure in the ledger and a machine that nobody looks after."""
    before = busy.world()

    for words in (["ps", "--all"], ["status"], ["ls", "in/clip.bin", "--no-probe"], ["pipelines"]):
        assert busy.types(*words).code == 0
        assert busy.types(*words, "--json").document

    assert busy.world() == before


@pytest.mark.parametrize(
    "words", [["ps"], ["status"], ["ls", "in/clip.bin", "--no-probe"], ["pipelines"], ["logs", "clip1.mp4"]]
)
def test_a_look_may_be_called_a_rehearsal(busy: Typist, words: list[str]) -> None:
    """--dry-run changes nothing about what changes nothing."""
    plainly, rehearsed = busy.types(*words), busy.types(*words, "--dry-run")

    assert rehearsed.code == 0
    assert _timeless(rehearsed.out) == _timeless(plainly.out)


def _timeless(text: str) -> str:
    """Take out the figures: between two looks a second may pass."""
    return re.sub(r"\d+", "0", text)


def test_a_rehearsed_retry_counts_what_it_would_do(busy: Typist) -> None:
    """Not what failed: of an input that is gone, nothing is retried, and nobody says so."""
    (busy.home / "in" / "clip.bin").unlink()

    printed = busy.types("retry", "b-2", "--dry-run")

    assert printed.code == 1
    assert "it is no longer there" in printed.out
    assert "would be retried" not in printed.out


def test_a_try_may_begin_at_the_very_beginning(busy: Typist) -> None:
    """--start 0, which the pipeline spells as none."""
    sample = Path(__file__).parents[2] / "samples" / "clip.mp4"

    told = busy.types("try", str(sample), "--start", "0", "--seconds", "1", "--dry-run", "--json")

    assert told.code == 0, told.err
    assert told.document["try"]["params"]["end"] == 1.0


def test_an_unknown_batch_is_answered_with_the_nearest(busy: Typist) -> None:
    """For every command that takes one; nothing is done."""
    before = busy.world()

    retry, resume = busy.types("retry", "b-22"), busy.types("resume", "c-1")

    assert (retry.code, resume.code) == (2, 2)
    assert "No batch is called 'b-22'. Nearest: b-2" in retry.err
    assert "No open batch is called 'c-1'. Open: b-1." in resume.err
    assert busy.world() == before
