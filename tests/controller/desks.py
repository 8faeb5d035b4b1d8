"""A desk to work at: ledger, state folder, a clock that stands still, and somebody who listens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.desk import Desk
from controller.ledger import Batch, Job, Lease, Ledger
from controller.ledger.rows import WishWord
from controller.overview import Overview
from controller.state import StateFolder
from framehaul.clock import Clock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.states import LeaseReason, LeaseState
from framehaul.contract.status import JobStatus
from framehaul.storage.base import Stores

HOUR = 1_800_000_000.0

# The order of a job that nobody will carry out.
SPEC: dict[str, Any] = {
    "job_id": "b-1-00001",
    "attempt": 1,
    "batch_id": "b-1",
    "pipeline": "copy",
    "pipeline_digest": "1" * 64,
    "params": {},
    "params_digest": "2" * 64,
    "inputs": [],
    "outputs": [{"slot": "result", "name": "out.mp4"}],
    "manifest_name": "out.mp4.manifest.json",
    "created_at": HOUR,
}


class Listener:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.leases: list[tuple[str, str]] = []
        self.jobs: list[tuple[str, str]] = []
        self.transfers: list[tuple[str, int, int | None]] = []
        self.overviews: list[Overview] = []
        # Who wants to act in the moment in which bytes pass through the laptop, or a job moves.
        self.when_passing: Callable[[str], None] = lambda what: None
        self.when_moved: Callable[[Job], None] = lambda job: None

    def say(self, text: str) -> None:
        """Remember a sentence."""
        self.said.append(text)

    def on_lease(self, lease: Lease) -> None:
        """Remember a lease's move."""
        self.leases.append((lease.id, str(lease.state)))

    def on_job(self, job: Job) -> None:
        """Remember a job's move."""
        self.jobs.append((job.name, str(job.state)))
        self.when_moved(job)

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Hear it, and forget."""

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Remember how far it got."""
        self.transfers.append((what, done, total))
        self.when_passing(what)

    def on_overview(self, overview: Overview) -> None:
        """Remember how the whole stood."""
        self.overviews.append(overview)


def open_desk(folder: Path, clock: Clock) -> Desk:
    """Set up a desk in a folder; two desks on one folder are two processes' view."""
    folder.mkdir(parents=True, exist_ok=True)
    state = StateFolder(folder)
    return Desk(Ledger(state.ledger, clock), state, clock, Listener(), Stores())


def heard(desk: Desk) -> Listener:
    """Give the desk's listener."""
    assert isinstance(desk.observer, Listener)
    return desk.observer


def a_batch(batch_id: str = "b-1", **changes: Any) -> Batch:
    """Write a batch of copies."""
    fields: dict[str, Any] = {
        "id": batch_id,
        "created_at": HOUR,
        "provider": "cloud",
        "pipeline": "copy",
        "params": {},
        "params_digest": "0" * 64,
        "target": "file:///nowhere/out/",
        "options": {"max_instances": 1, "verify": "full"},
        "wish": WishWord.RUN,
    }
    return Batch(**(fields | changes))


def a_job_row(batch_id: str = "b-1", number: int = 1, **changes: Any) -> dict[str, Any]:
    """Write the row of a planned copy of ten bytes."""
    fields: dict[str, Any] = {
        "id": f"{batch_id}-{number:05d}",
        "batch_id": batch_id,
        "seq": number,
        "state": "planned",
        "reason": "none",
        "message": "",
        "source": f"file:///nowhere/in/clip{number}.mp4",
        "name": f"clip{number}.mp4",
        "size": 10,
        "fingerprint": f"disk:10:{number}",
        "outputs": {
            "slots": [{"slot": "result", "name": f"clip{number}_result.mp4"}],
            "manifest": f"clip{number}_result.mp4.manifest.json",
        },
        "folder": "",
        "frames": None,
        "attempt": 0,
        "lease_id": None,
        "spec": None,
        "receipt": None,
        "figures": {},
        "created_at": HOUR,
        "updated_at": HOUR,
    }
    return fields | changes


def a_lease(lease_id: str = "a1", **changes: Any) -> Lease:
    """Write an intended lease."""
    fields: dict[str, Any] = {
        "id": lease_id,
        "label": f"fh-abc-{lease_id}-{int(HOUR) + 86400}",
        "provider": "cloud",
        "state": LeaseState.INTENDED,
        "reason": LeaseReason.NONE,
        "message": "",
        "offer_id": "offer-m1",
        "machine_id": "m1",
        "gpu": "GPU of m1",
        "dollars_per_hour": 0.36,
        "secret": LeaseSecret(b"\x11" * 32),
        "ref": None,
        "deadline": HOUR + 86400,
        "boot_deadline": HOUR + 120,
        "restarts": 0,
        "intended_at": HOUR,
        "rented_at": None,
        "ready_at": None,
        "heartbeat_at": None,
        "gone_at": None,
    }
    return Lease(**(fields | changes))
