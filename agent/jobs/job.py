"""One attempt of one job: its folder is the truth, this object its only writer in the server."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from agent.jobs.bell import Bell
from agent.jobs.journal import COMPUTED, STARTED, Journal
from agent.jobs.pace import Pace
from framehaul.atomic import write_atomic
from framehaul.clock import Clock
from framehaul.contract.grants import GrantSet
from framehaul.contract.jobdir import JobDir, LogLine
from framehaul.contract.receipt import Receipt
from framehaul.contract.spec import JobSpec
from framehaul.contract.states import ATTEMPT_MOVES, AttemptReason, AttemptState, check_move, is_final
from framehaul.contract.status import JobStatus, JobView, SlotProgress, Unit

_SAVE_EVERY_S = 1.0
_INPUTS_WERE_THERE = frozenset({AttemptState.RUNNING, AttemptState.DELIVERING, AttemptState.DELIVERED})

_log = logging.getLogger(__name__)


class Job:
    """State, story, grants and receipt of an attempt, on disk first wherever a restart must know it."""

    def __init__(self, folder: JobDir, spec: JobSpec, clock: Clock, number: int) -> None:
        self.folder = folder
        self.spec = spec
        # The order of arrival: lower goes first.
        self.number = number
        self.status = JobStatus(state=AttemptState.QUEUED, updated_at=clock.now())
        self.grants: GrantSet | None = None
        self.receipt: Receipt | None = None
        self.journal = Journal(folder.journal)
        self.bell = Bell()
        # Set by whoever asks the attempt to stop: the reason it will give.
        self.stopping: AttemptReason | None = None
        self._clock = clock
        self._digest = spec.digest()  # every poll tells it
        self._pace = Pace()
        self._saved_at = 0.0

    @classmethod
    def create(cls, folder: JobDir, spec: JobSpec, clock: Clock, number: int) -> Self:
        """Make the folder; the spec is written last, so that a folder with a spec is whole."""
        for path in folder.folders():
            path.mkdir(parents=True, exist_ok=True)
        job = cls(folder, spec, clock, number)
        job.note(f"queued: {spec.pipeline}, attempt {spec.attempt}")
        job.save()
        write_atomic(folder.spec, spec.canonical())
        return job

    @classmethod
    def load(cls, folder: JobDir, clock: Clock, number: int) -> Self:
        """Read a folder that an agent left behind; ValueError when its files cannot be understood."""
        spec = JobSpec.model_validate_json(folder.spec.read_bytes())
        if spec.job_id != folder.root.name:
            raise ValueError(f"the folder {folder.root.name} holds the job {spec.job_id}")
        job = cls(folder, spec, clock, number)
        job.status = JobStatus.model_validate_json(folder.status.read_bytes())
        if folder.grants.exists():
            job.grants = GrantSet.model_validate_json(folder.grants.read_bytes())
        if folder.receipt.exists():
            job.receipt = Receipt.model_validate_json(folder.receipt.read_bytes())
        return job

    @property
    def final(self) -> bool:
        """Say whether the attempt has ended."""
        return is_final(ATTEMPT_MOVES, self.status.state)

    def move(
        self,
        state: AttemptState,
        reason: AttemptReason = AttemptReason.NONE,
        message: str = "",
        *,
        stage: str = "",
    ) -> None:
        """Go to a state, or give another reason for being in it; IllegalMove when the table forbids it."""
        if state != self.status.state:
            check_move(ATTEMPT_MOVES, self.status.state, state)
        elif (reason, message, stage) == (self.status.reason, self.status.message, self.status.stage):
            return
        now = self._clock.now()
        self.status = JobStatus(state=state, reason=reason, message=message, stage=stage, updated_at=now)
        self._pace = Pace()
        why = "" if reason is AttemptReason.NONE else f" ({reason})"
        self.note(f"{state}{why} {message}", stage=stage)
        _log.info("job %s: %s", self.spec.job_id, " ".join(f"{state}{why} {message}".split()))
        self.save()
        self.bell.ring()

    def explain(self, reason: AttemptReason = AttemptReason.NONE, message: str = "") -> None:
        """Give another reason for being in the state; stage and count stay as they are."""
        if (reason, message) == (self.status.reason, self.status.message):
            return
        told = {"reason": reason, "message": message, "eta_s": None, "updated_at": self._clock.now()}
        self.status = self.status.model_copy(update=told)
        why = f"{self.status.state} ({reason}) {message}" if reason is not AttemptReason.NONE else "goes on"
        self.note(why)
        _log.info("job %s: %s", self.spec.job_id, why)
        self.save()
        self.bell.ring()

    def begin_stage(self, name: str, unit: Unit = "frames") -> None:
        """Name what begins now; counting starts anew."""
        self._pace = Pace()
        self.status = self.status.model_copy(
            update={
                "stage": name,
                "unit": unit,
                "done": 0,
                "total": None,
                "fps": None,
                "eta_s": None,
                "updated_at": self._clock.now(),
            }
        )
        self.note(f"{name} begins", stage=name)
        self.save()
        self.bell.ring()

    def progress(self, done: int, total: int | None) -> None:
        """Count; the file follows once a second, the view at once."""
        now = self._clock.now()
        rate, eta_s = self._pace.measure(now, done, total)
        fps = rate if self.status.unit == "frames" else None
        self.status = self.status.model_copy(
            update={"done": done, "total": total, "fps": fps, "eta_s": eta_s, "updated_at": now}
        )
        if now - self._saved_at >= _SAVE_EVERY_S:
            self.save()
        self.bell.ring()

    def note(self, message: str, *, stage: str = "") -> None:
        """Add a line to progress.log. A full disk costs the line, never the job."""
        at = datetime.fromtimestamp(self._clock.now(), UTC)
        line = LogLine(at, stage or self.status.stage or self.status.state, None, message)
        try:
            with self.folder.progress_log.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{line}\n")
        except OSError as exc:
            _log.warning("job %s: progress.log cannot be written: %s", self.spec.job_id, exc)
        self.bell.ring()

    def save(self) -> None:
        """Write status.json. A full disk leaves the old one; the view over HTTP stays right."""
        self._saved_at = self._clock.now()
        try:
            write_atomic(self.folder.status, self.status.model_dump_json())
        except OSError as exc:
            _log.warning("job %s: status.json cannot be written: %s", self.spec.job_id, exc)

    def accept_grants(self, grants: GrantSet) -> None:
        """Keep a generation of grants, readable for this user alone."""
        write_atomic(self.folder.grants, grants.canonical(), mode=0o600)
        self.grants = grants
        self.note(f"grants of generation {grants.generation} came")

    def keep_receipt(self, receipt: Receipt) -> None:
        """Write the receipt, for this user alone."""
        write_atomic(self.folder.receipt, receipt.canonical(), mode=0o600)
        self.receipt = receipt

    def input_path(self, slot: str) -> Path:
        """Say where a complete input lies. One folder a slot: two inputs may have one name."""
        name = next(entry.name for entry in self.spec.inputs if entry.slot == slot)
        return self.folder.inputs / slot / name

    def part_path(self, slot: str) -> Path:
        """Say where an input lies while it arrives."""
        return self.folder.parts / f"{slot}.in.part"

    def output_path(self, slot: str) -> Path:
        """Say where an output, or the manifest, lies until it is delivered."""
        return self.folder.outputs / self.spec.output_names()[slot]

    def computed(self) -> bool:
        """Say whether the journal vouches for outputs that lie there whole."""
        entry = self.journal.last(COMPUTED)
        sizes = entry["outputs"] if entry else None
        if not isinstance(sizes, dict):
            return False
        return all(_size(self.output_path(output.slot)) == sizes.get(output.slot) for output in self.spec.outputs)

    def view(self) -> JobView:
        """Describe the folder, as GET /jobs/{id} answers."""
        return JobView(
            job_id=self.spec.job_id,
            attempt=self.spec.attempt,
            spec_digest=self._digest,
            status=self.status,
            grants_generation=self.grants.generation if self.grants else 0,
            inputs={entry.slot: self.slot_progress(entry.slot) for entry in self.spec.inputs},
            log_bytes=_size(self.folder.progress_log) or 0,
            has_preview=self.folder.preview.is_file(),
            receipt=self.receipt,
        )

    def slot_progress(self, slot: str) -> SlotProgress:
        """Count what is there of an input. Inputs are removed after the computation and stay complete."""
        size = next(entry.size for entry in self.spec.inputs if entry.slot == slot)
        whole = _size(self.input_path(slot))
        if whole is None and self.status.state in _INPUTS_WERE_THERE:
            whole = self._given(slot)
        if whole is not None:
            return SlotProgress(received=whole, size=whole if size is None else size, complete=True)
        return SlotProgress(received=_size(self.part_path(slot)) or 0, size=size, complete=False)

    def _given(self, slot: str) -> int:
        started = self.journal.last(STARTED) or {}
        sizes = started.get("inputs")
        given = sizes.get(slot) if isinstance(sizes, dict) else None
        return given if isinstance(given, int) else 0


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
