"""The job folder: HTTP describes it, SSH reads it. Its names live here, once, with the standard library alone.

jobs/<job_id>/
├── spec.json            the order (no URL, no secret)
├── grants.json          0600, this generation's addresses
├── status/
│   ├── status.json      state, reason, stage, done/total, fps, eta_s, updated_at (atomic rename)
│   ├── progress.log     ISO8601 | stage | clip=<index|-> | msg=...
│   ├── stdout.log       everything the worker printed
│   └── preview.jpg      before | after
├── journal.jsonl        what a restart need not redo
├── in/  parts/  out/    inputs, intermediates, outputs
├── manifest.json
├── upload_result.json   the receipt
└── VASTAI_PIPELINE_COMPLETED_SUCCESSFULLY
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

JOBS = "jobs"
SENTINEL = "VASTAI_PIPELINE_COMPLETED_SUCCESSFULLY"
JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class JobDir:
    """One job's folder, as paths."""

    root: Path

    @classmethod
    def under(cls, home: Path, job_id: str) -> JobDir:
        """Name the folder of a job; an id that could leave the home folder is refused."""
        if not JOB_ID.fullmatch(job_id):
            raise ValueError(f"not a job id: {job_id!r}")
        return cls(home / JOBS / job_id)

    @property
    def spec(self) -> Path:
        """The order."""
        return self.root / "spec.json"

    @property
    def grants(self) -> Path:
        """The current generation of grants; mode 0600."""
        return self.root / "grants.json"

    @property
    def status(self) -> Path:
        """The state, replaced by rename."""
        return self.root / "status" / "status.json"

    @property
    def progress_log(self) -> Path:
        """The story, one line an event."""
        return self.root / "status" / "progress.log"

    @property
    def stdout_log(self) -> Path:
        """Everything the worker printed."""
        return self.root / "status" / "stdout.log"

    @property
    def preview(self) -> Path:
        """A before/after picture."""
        return self.root / "status" / "preview.jpg"

    @property
    def journal(self) -> Path:
        """What a restart need not redo."""
        return self.root / "journal.jsonl"

    @property
    def inputs(self) -> Path:
        """Where fetched inputs lie."""
        return self.root / "in"

    @property
    def parts(self) -> Path:
        """Where intermediates and unfinished fetches lie."""
        return self.root / "parts"

    @property
    def outputs(self) -> Path:
        """Where finished outputs lie until they are delivered."""
        return self.root / "out"

    @property
    def manifest(self) -> Path:
        """What was done, for whoever finds the output later."""
        return self.root / "manifest.json"

    @property
    def receipt(self) -> Path:
        """What was delivered, with digests."""
        return self.root / "upload_result.json"

    @property
    def sentinel(self) -> Path:
        """The last file written."""
        return self.root / SENTINEL

    def folders(self) -> tuple[Path, ...]:
        """List the folders to make before work starts."""
        return (self.root, self.status.parent, self.inputs, self.parts, self.outputs)


@dataclass(frozen=True)
class LogLine:
    """One line of progress.log."""

    at: datetime
    stage: str
    clip: int | None
    message: str

    def __str__(self) -> str:
        clip = "-" if self.clip is None else str(self.clip)
        stage = _one_line(self.stage).replace("|", "/")
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{at} | {stage} | clip={clip} | msg={_one_line(self.message)}"

    @classmethod
    def parse(cls, line: str) -> LogLine:
        """Read a line back; ValueError when it is none."""
        at, stage, clip, message = line.rstrip("\n").split(" | ", 3)
        if not clip.startswith("clip=") or not message.startswith("msg="):
            raise ValueError(f"not a progress line: {line!r}")
        index = clip.removeprefix("clip=")
        return cls(
            datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            stage,
            None if index == "-" else int(index),
            message.removeprefix("msg="),
        )


def _one_line(text: str) -> str:
    # One event is one line, whatever a library or a hostile file put into its message; no escape codes either.
    return " ".join("".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text).split())
