"""What server and worker say to each other: one JSON object a line over a socket pair."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from framehaul.contract.spec import Limits
from framehaul.contract.states import AttemptReason
from framehaul.contract.status import Unit
from framehaul.contract.wire import Json, Slot, Text, Wire


class Run(Wire):
    """Down: do this attempt. Paths are of this machine; the worker prints into `stdout`."""

    kind: Literal["run"] = "run"
    pipeline: str
    params: dict[str, Json]
    inputs: dict[Slot, str]
    outputs: dict[Slot, str]
    parts: str
    preview: str
    stdout: str
    limits: Limits


class Stop(Wire):
    """Down: let the current attempt stop at its next chance."""

    kind: Literal["stop"] = "stop"


class Ready(Wire):
    """Up: the process is there."""

    kind: Literal["ready"] = "ready"
    pid: int


class Stage(Wire):
    """Up: what begins now."""

    kind: Literal["stage"] = "stage"
    name: Text
    unit: Unit = "frames"


class Progress(Wire):
    """Up: how much is done; at most four a second."""

    kind: Literal["progress"] = "progress"
    done: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)] | None


class Note(Wire):
    """Up: a line for the job's story."""

    kind: Literal["note"] = "note"
    message: Text


class Done(Wire):
    """Up, last of an attempt: every output is in place."""

    kind: Literal["done"] = "done"
    environment: dict[str, Json]
    stage_seconds: dict[str, float]
    details: dict[str, Json]


class Failed(Wire):
    """Up, last of an attempt: it has failed. `spoiled` asks for a fresh process: this one may be broken inside."""

    kind: Literal["failed"] = "failed"
    reason: AttemptReason
    message: Text
    advice: Text = ""
    spoiled: bool = False


class Halted(Wire):
    """Up, last of an attempt: it has stopped because it was asked to."""

    kind: Literal["halted"] = "halted"


Order = Annotated[Run | Stop, Field(discriminator="kind")]
Report = Annotated[Ready | Stage | Progress | Note | Done | Failed | Halted, Field(discriminator="kind")]
News = Stage | Progress | Note
Ending = Done | Failed | Halted

ORDERS: TypeAdapter[Run | Stop] = TypeAdapter(Order)
REPORTS: TypeAdapter[Ready | Stage | Progress | Note | Done | Failed | Halted] = TypeAdapter(Report)
