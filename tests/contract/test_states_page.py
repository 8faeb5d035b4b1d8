"""docs/states.md is printed from the tables. Run as a program, this file writes the page: `make docs`."""

from __future__ import annotations

from pathlib import Path

from framehaul.contract.states import (
    ATTEMPT_MOVES,
    ATTEMPT_REASONS,
    JOB_MOVES,
    LEASE_MOVES,
    RETRYABLE_ELSEWHERE,
    AttemptReason,
    diagram,
)

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def page() -> str:
    """Print the whole page."""
    chapters = [
        "# States\n\n`make docs` prints this page from the tables in `framehaul/contract/states.py`.",
        _chapter("Attempt", "What the agent does with one attempt at a job.", diagram(ATTEMPT_MOVES)),
        f"Reasons an attempt may give for its state:\n\n{_reasons()}",
        _chapter("Job", "Where a job stands in the controller's ledger.", diagram(JOB_MOVES)),
        _chapter("Lease", "What a rented machine is to the controller.", diagram(LEASE_MOVES)),
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


def _in_order(reasons: frozenset[AttemptReason]) -> list[AttemptReason]:
    return [reason for reason in AttemptReason if reason in reasons]


def test_page_is_what_the_tables_print() -> None:
    """The diagrams in the docs are those of the code."""
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""

    assert found == page(), "docs/states.md is not what the tables print; `make docs` writes it anew."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
