"""Write the order and the grants of one attempt from what the ledger holds."""

from __future__ import annotations

from controller.ledger import Batch, Job
from framehaul.contract.grants import GrantSet, HttpGet, InputGrant, RelayIn, RelayOut
from framehaul.contract.spec import MANIFEST_SLOT, InputSpec, JobSpec
from framehaul.contract.uris import parse_uri
from framehaul.errors import ContractError
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import open_store

INPUT_SLOT = "source"
_GRANT_LIFE_S = 24 * 3600.0


def order_for(job: Job, batch: Batch) -> JobSpec:
    """Compose the spec of the job's next attempt; a retry makes the same names, since its time is fixed."""
    return JobSpec(
        job_id=job.id,
        attempt=job.attempt + 1,
        batch_id=batch.id,
        pipeline=batch.pipeline,
        pipeline_digest=load_pipeline(batch.pipeline).card().digest(),
        params=batch.params,
        params_digest=batch.params_digest,
        inputs=(InputSpec(slot=INPUT_SLOT, name=job.name, size=job.size, fingerprint=job.fingerprint),),
        outputs=job.outputs,
        manifest_name=job.manifest_name,
        created_at=job.created_at,
    )


def grants_for(spec: JobSpec, source: str, now: float, generation: int) -> GrantSet:
    """Let the agent read the source; bytes that lie on this laptop come through its own routes.

    A rented host cannot reach the laptop, so a file is relayed even where both are one machine.
    """
    return GrantSet(
        job_id=spec.job_id,
        attempt=spec.attempt,
        generation=generation,
        inputs={INPUT_SLOT: _input_grant(source, now + _GRANT_LIFE_S)},
        outputs={slot: RelayOut() for slot in (*(output.slot for output in spec.outputs), MANIFEST_SLOT)},
    )


def _input_grant(source: str, expires_at: float) -> InputGrant:
    uri = parse_uri(source)
    if uri.scheme == "file":
        return RelayIn()
    grant = open_store(uri).grant(uri, "read", expires_at=expires_at)
    if not isinstance(grant, HttpGet):
        raise ContractError(f"The store of {uri} gave no grant to read over HTTP.")
    return grant
