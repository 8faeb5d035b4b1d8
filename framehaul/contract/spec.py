"""The order: what to make of which inputs, with every name settled before anything is rented."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from framehaul.contract.naming import check_file_name
from framehaul.contract.wire import Epoch, JobId, Json, Sha256, Slot, Wire

MANIFEST_SLOT = "manifest"
# What an agent that writes to the store itself delivers last: the receipt. It is in the grants, never in the order.
RECEIPT_SLOT = "receipt"
_RESERVED = frozenset({MANIFEST_SLOT, RECEIPT_SLOT})

FileName = Annotated[str, AfterValidator(check_file_name)]


class InputSpec(Wire):
    """One input, pinned: its name, size and fingerprint. Where it lies is the ledger's business."""

    slot: Slot
    name: FileName
    size: Annotated[int, Field(ge=0)] | None
    fingerprint: Annotated[str, Field(min_length=1, max_length=256)]


class OutputSlot(Wire):
    """One output that the pipeline will make, and its final name."""

    slot: Slot
    name: FileName


class Limits(Wire):
    """Bounds on hostile or mistaken input, and on the worker's time, enforced by the agent.

    A worker that tells nothing for `max_silence_s`, or works for longer than `max_run_s`, is stopped.
    """

    max_input_bytes: Annotated[int, Field(ge=1)] = 1 << 40
    max_pixels: Annotated[int, Field(ge=1)] = 8192 * 8192
    max_duration_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    max_streams: Annotated[int, Field(ge=1)] = 64
    max_silence_s: Annotated[float, Field(gt=0)] = 600.0
    max_run_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    # What the job is reckoned to take of the disk at its peak; the next one waits until so much is free.
    disk_bytes: Annotated[int, Field(ge=0)] = 0


class JobSpec(Wire):
    """One attempt's order. Hashed; holds no URL, no path and no secret."""

    version: Literal[1] = 1
    job_id: JobId
    attempt: Annotated[int, Field(ge=1, le=99)]
    batch_id: JobId
    pipeline: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    pipeline_digest: Sha256
    params: dict[str, Json]
    params_digest: Sha256
    inputs: Annotated[tuple[InputSpec, ...], Field(max_length=64)]
    outputs: Annotated[tuple[OutputSlot, ...], Field(min_length=1, max_length=64)]
    manifest_name: FileName
    created_at: Epoch
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> JobSpec:
        slots = [output.slot for output in self.outputs]
        names = [output.name for output in self.outputs] + [self.manifest_name]
        inputs = [entry.slot for entry in self.inputs]
        if reserved := _RESERVED.intersection(slots):
            raise ValueError(f"the slot name {min(reserved)!r} is reserved")
        for what, values in (("output slots", slots), ("output names", names), ("input slots", inputs)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} must differ from each other: {values}")
        return self

    def output_names(self) -> dict[str, str]:
        """Map every slot that will be delivered, the manifest's included, to its final name."""
        return {output.slot: output.name for output in self.outputs} | {MANIFEST_SLOT: self.manifest_name}
