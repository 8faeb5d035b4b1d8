"""What was done, for whoever finds the output later. Paths in it are relative: names, never folders."""

from __future__ import annotations

from typing import Literal

from framehaul.contract.spec import FileName, InputSpec
from framehaul.contract.wire import Epoch, JobId, Json, Sha256, Slot, Wire


class ManifestOutput(Wire):
    """One output's identity."""

    slot: Slot
    name: FileName
    size: int
    sha256: Sha256


class Manifest(Wire):
    """The record that lies beside the output."""

    version: Literal[1] = 1
    framehaul: str
    job_id: JobId
    attempt: int
    spec_digest: Sha256
    pipeline: str
    params: dict[str, Json]
    inputs: tuple[InputSpec, ...]
    environment: dict[str, Json]
    stage_seconds: dict[str, float]
    details: dict[str, Json]
    started_at: Epoch
    finished_at: Epoch
    outputs: tuple[ManifestOutput, ...]
