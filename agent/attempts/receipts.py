"""Write down what was made: the manifest for whoever finds the output, the receipt for the controller."""

from __future__ import annotations

import framehaul
from agent.errors import AttemptFailed
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED
from framehaul.atomic import write_atomic
from framehaul.clock import Clock
from framehaul.contract.grants import FileOut, MultipartPut
from framehaul.contract.manifest import Manifest, ManifestOutput
from framehaul.contract.receipt import ChunkHasher, OutputReceipt, Receipt
from framehaul.contract.spec import MANIFEST_SLOT
from framehaul.contract.states import AttemptReason

_READ_BYTES = 1 << 20


def write_proofs(job: Job, clock: Clock) -> None:
    """Write manifest.json (and its copy that is delivered) and upload_result.json; every byte is read once."""
    made = tuple(_hash(job, output.slot) for output in job.spec.outputs)
    text = _manifest(job, made).model_dump_json(indent=2)
    write_atomic(job.folder.manifest, text)
    write_atomic(job.output_path(MANIFEST_SLOT), text)
    spec = job.spec
    job.keep_receipt(
        Receipt(
            job_id=spec.job_id,
            attempt=spec.attempt,
            spec_digest=spec.digest(),
            outputs=(*made, _hash(job, MANIFEST_SLOT)),
            finished_at=clock.now(),
        )
    )


def same_places(job: Job) -> None:
    """Write the receipt anew where a later generation of grants wants an output elsewhere."""
    assert job.receipt is not None
    moved = tuple(output.model_copy(update={"uri": _place(job, output.slot)}) for output in job.receipt.outputs)
    if moved != job.receipt.outputs:
        job.keep_receipt(job.receipt.model_copy(update={"outputs": moved}))


def _manifest(job: Job, made: tuple[OutputReceipt, ...]) -> Manifest:
    entry = job.journal.last(COMPUTED)
    if entry is None:
        raise AttemptFailed(AttemptReason.DELIVERY_FAILED, "The journal does not tell what was computed.")
    spec = job.spec
    told = {name: value for name, value in entry.items() if name not in {"event", "outputs"}}
    return Manifest.model_validate(
        told
        | {
            "framehaul": framehaul.__version__,
            "job_id": spec.job_id,
            "attempt": spec.attempt,
            "spec_digest": spec.digest(),
            "pipeline": spec.pipeline,
            "params": spec.params,
            "inputs": spec.inputs,
            "outputs": [ManifestOutput(slot=one.slot, name=one.name, size=one.size, sha256=one.sha256) for one in made],
        }
    )


def _hash(job: Job, slot: str) -> OutputReceipt:
    path, hasher = job.output_path(slot), ChunkHasher()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return hasher.receipt(slot, path.name, _place(job, slot))


def _place(job: Job, slot: str) -> str:
    assert job.grants is not None
    match job.grants.outputs[slot]:
        case FileOut(path=path):
            return f"file:{path}"
        case MultipartPut(uri=uri):
            return uri
        case _:
            return f"relay:{job.spec.job_id}/{slot}"
