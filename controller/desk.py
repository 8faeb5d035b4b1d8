"""What every part of the controller works with: the ledger, the state folder, the clock, and who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controller.ledger import Job, Lease, Ledger
from controller.overview import Overview
from controller.state import StateFolder
from framehaul.clock import Clock
from framehaul.contract.status import JobStatus
from framehaul.storage.base import Stores


class Observer(Protocol):
    """Someone who is told what happens: a terminal, a log, a test."""

    def say(self, text: str) -> None:
        """Hear one sentence."""

    def on_lease(self, lease: Lease) -> None:
        """Hear that a lease moved."""

    def on_job(self, job: Job) -> None:
        """Hear that a job moved."""

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Hear how an attempt stands; called at every poll."""

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Hear how many bytes of an input or output have passed through the laptop."""

    def on_overview(self, overview: Overview) -> None:
        """Hear how the whole stands; called at every tick."""


@dataclass(frozen=True)
class Desk:
    """Passed to whoever acts."""

    ledger: Ledger
    state: StateFolder
    clock: Clock
    observer: Observer
    stores: Stores
