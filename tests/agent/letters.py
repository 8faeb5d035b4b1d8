"""Orders and grants as a controller would write them, for the copy pipeline."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from framehaul.contract.grants import GrantSet, HttpGet, InputGrant, OutputGrant, RelayIn, RelayOut
from framehaul.contract.naming import manifest_name, params_digest
from framehaul.contract.spec import InputSpec, JobSpec, Limits, OutputSlot
from framehaul.pipelines.catalogue import load_pipeline

MOVIE = bytes(range(256)) * 40
_MIB = 1 << 20


def fingerprint(data: bytes) -> str:
    """Give the fingerprint that a disk store gives such a file."""
    edges = data[:_MIB] + data[max(_MIB, len(data) - _MIB) :]
    return f"disk:{len(data)}:{hashlib.sha256(edges).hexdigest()}"


def order(job_id: str = "job-1", data: bytes = MOVIE, *, rate_bytes_s: int | None = None, **changes: Any) -> JobSpec:
    """Order a copy of one file."""
    params: dict[str, Any] = {} if rate_bytes_s is None else {"rate_bytes_s": rate_bytes_s}
    fields: dict[str, Any] = {
        "job_id": job_id,
        "attempt": 1,
        "batch_id": "batch",
        "pipeline": "copy",
        "pipeline_digest": load_pipeline("copy").card().digest(),
        "params": params,
        "params_digest": params_digest("copy", params, None),
        "inputs": (InputSpec(slot="source", name="clip.mp4", size=len(data), fingerprint=fingerprint(data)),),
        "outputs": (OutputSlot(slot="result", name=f"{job_id}.mp4"),),
        "manifest_name": manifest_name(f"{job_id}.mp4"),
        "created_at": 1_800_000_000.0,
        "limits": Limits(),
    }
    return JobSpec(**(fields | changes))


def grants(
    spec: JobSpec,
    generation: int = 1,
    *,
    source: InputGrant | None = None,
    outputs: dict[str, OutputGrant] | None = None,
) -> GrantSet:
    """Grant everything by relay, unless told otherwise."""
    relayed: dict[str, OutputGrant] = {slot: RelayOut() for slot in spec.output_names()}
    return GrantSet(
        job_id=spec.job_id,
        attempt=spec.attempt,
        generation=generation,
        inputs={entry.slot: source or RelayIn() for entry in spec.inputs},
        outputs=outputs or relayed,
    )


def reading(url: str, expires_at: float | None = None) -> HttpGet:
    """Grant reading one address."""
    return HttpGet.model_validate({"url": url, "expires_at": expires_at})


def enhancement(job_id: str, source: Path, **changes: Any) -> JobSpec:
    """Order the enlargement of one real video, coded fast and without loss."""
    params: dict[str, Any] = {"preset": "ultrafast", "crf": 0}
    fields: dict[str, Any] = {
        "pipeline": "enhance",
        "pipeline_digest": load_pipeline("enhance").card().digest(),
        "params": params,
        "params_digest": params_digest("enhance", params, None),
        "outputs": (OutputSlot(slot="result", name=f"{job_id}{source.suffix}"),),
        "manifest_name": manifest_name(f"{job_id}{source.suffix}"),
    }
    spec = order(job_id, source.read_bytes(), **(fields | changes))
    pinned = tuple(entry.model_copy(update={"name": source.name}) for entry in spec.inputs)
    return spec.model_copy(update={"inputs": pinned})
