"""What an agent says of a job and of itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from framehaul.contract.receipt import Receipt
from framehaul.contract.states import ATTEMPT_REASONS, AttemptReason, AttemptState
from framehaul.contract.wire import Epoch, JobId, Json, Sha256, Slot, Text, Wire

Unit = Literal["frames", "bytes"]


class JobStatus(Wire):
    """The content of status.json: state says what, reason says why, message says it to a person.

    `done` and `total` count `unit`s; `fps` is told for frames only.
    """

    state: AttemptState
    reason: AttemptReason = AttemptReason.NONE
    message: Text = ""
    stage: Text = ""
    done: Annotated[int, Field(ge=0)] = 0
    total: int | None = None
    unit: Unit = "frames"
    fps: float | None = None
    eta_s: float | None = None
    updated_at: Epoch

    @model_validator(mode="after")
    def _reason_fits(self) -> JobStatus:
        if self.reason not in ATTEMPT_REASONS[self.state]:
            raise ValueError(f"{self.reason} is no reason to be {self.state}")
        return self


class SlotProgress(Wire):
    """How many bytes of a slot are there, of how many."""

    received: int
    size: int | None
    complete: bool


class JobView(Wire):
    """The answer to GET /jobs/{id}: the job folder, described."""

    job_id: JobId
    attempt: int
    spec_digest: Sha256
    status: JobStatus
    grants_generation: int
    inputs: dict[Slot, SlotProgress]
    log_bytes: int
    has_preview: bool
    receipt: Receipt | None = None


class JobList(Wire):
    """The answer to GET /jobs."""

    jobs: tuple[JobView, ...]


class OutputReceived(Wire):
    """What the fetcher of a relayed output found: sent back so that the agent may call it delivered."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class OnSilence(StrEnum):
    """What an agent does when its controller has not been heard of for TTL + grace."""

    QUEUE = "queue"
    CURRENT = "current"
    NOW = "now"


class LeaseOrder(Wire):
    """A heartbeat: renews the TTL, and the deadline only where it names a later one."""

    deadline: Epoch
    ttl_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    grace_s: Annotated[float, Field(ge=0, le=86_400)] = 120.0
    on_silence: OnSilence = OnSilence.QUEUE


class LeaseView(Wire):
    """The lease as the agent sees it."""

    deadline: Epoch | None
    silent_after: Epoch | None
    on_silence: OnSilence
    draining: bool
    undelivered: tuple[JobId, ...]


class HealthState(StrEnum):
    """Whether an agent can take work."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Health(Wire):
    """The answer to GET /health: always 200, a state. Needs no token, so it says nothing of the jobs."""

    state: HealthState
    watchdog_armed: bool
    version: str


class Info(Wire):
    """The answer to GET /info: what this machine is and can do."""

    version: str
    contract_version: Literal[1] = 1
    hostname: str
    cpu_count: int
    memory_gb: float
    disk_free_gb: float
    gpu: dict[str, Json] | None
    grant_kinds: tuple[str, ...]
    pipelines: dict[str, Json]
