"""The two halves of a pipeline: a spec that plans, a runner that works."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from framehaul.contract.pipeline import Estimate, Needs, PipelineCard, Takes
from framehaul.contract.spec import Limits, OutputSlot
from framehaul.contract.status import Unit
from framehaul.contract.wire import Json
from framehaul.errors import BadParams

if TYPE_CHECKING:  # an agent's server plans nothing, and must not load av
    from framehaul.media.probe import MediaInfo


class Params(BaseModel):
    """A pipeline's settings: frozen, strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Asset:
    """A file of the person's that travels with every job of a batch, in an input slot of its own."""

    slot: str
    path: Path


class Pipeline(ABC, Generic[P]):
    """The light half. Everything here is computable before renting, without torch."""

    name: ClassVar[str]
    summary: ClassVar[str]
    takes: ClassVar[Takes]
    modes: ClassVar[tuple[str, ...]] = ()
    slots: ClassVar[tuple[str, ...]]
    asset_slots: ClassVar[tuple[str, ...]] = ()
    # Named choices of parameters, for --preset.
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = {}
    params_model: type[P]

    def parse(self, raw: Mapping[str, Json]) -> P:
        """Judge parameters; BadParams names every one that is wrong."""
        try:
            return self.params_model.model_validate(dict(raw))
        except ValidationError as exc:
            known = list(self.params_model.model_fields)
            advice = f"Known parameters: {', '.join(known) or 'none'}."
            raise BadParams(f"{self.name}: {_sentence(exc, known)}", advice=advice) from exc

    def pack(self, params: P) -> tuple[P, tuple[Asset, ...]]:
        """Give the parameters as they travel (no path of this machine in them), and the files that travel with them.

        Called once a batch, on the person's machine, before anything else. What it gives is what every other method,
        the digest and the runner see; packing it again changes nothing. InputError or ModelError when a file that the
        parameters name cannot be used.
        """
        return params, ()

    @abstractmethod
    def output_slots(self, params: P, inputs: Sequence[str], created_at: float, number: int) -> tuple[OutputSlot, ...]:
        """Name every output from the inputs' names; `number` above 1 tells apart two inputs with one stem."""

    def takes_truncated(self, params: P) -> bool:
        """Say whether an input that ends before its header says is worked on as far as it goes."""
        return False

    def judge(self, params: P, name: str, media: MediaInfo | None) -> None:
        """Refuse (BadParams) an input that this pipeline cannot take; `media` is None where it was not probed."""

    def notes(self, params: P, name: str, media: MediaInfo | None) -> tuple[str, ...]:
        """Tell what a person should know of this input before it is paid for: what will not be in the result."""
        return ()

    def needs(self, params: P, media: MediaInfo | None, size: int | None) -> Needs:
        """Say what one job asks of a machine."""
        return Needs(disk_gb=2 * (size or 0) / 1e9)

    def estimate(self, params: P, media: MediaInfo | None, size: int | None) -> Estimate:
        """Say how much work one job is."""
        return Estimate(output_bytes=size or 0)

    def model_sha256(self, params: P) -> str | None:
        """Pin the weights that these parameters choose."""
        return None

    def card(self) -> PipelineCard:
        """Describe the pipeline to whoever lacks its code."""
        return PipelineCard(
            name=self.name,
            summary=self.summary,
            takes=self.takes,
            modes=self.modes,
            slots=self.slots,
            asset_slots=self.asset_slots,
            presets={name: dict(params) for name, params in self.presets.items()},
            params_schema=self.params_model.model_json_schema(),
        )


class Reporter(Protocol):
    """How a runner tells what it does, and learns that it should stop."""

    def stage(self, name: str, unit: Unit = "frames") -> None:
        """Name what begins now, and what its progress counts."""

    def progress(self, done: int, total: int | None) -> None:
        """Count what is finished, in the stage's unit; cheap to call often."""

    def log(self, message: str) -> None:
        """Write one line of the job's story."""

    def should_stop(self) -> bool:
        """Say whether somebody asked this job to stop; the runner then raises `Stopped`."""


@dataclass(frozen=True)
class Task:
    """One attempt, as the runner sees it: files in, files out. Outputs are written under their final names."""

    params: Mapping[str, Json]
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    parts: Path
    preview: Path
    limits: Limits
    reporter: Reporter


@dataclass(frozen=True)
class Outcome:
    """What the manifest should tell beyond names and digests.

    Of the details two are shown to a person when the job is done: `shortfall`, a sentence on what the input lacked, and
    `left_behind`, a list of what is not in the result.
    """

    environment: dict[str, Json] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    details: dict[str, Json] = field(default_factory=dict)


class Runner(Protocol):
    """The heavy half: lives in the worker, keeps what it loaded warm from job to job."""

    def run(self, task: Task) -> Outcome:
        """Make every output of the task; raise FramehaulError with its fate, leave no partial output."""


def _sentence(exc: ValidationError, known: Sequence[str]) -> str:
    parts = []
    for error in exc.errors():
        where = ".".join(str(step) for step in error["loc"])
        message = _message(error["type"], error["msg"], error["input"], error.get("ctx", {}))
        if error["type"] == "extra_forbidden":
            where, message = "", f"there is no parameter {where!r}{_nearest(where, known)}"
        parts.append(f"{where}: {message}" if where else message)
    said = "; ".join(parts)
    return said if said.endswith("?") else f"{said}."


def _message(kind: str, said: str, given: object, about: Mapping[str, object]) -> str:
    """Put pydantic's words into plain ones, with what was given."""
    match kind:
        case "literal_error":
            choices = str(about["expected"])
            words = choices.split("'")[1::2]
            return f"{given!r} is {'not' if len(words) == 1 else 'none of'} {choices}{_nearest(given, words)}"
        case "bool_parsing" | "bool_type":
            return f"true or false, not {given!r}"
        case _ if kind.startswith(("greater_than", "less_than")):
            return f"{said}, not {given}"
        case _:
            return said.removeprefix("Value error, ")  # pydantic's word for a sentence of ours


def _nearest(meant: object, known: Sequence[str]) -> str:
    near = get_close_matches(str(meant), known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
