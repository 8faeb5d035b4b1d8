"""How the results of one attempt reach the target: in parts, by the agent itself, or through this laptop.

An upload is in the ledger before anybody may write to it, and stays open there until it is proven completed or
aborted: unfinished uploads are billed. All of it blocks; the controller calls it in threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.desk import Desk
from controller.ledger import Batch, Job, OpenUpload
from controller.orders import grants_for, sources_of
from framehaul.contract.grants import GrantSet, HttpGet, MultipartPut
from framehaul.contract.naming import receipt_name
from framehaul.contract.receipt import Receipt
from framehaul.contract.spec import RECEIPT_SLOT
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import AlreadyExists, NotFound, StoreError
from framehaul.storage.base import Store, Upload, UploadStore, takes_uploads

GRANT_LIFE_S = 24 * 3600.0
# A machine may still be delivering when its lease runs out; past this it cannot be.
_AFTER_DEADLINE_S = 3600.0
# 16 MiB that grow by 5 % reach 258 GiB in 150 parts; a manifest and a receipt fit into the first.
_OUTPUT_PARTS = 150
_SMALL_PARTS = 4
_MOVE_IT = "Move it away, then: framehaul retry."


def target_of(desk: Desk, batch: Batch, job: Job) -> tuple[Store, Uri]:
    """Open the store that a job's results go to; gives the folder in it, too."""
    root = parse_uri(batch.target)
    return desk.stores.open(root), root.join(job.folder) if job.folder else root


def receipt_place(batch: Batch, job: Job) -> Uri:
    """Say where the agent of the present attempt leaves its receipt."""
    return parse_uri(batch.target).join(receipt_name(job.id, job.attempt))


@dataclass(frozen=True)
class Granted:
    """Grants as they were written, whether any of them runs out, and when they are best written anew."""

    grants: GrantSet
    runs_out: bool
    renew_at: float


class Delivery:
    """What one attempt at a job may read and write."""

    def __init__(self, desk: Desk, batch: Batch, job: Job) -> None:
        self._desk = desk
        self._batch = batch
        self._job = job
        store, self._folder = target_of(desk, batch, job)
        self._store: UploadStore | None = store if takes_uploads(store) else None

    @property
    def by_agent(self) -> bool:
        """Say whether the agent puts the results into the store, with nobody's help."""
        return self._store is not None

    def check_places(self) -> None:
        """Refuse before anything is computed where something else lies; AlreadyExists says what and where.

        What lies where this job was granted an upload before is ours: it was looked at then.
        """
        if self._store is None:
            return  # what comes home through the laptop is put without replacing anything
        ours = {upload.uri for upload in self._desk.ledger.uploads(self._job.id)}
        for slot, place in self._places().items():
            if slot != RECEIPT_SLOT and str(place) not in ours and _size_of(self._store, place) is not None:
                raise AlreadyExists(f"Something else lies at {place}, and is not replaced.", advice=_MOVE_IT)

    def grants(self, generation: int, receipt: Receipt | None) -> Granted:
        """Write what the agent may touch, until a day from now or until its machine is gone.

        `receipt` is what the agent promises, once it does: by it an upload that is no longer open is known as done.
        """
        job = self._job
        assert job.spec is not None
        now, last = self._desk.clock.now(), self._last_hour()
        expires_at = max(now + _AFTER_DEADLINE_S, min(now + GRANT_LIFE_S, last))
        # The inputs first: where their store refuses, no upload is begun.
        written = grants_for(job.spec, sources_of(job, self._batch), self._desk.stores, expires_at, generation)
        if self._store is not None:
            written = written.model_copy(update={"outputs": self._puts(self._store, expires_at, receipt)})
        runs_out = _runs_out(written)
        ever = runs_out and expires_at < last  # else a later one would not last longer
        return Granted(written, runs_out, now + (expires_at - now) / 2 if ever else math.inf)

    def _last_hour(self) -> float:
        """Say when nobody can use a grant any more: the machine is gone by then."""
        assert self._job.lease_id is not None
        return self._desk.ledger.lease(self._job.lease_id).deadline + _AFTER_DEADLINE_S

    def _places(self) -> dict[str, Uri]:
        assert self._job.spec is not None
        names = self._job.spec.output_names()
        outputs = {slot: self._folder.join(name) for slot, name in names.items()}
        return outputs | {RECEIPT_SLOT: receipt_place(self._batch, self._job)}

    def _puts(self, store: UploadStore, expires_at: float, receipt: Receipt | None) -> dict[str, MultipartPut]:
        large = {output.slot for output in self._job.outputs}
        return {
            slot: store.sign_upload(
                self._upload(store, slot, place, receipt),
                parts=_OUTPUT_PARTS if slot in large else _SMALL_PARTS,
                expires_at=expires_at,
            )
            for slot, place in self._places().items()
        }

    def _upload(self, store: UploadStore, slot: str, place: Uri, receipt: Receipt | None) -> Upload:
        """Give the upload of this attempt: the one that is open, or was completed, or a new one."""
        ledger, job = self._desk.ledger, self._job
        for row in ledger.open_uploads(job.id):
            if (row.attempt, row.slot, row.uri) != (job.attempt, slot, str(place)):
                continue
            known = Upload(place, row.upload_id, row.begun_at)
            if store.is_open(known) or _completed(store, slot, place, receipt):
                return known
            ledger.end_upload(row)  # the store ended it: it was swept, or the store lost its memory
        begun = OpenUpload(
            store.begin_upload(place), job.id, job.attempt, slot, str(place), begun_at=self._desk.clock.now()
        )
        ledger.note_upload(begun)
        return Upload(place, begun.upload_id, begun.begun_at)


def revoke(desk: Desk, job_id: str) -> None:
    """Abort every upload that a job's attempts may still write to: their grants are worth nothing any more.

    Also before a result is proven: what its machine says to have completed it may have left open, to write over it
    later. Aborting what was completed does nothing. StoreError where one could not be; its id is in `unpaid`, and it
    stays in the ledger.
    """
    kept: list[str] = []
    why = ""
    for row in desk.ledger.open_uploads(job_id):
        try:
            abort(desk, row)
        except StoreError as exc:
            kept.append(f"{row.uri} upload {row.upload_id}")
            why = why or exc.message
    if kept:
        raise StoreError(
            f"Unfinished uploads could not be aborted, and may be billed: {', '.join(kept)}. {why}",
            advice="Later: framehaul sweep.",
            unpaid=tuple(kept),
        )


def abort(desk: Desk, row: OpenUpload) -> None:
    """Abort one upload of the ledger, and write that down; idempotent. StoreError where the store does not."""
    uri = parse_uri(row.uri)
    store = desk.stores.open(uri)
    if takes_uploads(store):
        store.abort_upload(Upload(uri, row.upload_id, row.begun_at))
    desk.ledger.end_upload(row)


def _runs_out(granted: GrantSet) -> bool:
    every = (*granted.inputs.values(), *granted.outputs.values())
    return any(isinstance(grant, HttpGet | MultipartPut) and grant.expires_at is not None for grant in every)


def _completed(store: Store, slot: str, place: Uri, receipt: Receipt | None) -> bool:
    """Say whether what lies there is what the agent made; an older thing of the same name is not."""
    size = _size_of(store, place)
    if slot == RECEIPT_SLOT:
        return size is not None  # its name holds the attempt
    promised = [entry.size for entry in receipt.outputs if entry.slot == slot] if receipt else []
    return size is not None and size in promised


def _size_of(store: Store, place: Uri) -> int | None:
    try:
        return store.stat(place).size
    except NotFound:
        return None
