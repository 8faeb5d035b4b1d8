"""Look in the store for what a machine that is gone has left, before any of it is made again.

An agent that delivers to the store leaves its receipt there last: whoever comes later finds the result by it, though
the machine ended itself, the laptop was away, or the controller died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import ValidationError

from controller.closing import Closing, judge_receipt
from controller.delivery import receipt_place, revoke
from controller.desk import Desk
from controller.errors import ProofFailed
from controller.ledger import Batch, Job
from controller.ledger.rows import WishWord
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import JobReason, JobState
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError, NoSuchBucket, NotFound
from framehaul.storage.base import takes_uploads

# A receipt has 67 bytes per 8 MiB: this is one of 8 TB. What is longer, a stranger wrote to fill a laptop's memory.
_LONGEST_RECEIPT_BYTES = 64 << 20
_ASKED_AGAIN = "Whether its machine left a result there is asked again."
_UNKNOWN = "Whether its machine left a result could not be asked"


class Recovery:
    """One job whose machine is gone. `carry` returns when the job is published, planned again or given up."""

    def __init__(self, desk: Desk, job_id: str, wish: Callable[[], WishWord]) -> None:
        self._desk = desk
        self._closing = Closing(desk, job_id, wish)

    async def carry(self) -> None:
        """Bring the job as far as the store's word goes; what fails is written into the ledger, not raised."""
        closing = self._closing
        try:
            if closing.job.state is JobState.ASSIGNED:
                # Never made again on doubt: a store that does not answer now is asked until it does.
                await closing.holding(self._look, meanwhile=_ASKED_AGAIN, otherwise=_UNKNOWN)
            if closing.job.state in {JobState.DELIVERED, JobState.VERIFIED}:
                await closing.publish()
        except FramehaulError as exc:
            await closing.give_up(exc, before=_nothing_to_free)

    async def _look(self) -> None:
        desk, job, batch = self._desk, self._closing.job, self._closing.batch
        receipt = await asyncio.to_thread(find_receipt, desk, batch, job)
        if receipt is None:
            await asyncio.to_thread(revoke, desk, job.id)
            # Whoever completed the receipt in the very moment in which it was to be revoked has delivered.
            receipt = await asyncio.to_thread(find_receipt, desk, batch, job)
        if receipt is None:
            desk.ledger.end_attempt(job, None, None, "The machine was lost.")
            await self._closing.plan_again(JobReason.LEASE_LOST, "")
            return
        desk.ledger.note_receipt(job, receipt)
        self._closing.accept(receipt, "The machine is gone; its receipt lay in the store.")
        desk.observer.say(f"{job.name}: its machine is gone, and its result is in the store.")


def find_receipt(desk: Desk, batch: Batch, job: Job) -> Receipt | None:
    """Read the receipt that the present attempt left in the store; None where there is none, or none of this order.

    Blocks. StoreError where the store cannot be asked now.
    """
    root, place = parse_uri(batch.target), receipt_place(batch, job)
    store = desk.stores.open(root)
    if not takes_uploads(store):
        return None  # nobody but this laptop puts anything there
    try:
        size = store.stat(place).size or 0
        if size > _LONGEST_RECEIPT_BYTES:
            raise ProofFailed(f"{size} bytes are no receipt.")
        receipt = Receipt.model_validate_json(b"".join(store.get(place)))
        judge_receipt(receipt, job)
    except NoSuchBucket:
        raise  # another account or endpoint than before, more likely: that says nothing of what was delivered
    except NotFound:
        return None
    except (ValidationError, ProofFailed) as exc:
        why = exc.message if isinstance(exc, ProofFailed) else "It cannot be understood."
        desk.ledger.tell(job.id, f"what lies at {place} is not this attempt's receipt: {why}")
        return None
    return receipt


async def _nothing_to_free() -> None:
    """Leave the machine alone: there is none."""
