"""Write the order and the grants of one attempt from what the ledger holds."""

from __future__ import annotations

from collections.abc import Mapping

from controller.ledger import Batch, Job
from framehaul.contract.grants import GrantSet, HttpGet, InputGrant, RelayIn, RelayOut
from framehaul.contract.spec import MANIFEST_SLOT, InputSpec, JobSpec, Limits
from framehaul.contract.uris import parse_uri
from framehaul.errors import ContractError
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import Stores

INPUT_SLOT = "source"
_SHORTEST_LIMIT_S = 2 * 3600.0
_TIMES_THE_ESTIMATE = 3


def order_for(job: Job, batch: Batch) -> JobSpec:
    """Compose the spec of the job's next attempt; a retry makes the same names, since its time is fixed."""
    source = InputSpec(slot=INPUT_SLOT, name=job.name, size=job.size, fingerprint=job.fingerprint)
    assets = (
        InputSpec(slot=asset.slot, name=asset.name, size=asset.size, fingerprint=asset.fingerprint)
        for asset in batch.assets
    )
    return JobSpec(
        job_id=job.id,
        attempt=job.attempt + 1,
        batch_id=batch.id,
        pipeline=batch.pipeline,
        pipeline_digest=load_pipeline(batch.pipeline).card().digest(),
        params=batch.params,
        params_digest=batch.params_digest,
        inputs=(source, *assets),
        outputs=job.outputs,
        manifest_name=job.manifest_name,
        created_at=job.created_at,
        limits=Limits(
            max_run_s=longest_run_s(job.figures.get("estimate_s")), disk_bytes=int(job.figures.get("disk_bytes", 0))
        ),
    )


def longest_run_s(estimate_s: float | None) -> float:
    """Say for how long a worker may compute one job: past three times the estimate something is wrong with it."""
    if estimate_s is None:
        return Limits().max_run_s  # the first of its kind: only the lease's own deadline is shorter
    return max(_SHORTEST_LIMIT_S, _TIMES_THE_ESTIMATE * estimate_s)


def sources_of(job: Job, batch: Batch) -> dict[str, str]:
    """Say where the bytes of every input slot lie."""
    return {INPUT_SLOT: job.source, **{asset.slot: asset.source for asset in batch.assets}}


def grants_for(
    spec: JobSpec,
    sources: Mapping[str, str],
    stores: Stores,
    expires_at: float,
    generation: int,
) -> GrantSet:
    """Let the agent read the sources, by slot; bytes that lie on this laptop come through its own routes.

    A rented host cannot reach the laptop, so a file is relayed even where both are one machine. The results wait at
    the agent's own routes.
    """
    relayed = {slot: RelayOut() for slot in (*(output.slot for output in spec.outputs), MANIFEST_SLOT)}
    return GrantSet(
        job_id=spec.job_id,
        attempt=spec.attempt,
        generation=generation,
        inputs={slot: _input_grant(source, stores, expires_at) for slot, source in sources.items()},
        outputs=relayed,
    )


def _input_grant(source: str, stores: Stores, expires_at: float) -> InputGrant:
    uri = parse_uri(source)
    if uri.scheme == "file":
        return RelayIn()
    grant = stores.open(uri).grant(uri, "read", expires_at=expires_at)
    if not isinstance(grant, HttpGet):
        raise ContractError(f"The store of {uri} gave no grant to read over HTTP.")
    return grant
