"""The tables of legal moves are whole, and a wrong move is an exception."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from framehaul.contract.states import (
    ATTEMPT_MOVES,
    ATTEMPT_REASONS,
    JOB_MOVES,
    LEASE_MOVES,
    RETRYABLE_ELSEWHERE,
    AttemptReason,
    AttemptState,
    JobState,
    LeaseState,
    Moves,
    check_move,
    diagram,
    is_final,
)
from framehaul.errors import IllegalMove

TABLES: Mapping[type[StrEnum], Moves[Any]] = {
    AttemptState: ATTEMPT_MOVES,
    JobState: JOB_MOVES,
    LeaseState: LEASE_MOVES,
}
FINAL = {
    AttemptState: {"delivered", "failed", "stopped"},
    JobState: {"published", "excluded"},
    LeaseState: {"gone"},
}
each_table = pytest.mark.parametrize(
    ("states", "moves"), TABLES.items(), ids=lambda value: getattr(value, "__name__", "")
)


@each_table
def test_every_state_has_a_row_and_every_target_is_a_state(states: type[StrEnum], moves: Moves[Any]) -> None:
    """A table knows all states and nothing else, and no state moves to itself."""
    assert set(moves) == set(states)
    for old, targets in moves.items():
        assert targets <= set(states)
        assert old not in targets


@each_table
def test_every_state_is_reached_and_leads_to_an_end(states: type[StrEnum], moves: Moves[Any]) -> None:
    """From the first state all others are reached, and from each of them a final one: no work is stuck for good."""
    first, *_ = states
    assert _reachable(moves, first) == set(states)
    for state in states:
        assert any(is_final(moves, end) for end in _reachable(moves, state))


def _reachable(moves: Moves[Any], start: StrEnum) -> set[StrEnum]:
    seen, todo = set[StrEnum](), [start]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += moves[state]
    return seen


@each_table
def test_final_states(states: type[StrEnum], moves: Moves[Any]) -> None:
    """No move leads out of exactly these."""
    assert {state.value for state in states if is_final(moves, state)} == FINAL[states]


@each_table
def test_each_pair_is_either_allowed_or_refused_with_the_allowed_ones(states: type[StrEnum], moves: Moves[Any]) -> None:
    """check_move lets through what the table holds; for the rest it says what would have been allowed."""
    for old, new in product(states, states):
        if new in moves[old]:
            check_move(moves, old, new)
            continue
        with pytest.raises(IllegalMove) as refusal:
            check_move(moves, old, new)
        for word in (old, new, *(moves[old] or {"nothing"})):
            assert word in str(refusal.value)


@each_table
def test_diagram_prints_every_move(states: type[StrEnum], moves: Moves[Any]) -> None:
    """The picture in the docs holds each move once, marks the ends, and holds nothing else."""
    lines = diagram(moves).splitlines()

    expected = {f"    {old} --> {new}" for old, targets in moves.items() for new in targets}
    expected |= {f"    {state} --> [*]" for state in states if is_final(moves, state)}
    assert lines[0] == "stateDiagram-v2"
    assert sorted(lines[1:]) == sorted(expected)


def test_every_reason_belongs_to_a_state() -> None:
    """No reason is without a state that may give it, and every state may give at least one."""
    assert set(ATTEMPT_REASONS) == set(AttemptState)
    assert frozenset().union(*ATTEMPT_REASONS.values()) == set(AttemptReason)
    assert all(ATTEMPT_REASONS.values())


def test_an_end_without_success_always_has_a_reason() -> None:
    """Failed and stopped never go without a word; all other states may."""
    silent = {state for state, reasons in ATTEMPT_REASONS.items() if AttemptReason.NONE in reasons}

    assert silent == set(AttemptState) - {AttemptState.FAILED, AttemptState.STOPPED}


def test_another_machine_is_tried_only_for_failures() -> None:
    """Reasons for a second machine are reasons to fail, and a bad input is none of them."""
    assert ATTEMPT_REASONS[AttemptState.FAILED] >= RETRYABLE_ELSEWHERE
    assert not RETRYABLE_ELSEWHERE & {AttemptReason.BAD_INPUT, AttemptReason.BAD_PARAMS, AttemptReason.PIPELINE_FAILED}


def test_money_moves_only_towards_gone() -> None:
    """A lease that was ever bought is gone only by way of destroying it."""
    bought = {LeaseState.BOOTING, LeaseState.READY, LeaseState.DRAINING}

    for state in bought:
        assert LeaseState.DESTROYING in LEASE_MOVES[state] | LEASE_MOVES[LeaseState.DRAINING]
        assert LeaseState.GONE not in LEASE_MOVES[state]


def test_a_job_whose_proof_failed_is_planned_again() -> None:
    """Delivered is what the agent says; only the store's word makes it verified, until its marker lies there."""
    check_move(JOB_MOVES, JobState.DELIVERED, JobState.PLANNED)
    check_move(JOB_MOVES, JobState.VERIFIED, JobState.PLANNED)
    with pytest.raises(IllegalMove):
        check_move(JOB_MOVES, JobState.PUBLISHED, JobState.PLANNED)
    with pytest.raises(IllegalMove):
        check_move(JOB_MOVES, JobState.ASSIGNED, JobState.VERIFIED)
