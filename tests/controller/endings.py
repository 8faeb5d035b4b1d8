"""Batches that have come to an end, as rows of a ledger."""

from __future__ import annotations

from typing import Any

from controller.desk import Desk
from controller.ledger import Batch
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import JobReason, JobState
from tests.controller.agents import entry_of
from tests.controller.desks import HOUR, a_batch, a_job_row


def receipt_of(name: str) -> dict[str, Any]:
    """Write the receipt of a finished job."""
    entries = tuple(entry_of(slot, f"{name}.{slot}", f"{slot} of {name}".encode()) for slot in ("result", "manifest"))
    return Receipt(job_id="b-1-00001", attempt=1, spec_digest="0" * 64, outputs=entries, finished_at=HOUR).model_dump(
        mode="json"
    )


def published(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Write the row of a job that is done."""
    name = f"clip{number}.mp4"
    figures = {"seconds": 4.0, "output_bytes": 30, "uris": {"result": f"file:///out/{name}.result"}, "frames": 96}
    fields: dict[str, Any] = {
        "state": JobState.PUBLISHED,
        "attempt": 1,
        "figures": figures,
        "receipt": receipt_of(name),
    }
    return a_job_row(number=number, **(fields | changes))


def failed(number: int = 2, **changes: Any) -> dict[str, Any]:
    """Write the row of a job that is given up."""
    fields: dict[str, Any] = {
        "state": JobState.EXCLUDED,
        "reason": JobReason.ATTEMPT_FAILED,
        "message": "bad-input: no codec",
    }
    return a_job_row(number=number, **(fields | changes))


def kept(desk: Desk, *rows: dict[str, Any], **changes: Any) -> Batch:
    """Put a batch with these jobs into the ledger."""
    batch = a_batch(**changes)
    desk.ledger.add_batch(batch, list(rows))
    return batch
