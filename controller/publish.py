"""The last word on a job: the done-marker, written only after the store has been read back."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import ValidationError

from controller.desk import Desk
from controller.done_marker import Delivered, read_marker
from controller.errors import ProofFailed
from controller.ledger import Batch, Job
from controller.markers import remember_done
from controller.remote_index import RemoteIndex
from framehaul.contract.manifest import Manifest
from framehaul.contract.naming import done_marker
from framehaul.contract.spec import MANIFEST_SLOT
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.contract.wire import canonical_json
from framehaul.errors import NoSuchBucket, NotFound
from framehaul.storage.base import Store

_one_at_a_time = threading.Lock()
_MOST_MANIFEST_BYTES = 16 << 20


def publish(desk: Desk, batch: Batch, job: Job, store: Store, folder: Uri) -> None:
    """Write the marker, with the receipt in it, and close the job. Blocks; may be repeated.

    Last of all: whatever is missing shows before it.
    """
    assert job.receipt is not None
    figures = {**job.figures, **_figures(job, store, folder)}
    name = done_marker(job.fingerprint, batch.params_digest)
    marker = parse_uri(batch.target).join(name)
    mine = Delivered(input=job.name, folder=job.folder, receipt=job.receipt)
    content = {
        "version": 1,
        "job_id": job.id,
        "fingerprint": job.fingerprint,
        "params_digest": batch.params_digest,
        **_said(mine),
    }
    with _one_at_a_time:  # two of one content would each miss what the other one said
        twins = [_said(twin) for twin in _twins(store, marker, mine)]
        store.put(marker, [canonical_json({**content, **({"twins": twins} if twins else {})})], replace=True)
    remember_done(RemoteIndex(desk.state.remote_index), parse_uri(batch.target), desk.stores, name)
    desk.ledger.move_job(job.id, JobState.PUBLISHED, figures=figures)


def _said(one: Delivered) -> dict[str, Any]:
    return one.without_addresses().model_dump(mode="json")


def _twins(store: Store, marker: Uri, mine: Delivered) -> tuple[Delivered, ...]:
    """Read of a marker that is there what it says of other inputs with the same bytes: their results lie there too."""
    try:
        return read_marker(store, store.stat(marker)).others(mine)
    except NoSuchBucket:
        raise
    except (NotFound, ValueError):  # none yet, or none of ours: what cannot be understood is not passed on
        return ()


def read_manifest(job: Job, store: Store, folder: Uri) -> Manifest:
    """Read the manifest where it now lies; ProofFailed when it is none. It was written on a stranger's machine."""
    assert job.receipt is not None
    entry = job.receipt.output(MANIFEST_SLOT)
    uri = folder.join(entry.name)
    if entry.size > _MOST_MANIFEST_BYTES:
        raise ProofFailed(f"{uri} has {entry.size} bytes, which no manifest has.")
    try:
        return Manifest.model_validate_json(b"".join(store.get(uri, 0, entry.size)))
    except ValidationError as exc:
        raise ProofFailed(f"{uri} is no manifest: {exc.errors()[0]['msg']}.") from exc


def _figures(job: Job, store: Store, folder: Uri) -> dict[str, Any]:
    """Tell of the job what was delivered with it."""
    assert job.receipt is not None
    manifest = read_manifest(job, store, folder)
    seconds = manifest.finished_at - manifest.started_at
    frames, fps = manifest.details.get("frames_out"), manifest.details.get("fps")
    figures: dict[str, Any] = {
        "seconds": seconds,
        "stage_seconds": manifest.stage_seconds,
        "details": manifest.details,
        "output_bytes": sum(entry.size for entry in job.receipt.outputs),
        "uris": {entry.slot: str(folder.join(entry.name)) for entry in job.receipt.outputs},
    }
    if isinstance(frames, int):
        figures |= {"frames": frames, "fps": fps if isinstance(fps, int | float) else None}
    return figures
