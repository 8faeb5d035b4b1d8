"""This machine as a cloud: one real agent process per lease, destroyed with its whole process group.

An instance is a folder (its disk) and, while it runs, a process group. The folder is made before the process and
removed after it, and every process of an instance carries the instance's mark in its environment, so that no crash
of the controller, at any point, can hide one: `instances` reads folders and the process table, and remembers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

import framehaul
from controller.errors import ConfigError, ProviderError
from controller.providers.base import Instance, InstanceState, Offer, RentOrder
from framehaul.atomic import write_atomic
from framehaul.clock import CLOCK_URL, Clock
from framehaul.contract.lease_secret import SECRET_VARIABLE
from framehaul.contract.pipeline import Needs

MARK = "FRAMEHAUL_INSTANCE"
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,95}")
# How long a process may be without its environment, and how often one looks.
_BIRTH_S, _BIRTH_LOOK_S = 5.0, 0.001
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", CLOCK_URL)
_TREE = Path(framehaul.__file__).resolve().parent.parent


class LocalOptions(BaseModel):
    """What config.yaml may say under `providers: local:`."""

    model_config = ConfigDict(extra="forbid")

    # A command put before the agent's, such as [nice, -n, "10"] or [systemd-run, --user, --scope].
    launcher: list[str] = []

    @field_validator("launcher")
    @classmethod
    def _there(cls, command: list[str]) -> list[str]:
        """Find the program now: when a machine is rented it is late, and the agent runs in another folder."""
        if not command:
            return command
        program = shutil.which(command[0])
        if program is None:
            raise ValueError(f"there is no program {command[0]!r} here; install it, or take the launcher out")
        return [str(Path(program).absolute()), *command[1:]]


OPTIONS = LocalOptions


class LocalProvider:
    """The cloud that costs nothing."""

    absence_pauses_s: Sequence[float] = ()  # the process table does not lag
    boot_timeout_s = 60.0
    remote = False
    runs_here = True
    exclusive = True

    def __init__(self, folder: Path, clock: Clock, options: LocalOptions | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._options = options or LocalOptions()

    async def offers(self, needs: Needs) -> list[Offer]:
        """Offer this machine, if its disk can hold the work."""
        with _disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            free_gb = shutil.disk_usage(self._folder).free / 1e9
        if free_gb < needs.disk_gb:
            return []
        return [Offer("this-machine", "this-machine", "this machine", 0.0, disk_gb=free_gb)]

    async def rent(self, offer: Offer, order: RentOrder) -> str:
        """Make the folder, then start an agent in it."""
        home = self._home(order.label)
        with _disk_errors():
            home.mkdir(parents=True, mode=0o700)
            await self._spawn(order.label, order.secret.hex())
        return order.label

    async def instances(self) -> list[Instance]:
        """Read folders and the process table."""
        running = await asyncio.to_thread(self._processes)
        folders = {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()
        return [self._instance(label, running.get(label, [])) for label in sorted(folders | set(running))]

    async def start(self, ref: str) -> None:
        """Start an agent again on the folder that is there."""
        if not self._home(ref).is_dir():
            raise ProviderError(f"There is no instance {ref} to start.")
        if not (await asyncio.to_thread(self._processes)).get(ref):
            with _disk_errors():
                (self._home(ref) / "port.json").unlink(missing_ok=True)
                await self._spawn(ref, (self._home(ref) / "secret").read_text())

    async def destroy(self, ref: str) -> None:
        """Kill every process of the instance, then remove its folder."""
        await asyncio.to_thread(self._kill, ref)
        home = self._home(ref)
        if home.exists():
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)

    def _home(self, label: str) -> Path:
        if not _LABEL.fullmatch(label):
            raise ProviderError(f"Not an instance of this machine: {label!r}.")
        return self._folder / label

    async def _spawn(self, label: str, secret: str) -> None:
        home = self._home(label)
        # An instance must be able to start again after its controller is gone; the folder is 0700.
        write_atomic(home / "secret", secret, mode=0o600)
        command = [*self._options.launcher, sys.executable, "-m", "agent", "serve"]
        command += ["--home", str(home / "home"), "--port-file", str(home / "port.json")]
        with (home / "agent.log").open("ab") as log:
            try:
                process = await asyncio.to_thread(
                    _born,
                    command,
                    cwd=home,
                    env=self._environment(home, label, secret),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as exc:
                raise ProviderError(f"The agent could not be started: {exc}.") from exc
        # Reap it when it ends, so that it never lingers in the process table as ours.
        _REAPED.append(process)

    def _environment(self, home: Path, label: str, secret: str) -> dict[str, str]:
        """Give an agent what it needs by name, so that nothing of the user's environment comes along."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return passed | {
            "HOME": str(home),
            "PYTHONPATH": str(_TREE),
            "PYTHONUNBUFFERED": "1",
            SECRET_VARIABLE: secret,
            MARK: str(home),
        }

    def _processes(self) -> dict[str, list[psutil.Process]]:
        """Find the processes that carry a mark of this cloud's folder, by label."""
        _REAPED[:] = [process for process in _REAPED if process.poll() is None]
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mark = process.environ().get(MARK)
                if mark and Path(mark).parent == self._folder and process.status() != psutil.STATUS_ZOMBIE:
                    found.setdefault(Path(mark).name, []).append(process)
        return found

    def _instance(self, label: str, processes: Sequence[psutil.Process]) -> Instance:
        if not processes:
            return Instance(label, label, InstanceState.EXITED, None, self._last_words(label))
        try:
            port = int(json.loads((self._folder / label / "port.json").read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return Instance(label, label, InstanceState.STARTING, None)
        return Instance(label, label, InstanceState.RUNNING, ("127.0.0.1", port))

    def _last_words(self, label: str) -> str:
        try:
            lines = (self._folder / label / "agent.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def _kill(self, label: str) -> None:
        """Signal the groups, then whatever still carries the mark; loop, since a process may fork meanwhile."""
        for _ in range(10):
            processes = self._processes().get(label, [])
            if not processes:
                return
            for process in processes:
                with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
                    if os.getpgid(process.pid) == process.pid:
                        os.killpg(process.pid, signal.SIGKILL)
                    process.kill()
            psutil.wait_procs(processes, timeout=5)
        raise ProviderError(f"Processes of {label} survive SIGKILL.", unpaid=(label,))


_REAPED: list[subprocess.Popen[bytes]] = []


def _born(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process, and wait until the kernel shows its mark.

    For a moment after exec a process has no environment yet: who looked then would not find the instance, and a
    `destroy` would miss it.
    """
    process = subprocess.Popen(command, **options)
    until = time.monotonic() + _BIRTH_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(psutil.Error, OSError):
            if MARK in psutil.Process(process.pid).environ():
                break
        time.sleep(_BIRTH_LOOK_S)
    return process


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Let what the disk refuses be an error of this cloud: a purchase that failed, not a fault of the program."""
    try:
        yield
    except OSError as exc:
        raise ProviderError(f"This machine's disk refuses: {exc}.") from exc


def open_provider(options: Mapping[str, Any], *, state: Path, clock: Clock, platform: str = os.name) -> LocalProvider:
    """Open this machine as a cloud, its instances below the state folder."""
    try:
        parsed = LocalOptions.model_validate(dict(options))
    except ValidationError as exc:
        raise ConfigError(f"providers.local: {exc.errors()[0]['msg'].removeprefix('Value error, ')}.") from exc
    if platform != "posix":
        raise ConfigError("The provider 'local' needs Linux or macOS.")
    return LocalProvider((state / "local-cloud").resolve(), clock, parsed)
