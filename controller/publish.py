"""The last word on a job: the done-marker, written only after the store has been read back."""

from __future__ import annotations

from typing import Any

from controller.desk import Desk
from controller.ledger import Batch, Job
from framehaul.contract.manifest import Manifest
from framehaul.contract.naming import done_marker
from framehaul.contract.spec import MANIFEST_SLOT
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.contract.wire import canonical_json
from framehaul.storage.base import Store


def publish(desk: Desk, batch: Batch, job: Job, store: Store, folder: Uri) -> None:
    """Write the marker, with the receipt in it, and close the job. Blocks; may be repeated."""
    assert job.receipt is not None
    marker = parse_uri(batch.target).join(done_marker(job.fingerprint, batch.params_digest))
    content = {
        "version": 1,
        "job_id": job.id,
        "input": job.name,
        "fingerprint": job.fingerprint,
        "params_digest": batch.params_digest,
        "folder": job.folder,
        "receipt": job.receipt.model_dump(mode="json"),
    }
    store.put(marker, [canonical_json(content)], replace=True)
    figures = {**job.figures, **_figures(job, store, folder)}
    desk.ledger.move_job(job.id, JobState.PUBLISHED, figures=figures)


def _figures(job: Job, store: Store, folder: Uri) -> dict[str, Any]:
    """Read the manifest where it now lies: what the report tells must be what was delivered."""
    assert job.receipt is not None
    raw = b"".join(store.get(folder.join(job.receipt.output(MANIFEST_SLOT).name)))
    manifest = Manifest.model_validate_json(raw)
    seconds = manifest.finished_at - manifest.started_at
    frames = manifest.details.get("frames_out")
    figures: dict[str, Any] = {
        "seconds": seconds,
        "stage_seconds": manifest.stage_seconds,
        "details": manifest.details,
        "output_bytes": sum(entry.size for entry in job.receipt.outputs),
        "uris": {entry.slot: str(folder.join(entry.name)) for entry in job.receipt.outputs},
    }
    if isinstance(frames, int):
        figures |= {"frames": frames, "fps": manifest.details.get("fps")}
    return figures
