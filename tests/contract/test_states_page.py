"""docs/states.md is printed from the tables. Run as a program, this file writes the page: `make docs`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from framehaul.contract.states import (
    ATTEMPT_MOVES,
    ATTEMPT_REASONS,
    JOB_MOVES,
    LEASE_MOVES,
    RETRYABLE_ELSEWHERE,
    AttemptReason,
    JobReason,
    LeaseReason,
    diagram,
)

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

_A, _J, _L = AttemptReason, JobReason, LeaseReason

# What each reason says to whoever meets it in a log, in `framehaul ps` or in results.json.
MEANINGS: tuple[Mapping[StrEnum, str], ...] = (
    {
        _A.NONE: "Nothing in particular.",
        _A.AGENT_RESTARTED: "The agent was started again in the middle; it takes the attempt up anew.",
        _A.WAITING_FOR_GRANTS: "The order is there, the leave to read and write is not.",
        _A.WAITING_FOR_INPUT: "The input is to be sent from the laptop, and has not come whole.",
        _A.WAITING_FOR_PICKUP: "The result is whole; the laptop has not fetched it yet.",
        _A.WAITING_FOR_ROOM: "The disk has no room for the input until another job's files are delivered.",
        _A.STORE_UNAVAILABLE: "The store does not answer, or asks for patience; it is tried again and again.",
        _A.GRANTS_EXPIRED: "A store no longer takes the addresses; newer ones are awaited.",
        _A.INPUT_MISMATCH: "The input is gone, was replaced, or is not the one that was planned.",
        _A.FETCH_FAILED: "The input could not be fetched, however often it was tried.",
        _A.DELIVERY_FAILED: "The result was made and could not be handed over.",
        _A.BAD_PARAMS: "The pipeline refuses its parameters.",
        _A.BAD_INPUT: "The file is broken, too big, or of a kind that the pipeline does not take.",
        _A.PIPELINE_FAILED: "The pipeline raised an error that nobody foresaw, or did not make its output.",
        _A.WORKER_DIED: "The process that computes was killed or crashed; often the machine ran out of memory.",
        _A.DISK_FULL: "The machine's disk is full.",
        _A.STALLED: "The worker told nothing new for longer than the order allows, and was ended.",
        _A.OVERTIME: "The worker took longer than the order allows, and was ended.",
        _A.ASKED_TO_STOP: "A person asked for it.",
        _A.LEASE_ENDED: "The lease reached its deadline, or its controller has been silent for too long.",
    },
    {
        _J.NONE: "Nothing in particular.",
        _J.LEASE_LOST: "The machine that had the job is gone; the job waits for another one.",
        _J.ATTEMPT_FAILED: "An attempt at it failed; the attempt's own reason stands in the message.",
        _J.PROOF_FAILED: "What lies in the store is not what the receipt promises.",
        _J.REFUSED: "The source, the agent or the output folder refuses for good.",
        _J.ASKED_TO_STOP: "A person asked for it; `framehaul resume` goes on.",
    },
    {
        _L.NONE: "Nothing in particular.",
        _L.NEVER_BOUGHT: "The purchase did not take place.",
        _L.BOOT_DEADLINE: "Its agent did not answer in time.",
        _L.GATE_FAILED: "It came up and is no machine to work on.",
        _L.LOST: "It vanished, exited for good, or has been silent for too long.",
        _L.WORK_DONE: "No job is left for it.",
        _L.DEADLINE: "It has reached the hour after which it may not live, come what may.",
        _L.ASKED_TO_STOP: "A person asked for it.",
    },
)
ATTEMPT_MEANINGS, JOB_MEANINGS, LEASE_MEANINGS = MEANINGS


def page() -> str:
    """Print the whole page."""
    chapters = [
        "# States\n\n`make docs` prints this page from the tables in `framehaul/contract/states.py`.",
        "State says what is, reason says why. Where a state stands for a job on its way: [job.md](job.md).",
        _chapter("Attempt", "What the agent does with one attempt at a job.", diagram(ATTEMPT_MOVES)),
        f"Reasons an attempt may give for its state:\n\n{_reasons()}",
        _meanings(ATTEMPT_MEANINGS),
        _chapter("Job", "Where a job stands in the controller's ledger.", diagram(JOB_MOVES)),
        _meanings(JOB_MEANINGS),
        _chapter("Lease", "What a rented machine is to the controller.", diagram(LEASE_MOVES)),
        _meanings(LEASE_MEANINGS),
    ]
    return "\n\n".join(chapters) + "\n"


def _chapter(title: str, sentence: str, picture: str) -> str:
    return f"## {title}\n\n{sentence}\n\n```mermaid\n{picture}\n```"


def _reasons() -> str:
    rows = ["| state | reasons |", "|-|-|"]
    for state, reasons in ATTEMPT_REASONS.items():
        words = ", ".join(f"{reason} †" if reason in RETRYABLE_ELSEWHERE else reason for reason in _in_order(reasons))
        rows.append(f"| {state} | {words} |")
    return "\n".join(rows) + "\n\n† may succeed on another machine; the other failures would fail anywhere."


def _meanings(meanings: Mapping[StrEnum, str]) -> str:
    rows = [f"| {reason} | {sentence} |" for reason, sentence in meanings.items() if reason != "none"]
    return "\n".join(["| reason | meaning |", "|-|-|", *rows])


def _in_order(reasons: frozenset[AttemptReason]) -> list[AttemptReason]:
    return [reason for reason in AttemptReason if reason in reasons]


def test_page_is_what_the_tables_print() -> None:
    """The diagrams in the docs are those of the code."""
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""

    assert found == page(), "docs/states.md is not what the tables print; `make docs` writes it anew."


@pytest.mark.parametrize("reasons", [AttemptReason, JobReason, LeaseReason])
def test_every_reason_has_a_sentence(reasons: type[StrEnum]) -> None:
    """In the order of the code; a reason that is added must be explained."""
    (meanings,) = (found for found in MEANINGS if isinstance(next(iter(found)), reasons))

    assert list(meanings) == list(reasons)
    assert all(sentence.endswith(".") and "|" not in sentence for sentence in meanings.values())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
