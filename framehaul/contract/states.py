"""Two machines and the lease between them: what is (state), why (reason), and which moves are legal.

The tables are data: a wrong move is an exception, and the diagrams in the docs are printed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from framehaul.errors import IllegalMove

S = TypeVar("S", bound=StrEnum)


class AttemptState(StrEnum):
    """What an attempt at a job is doing, at the agent."""

    QUEUED = "queued"
    FETCHING = "fetching"
    RUNNING = "running"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    FAILED = "failed"
    STOPPED = "stopped"


class AttemptReason(StrEnum):
    """Why an attempt is in its state."""

    NONE = "none"
    AGENT_RESTARTED = "agent-restarted"
    WAITING_FOR_GRANTS = "waiting-for-grants"
    WAITING_FOR_INPUT = "waiting-for-input"
    WAITING_FOR_PICKUP = "waiting-for-pickup"
    WAITING_FOR_ROOM = "waiting-for-room"
    STORE_UNAVAILABLE = "store-unavailable"
    GRANTS_EXPIRED = "grants-expired"
    INPUT_MISMATCH = "input-mismatch"
    FETCH_FAILED = "fetch-failed"
    DELIVERY_FAILED = "delivery-failed"
    BAD_PARAMS = "bad-params"
    BAD_INPUT = "bad-input"
    PIPELINE_FAILED = "pipeline-failed"
    WORKER_DIED = "worker-died"
    DISK_FULL = "disk-full"
    STALLED = "stalled"
    OVERTIME = "overtime"
    ASKED_TO_STOP = "asked-to-stop"
    LEASE_ENDED = "lease-ended"


class JobState(StrEnum):
    """Where a job stands in the ledger."""

    PLANNED = "planned"
    ASSIGNED = "assigned"
    DELIVERED = "delivered"
    VERIFIED = "verified"
    PUBLISHED = "published"
    EXCLUDED = "excluded"


class JobReason(StrEnum):
    """Why a job is in its state; the reasons of attempts are kept in the attempt's own row."""

    NONE = "none"
    LEASE_LOST = "lease-lost"
    ATTEMPT_FAILED = "attempt-failed"
    PROOF_FAILED = "proof-failed"
    REFUSED = "refused"
    ASKED_TO_STOP = "asked-to-stop"


class LeaseState(StrEnum):
    """What a rented machine is to us."""

    INTENDED = "intended"
    RENTING = "renting"
    BOOTING = "booting"
    READY = "ready"
    DRAINING = "draining"
    DESTROYING = "destroying"
    GONE = "gone"


class LeaseReason(StrEnum):
    """Why a lease is in its state."""

    NONE = "none"
    NEVER_BOUGHT = "never-bought"
    BOOT_DEADLINE = "boot-deadline"
    GATE_FAILED = "gate-failed"
    LOST = "lost"
    WORK_DONE = "work-done"
    DEADLINE = "deadline"
    ASKED_TO_STOP = "asked-to-stop"


Moves = Mapping[S, frozenset[S]]

_A, _J, _L = AttemptState, JobState, LeaseState

ATTEMPT_MOVES: Moves[AttemptState] = {
    _A.QUEUED: frozenset({_A.FETCHING, _A.FAILED, _A.STOPPED}),
    # Back to queued: an agent that was restarted takes up what it had; a worker's crash is `failed` instead.
    _A.FETCHING: frozenset({_A.RUNNING, _A.QUEUED, _A.FAILED, _A.STOPPED}),
    _A.RUNNING: frozenset({_A.DELIVERING, _A.QUEUED, _A.FAILED, _A.STOPPED}),
    _A.DELIVERING: frozenset({_A.DELIVERED, _A.FAILED, _A.STOPPED}),
    _A.DELIVERED: frozenset(),
    _A.FAILED: frozenset(),
    _A.STOPPED: frozenset(),
}

JOB_MOVES: Moves[JobState] = {
    _J.PLANNED: frozenset({_J.ASSIGNED, _J.EXCLUDED}),
    # Back to planned only when the old lease is proven gone or its uploads are aborted: never on silence alone.
    _J.ASSIGNED: frozenset({_J.DELIVERED, _J.PLANNED, _J.EXCLUDED}),
    _J.DELIVERED: frozenset({_J.VERIFIED, _J.PLANNED, _J.EXCLUDED}),
    # Back to planned: what was proven is no longer there before the marker could be written.
    _J.VERIFIED: frozenset({_J.PUBLISHED, _J.PLANNED}),
    _J.PUBLISHED: frozenset(),
    _J.EXCLUDED: frozenset(),
}

LEASE_MOVES: Moves[LeaseState] = {
    _L.INTENDED: frozenset({_L.RENTING, _L.GONE}),
    _L.RENTING: frozenset({_L.BOOTING, _L.DESTROYING, _L.GONE}),
    _L.BOOTING: frozenset({_L.READY, _L.DESTROYING}),
    _L.READY: frozenset({_L.DRAINING, _L.DESTROYING, _L.BOOTING}),
    # Back to booting: an agent that exited with results on its disk is started again.
    _L.DRAINING: frozenset({_L.DESTROYING, _L.BOOTING}),
    _L.DESTROYING: frozenset({_L.GONE}),
    _L.GONE: frozenset(),
}

_R = AttemptReason
_RUNNABLE_FAILURES = frozenset(
    {
        _R.BAD_PARAMS,
        _R.BAD_INPUT,
        _R.PIPELINE_FAILED,
        _R.WORKER_DIED,
        _R.DISK_FULL,
        _R.INPUT_MISMATCH,
        _R.STALLED,
        _R.OVERTIME,
    }
)

# Which reasons a state may give: the table between the two enums.
ATTEMPT_REASONS: Mapping[AttemptState, frozenset[AttemptReason]] = {
    _A.QUEUED: frozenset({_R.NONE, _R.AGENT_RESTARTED}),
    _A.FETCHING: frozenset(
        {
            _R.NONE,
            _R.WAITING_FOR_GRANTS,
            _R.WAITING_FOR_INPUT,
            _R.WAITING_FOR_ROOM,
            _R.GRANTS_EXPIRED,
            _R.STORE_UNAVAILABLE,
        }
    ),
    _A.RUNNING: frozenset({_R.NONE}),
    _A.DELIVERING: frozenset(
        {_R.NONE, _R.WAITING_FOR_GRANTS, _R.WAITING_FOR_PICKUP, _R.GRANTS_EXPIRED, _R.STORE_UNAVAILABLE}
    ),
    _A.DELIVERED: frozenset({_R.NONE}),
    _A.FAILED: _RUNNABLE_FAILURES | {_R.FETCH_FAILED, _R.DELIVERY_FAILED},
    _A.STOPPED: frozenset({_R.ASKED_TO_STOP, _R.LEASE_ENDED}),
}

# An attempt that failed so may well succeed on another machine; the rest would fail anywhere.
RETRYABLE_ELSEWHERE = frozenset(
    {_R.WORKER_DIED, _R.DISK_FULL, _R.FETCH_FAILED, _R.DELIVERY_FAILED, _R.STALLED, _R.OVERTIME}
)


def is_final(moves: Moves[S], state: S) -> bool:
    """Say whether no move leads out of this state."""
    return not moves[state]


def check_move(moves: Moves[S], old: S, new: S) -> None:
    """Refuse a move that the table does not hold."""
    if new not in moves[old]:
        allowed = ", ".join(sorted(moves[old])) or "nothing: it is final"
        raise IllegalMove(f"{type(old).__name__}: {old} may not become {new} (allowed: {allowed}).")


def diagram(moves: Moves[S]) -> str:
    """Print a table of moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for old, targets in moves.items():
        lines += [f"    {old} --> {new}" for new in sorted(targets)] or [f"    {old} --> [*]"]
    return "\n".join(lines)
