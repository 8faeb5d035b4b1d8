"""Write orders and grants for objects in the bench's store, as a controller would."""

from __future__ import annotations

import time
from pathlib import Path

from bench.rclone import Rclone
from framehaul.contract.grants import GrantSet
from framehaul.contract.naming import manifest_name, params_digest, receipt_name
from framehaul.contract.spec import RECEIPT_SLOT, InputSpec, JobSpec, OutputSlot
from framehaul.contract.wire import Json
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import Entry, Stores

_GRANT_S = 3600.0


def ordered(
    store: Rclone, source: str, result: str, *, to_send: bool = True, **params: Json
) -> tuple[JobSpec, GrantSet]:
    """Order a copy of one object to another, and grant it the source; the outputs, too, where they are to be sent."""
    expires_at = time.time() + _GRANT_S
    with Stores({"s3": store.account}) as stores:
        bucket = stores.open(store.uri(""))
        entry = bucket.stat(store.uri(source))
        spec = _order(Path(result).stem, entry, result, params)
        given = {"source": bucket.grant(entry.uri, "read", expires_at=expires_at)}
        names = spec.output_names() | {RECEIPT_SLOT: receipt_name(spec.job_id, spec.attempt)} if to_send else {}
        puts = {slot: bucket.grant(store.uri(name), "write", expires_at=expires_at) for slot, name in names.items()}
    return spec, GrantSet.model_validate(
        {"job_id": spec.job_id, "attempt": spec.attempt, "generation": 1, "inputs": given, "outputs": puts}
    )


def _order(job_id: str, entry: Entry, result: str, params: dict[str, Json]) -> JobSpec:
    return JobSpec(
        job_id=job_id,
        attempt=1,
        batch_id="bench",
        pipeline="copy",
        pipeline_digest=load_pipeline("copy").card().digest(),
        params=params,
        params_digest=params_digest("copy", params, None),
        inputs=(InputSpec(slot="source", name=entry.uri.name, size=entry.size, fingerprint=entry.fingerprint),),
        outputs=(OutputSlot(slot="result", name=result),),
        manifest_name=manifest_name(result),
        created_at=time.time(),
    )
