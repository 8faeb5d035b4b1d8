"""Write down what was made: the manifest for whoever finds the output, the receipt for the controller."""

from __future__ import annotations

from pathlib import Path

import framehaul
from agent.errors import AttemptFailed
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED, DELIVERED
from framehaul.atomic import write_atomic
from framehaul.clock import Clock
from framehaul.contract.grants import FileOut, MultipartPut
from framehaul.contract.manifest import Manifest, ManifestOutput
from framehaul.contract.receipt import ChunkHasher, OutputReceipt, Receipt
from framehaul.contract.spec import MANIFEST_SLOT, RECEIPT_SLOT
from framehaul.contract.states import AttemptReason

_READ_BYTES = 1 << 20


def write_proofs(job: Job, clock: Clock) -> None:
    """Write manifest.json (and its copy that is delivered) and upload_result.json; every byte is read once."""
    made = tuple(_hash(job, output.slot, job.output_path(output.slot)) for output in job.spec.outputs)
    text = _manifest(job, made).model_dump_json(indent=2)
    write_atomic(job.folder.manifest, text)
    write_atomic(job.output_path(MANIFEST_SLOT), text)
    spec = job.spec
    job.keep_receipt(
        Receipt(
            job_id=spec.job_id,
            attempt=spec.attempt,
            spec_digest=spec.digest(),
            outputs=(*made, _hash(job, MANIFEST_SLOT, job.output_path(MANIFEST_SLOT))),
            finished_at=clock.now(),
        )
    )


def same_places(job: Job) -> None:
    """Write the receipt anew where a later generation of grants wants an output elsewhere.

    What has arrived stays where it is, and an address that was only signed anew changes nothing: a receipt that lies
    in the store keeps its digest.
    """
    assert job.receipt is not None
    moved = tuple(_moved(job, output) for output in job.receipt.outputs)
    if moved != job.receipt.outputs:
        job.keep_receipt(job.receipt.model_copy(update={"outputs": moved}))


def proof_of(job: Job, slot: str) -> OutputReceipt:
    """Say what a slot holds: what the receipt tells of it, or the receipt itself, which is delivered last."""
    assert job.receipt is not None
    return _hash(job, slot, job.folder.receipt) if slot == RECEIPT_SLOT else job.receipt.output(slot)


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


def _moved(job: Job, output: OutputReceipt) -> OutputReceipt:
    uri = _place(job, output.slot)
    if uri == output.uri or output.slot in job.journal.slots(DELIVERED):
        return output
    return output.model_copy(update={"uri": uri})


def _hash(job: Job, slot: str, path: Path) -> OutputReceipt:
    hasher = ChunkHasher()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    # Without an address to read it by: a signed one opens the output for whoever finds the receipt.
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
