"""A person with a laptop: types framehaul's commands into real processes and looks at what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from controller.ledger import Job, Lease, Ledger
from controller.providers.local import MARK
from controller.state import StateFolder
from framehaul.clock import SystemClock

PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.05


@dataclass
class Person:
    """One laptop: a state folder, an environment, and the processes started from it."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    typed: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def state(self) -> StateFolder:
        """The laptop's memory."""
        return StateFolder.choose(self.home / "state")

    @property
    def out(self) -> Path:
        """Where results go unless a test says otherwise."""
        return self.home / "out"

    def types(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and go on."""
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=self.home,
            env={**os.environ, "FRAMEHAUL_STATE": str(self.home / "state"), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.typed.append(process)
        return process

    def ends(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for a command's end."""
        text, _ = process.communicate(timeout=PATIENCE_S)
        return Ended(process.returncode, text)

    def runs(self, *words: str) -> Ended:
        """Type a command and wait for its end."""
        return self.ends(self.types(*words))

    def copies(self, *inputs: Path, rate: int | None = None, more: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a run of the copy pipeline, slow where a rate in bytes per second is given."""
        slow = [] if rate is None else ["--param", f"rate_bytes_s={rate}"]
        return self.types("run", *map(str, inputs), "--pipeline", "copy", *slow, "--to", str(self.out), *more)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger to look."""
        ledger = Ledger(self.state.ledger, SystemClock())
        try:
            yield ledger
        finally:
            ledger.close()

    def jobs(self) -> list[Job]:
        """Read the jobs."""
        with self.ledger() as ledger:
            return ledger.jobs()

    def leases(self) -> list[Lease]:
        """Read the leases."""
        with self.ledger() as ledger:
            return ledger.leases()

    def results(self) -> dict[str, Any]:
        """Read results.json."""
        found: dict[str, Any] = json.loads((self.out / "results.json").read_text())
        return found

    def agents(self) -> list[psutil.Process]:
        """List every process that carries the mark of this laptop's local cloud."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def workers(self) -> list[psutil.Process]:
        """List the worker processes among them."""
        return [process for process in self.agents() if any("worker_main" in word for word in _words(process))]

    def job_folders(self) -> list[Path]:
        """List the job folders on the machines that exist."""
        return sorted((self.home / "state" / "local-cloud").glob("*/home/jobs/*"))

    def drafts(self) -> list[Path]:
        """List the outputs that workers are writing now: proof that a job is in the middle of its work."""
        return [draft for folder in self.job_folders() for draft in folder.glob("parts/*_result_*.part")]

    def kills(self, process: subprocess.Popen[str]) -> None:
        """Send SIGKILL to a command."""
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()

    def leaves(self) -> None:
        """End whatever a test left behind, so that no test pays for another's."""
        for process in self.typed:
            if process.poll() is None:
                self.kills(process)
            elif process.stdout is not None:
                process.stdout.close()
        for stray in self.agents():
            stray.kill()

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            mark = process.environ().get(MARK, "")
            return mark.startswith(str(self.home.resolve())) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


@dataclass(frozen=True)
class Ended:
    """A command that is over: its exit code and all that it printed."""

    code: int
    text: str


def eventually(what: str, true: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Look again and again until something is true of other processes; give it."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        found = true()
        if found:
            return found
        threading.Event().wait(_LOOK_EVERY_S)
    raise AssertionError(f"not seen within {patience_s:.0f} s: {what}")


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
