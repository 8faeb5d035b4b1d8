"""The ledger's rows as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.receipt import Receipt
from framehaul.contract.spec import JobSpec, OutputSlot
from framehaul.contract.states import (
    AttemptReason,
    AttemptState,
    JobReason,
    JobState,
    LeaseReason,
    LeaseState,
)


class WishWord(StrEnum):
    """What a person wants of a batch."""

    RUN = "run"
    DRAIN = "drain"
    NOW = "now"


@dataclass(frozen=True)
class PinnedAsset:
    """A file that travels with every job of a batch: where it lies, and which bytes are meant."""

    slot: str
    source: str
    name: str
    size: int
    fingerprint: str


@dataclass(frozen=True)
class Batch:
    """One command's worth of jobs."""

    id: str
    created_at: float
    provider: str
    pipeline: str
    params: dict[str, Any]
    params_digest: str
    target: str
    options: dict[str, Any]
    wish: WishWord
    closed_at: float | None = None

    @property
    def assets(self) -> tuple[PinnedAsset, ...]:
        """List the files that travel with every job."""
        return tuple(PinnedAsset(**asset) for asset in self.options.get("assets", ()))


@dataclass(frozen=True)
class Job:
    """One input and what becomes of it."""

    id: str
    batch_id: str
    seq: int
    state: JobState
    reason: JobReason
    message: str
    source: str
    name: str
    size: int | None
    fingerprint: str
    outputs: tuple[OutputSlot, ...]
    manifest_name: str
    folder: str
    frames: int | None
    attempt: int
    lease_id: str | None
    spec: JobSpec | None
    receipt: Receipt | None
    figures: dict[str, Any]
    created_at: float
    updated_at: float

    @property
    def open(self) -> bool:
        """Say whether work is left."""
        return self.state not in {JobState.PUBLISHED, JobState.EXCLUDED}


@dataclass(frozen=True)
class Attempt:
    """One try at a job, on one machine."""

    job_id: str
    attempt: int
    lease_id: str
    machine_id: str
    began_at: float
    ended_at: float | None
    state: AttemptState | None
    reason: AttemptReason | None
    message: str | None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class OpenUpload:
    """A multipart upload that an attempt may write to; its parts may be billed until `ended_at`."""

    upload_id: str
    job_id: str
    attempt: int
    slot: str
    uri: str
    begun_at: float
    ended_at: float | None = None


@dataclass(frozen=True)
class Lease:
    """One rented machine. The secret prints as ***."""

    id: str
    label: str
    provider: str
    state: LeaseState
    reason: LeaseReason
    message: str
    offer_id: str
    machine_id: str
    gpu: str
    dollars_per_hour: float
    secret: LeaseSecret = field(repr=False)
    ref: str | None
    deadline: float
    boot_deadline: float
    restarts: int
    intended_at: float
    rented_at: float | None
    ready_at: float | None
    heartbeat_at: float | None
    gone_at: float | None

    def dollars(self, now: float) -> float:
        """Count what this lease has cost so far, by the hour."""
        if self.rented_at is None:
            return 0.0
        return max(0.0, (self.gone_at or now) - self.rented_at) / 3600 * self.dollars_per_hour


@dataclass(frozen=True)
class Wish:
    """A person's word, not yet carried out."""

    id: int
    at: float
    batch_id: str | None
    wish: WishWord


@dataclass(frozen=True)
class Event:
    """One line of the ledger's own story."""

    at: float
    subject: str
    text: str


def batch_from(row: Mapping[str, Any]) -> Batch:
    """Read a row of `batches`."""
    return Batch(**{**row, "wish": WishWord(row["wish"])})


def job_from(row: Mapping[str, Any]) -> Job:
    """Read a row of `jobs`."""
    named = dict(row)
    outputs = named.pop("outputs")
    return Job(
        **{
            **named,
            "state": JobState(row["state"]),
            "reason": JobReason(row["reason"]),
            "outputs": tuple(OutputSlot(**slot) for slot in outputs["slots"]),
            "manifest_name": outputs["manifest"],
            "spec": None if row["spec"] is None else JobSpec.model_validate(row["spec"]),
            "receipt": None if row["receipt"] is None else Receipt.model_validate(row["receipt"]),
        }
    )


def attempt_from(row: Mapping[str, Any]) -> Attempt:
    """Read a row of `attempts`."""
    return Attempt(
        **{
            **row,
            "state": None if row["state"] is None else AttemptState(row["state"]),
            "reason": None if row["reason"] is None else AttemptReason(row["reason"]),
            "receipt": None if row["receipt"] is None else Receipt.model_validate(row["receipt"]),
        }
    )


def lease_from(row: Mapping[str, Any]) -> Lease:
    """Read a row of `leases`."""
    return Lease(
        **{
            **row,
            "state": LeaseState(row["state"]),
            "reason": LeaseReason(row["reason"]),
            "secret": LeaseSecret.from_hex(row["secret"]),
        }
    )
