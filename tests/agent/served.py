"""An agent as a program: started, spoken to over HTTPS with its pinned certificate, killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from framehaul.clock import CLOCK_URL
from framehaul.contract.jobdir import JobDir
from framehaul.contract.lease_secret import SECRET_VARIABLE, LeaseSecret
from tests.agent.caller import Caller
from tests.agent.patience import eventually

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Home:
    """What outlives the program: its folder, its secret, and the clock that it asks."""

    path: Path
    secret: LeaseSecret
    clock_url: str | None = None

    def folder(self, job_id: str = "job-1") -> JobDir:
        """Name a job's folder."""
        return JobDir.under(self.path, job_id)

    def environment(self) -> dict[str, str]:
        """Give the program's environment, with secrets that a rented machine would hold."""
        clock = {CLOCK_URL: self.clock_url} if self.clock_url else {}
        return {**os.environ, **clock, SECRET_VARIABLE: self.secret.hex(), "CONTAINER_API_KEY": "instance-key"}


class ServedAgent:
    """One run of the program. Leaving the block kills it."""

    def __init__(self, home: Home, *words: str) -> None:
        self.home = home
        self._port_file = home.path / "port.json"
        self._port_file.unlink(missing_ok=True)
        home.path.mkdir(parents=True, exist_ok=True)
        self.log = home.path / "agent.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "agent",
                    "serve",
                    "--home",
                    str(home.path),
                    "--port-file",
                    str(self._port_file),
                    *words,
                ],
                cwd=ROOT,
                env=home.environment(),
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    async def port(self) -> int:
        """Wait for the port file."""
        await eventually(lambda: self._port_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        told = json.loads(self._port_file.read_text())
        assert told["pid"] == self.pid
        return int(told["port"])

    @asynccontextmanager
    async def client(self, token: str | None = None, *, scheme: str = "https") -> AsyncIterator[httpx.AsyncClient]:
        """Speak to it; a token of "" sends none."""
        told = self.home.secret.token if token is None else token
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.home.secret.certificate_pem.decode())
        context.check_hostname = False  # the one certificate that is trusted is the name
        async with httpx.AsyncClient(
            base_url=f"{scheme}://127.0.0.1:{await self.port()}",
            headers={"Authorization": f"Bearer {told}"} if told else {},
            verify=context,
            trust_env=False,
            timeout=60,
        ) as client:
            yield client

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[Caller]:
        """Speak to it as its controller."""
        async with self.client() as client:
            yield Caller(client)

    async def worker(self) -> int:
        """Wait until a worker is there, and give its process id."""
        return (await eventually(lambda: workers_of(self.pid)))[0]

    async def ended(self) -> int:
        """Wait until the program has ended, and give its exit code."""
        return await asyncio.to_thread(self.process.wait, 120)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)


def run_agent(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def environment_of(pid: int) -> bytes:
    """Read what /proc shows of a process's environment."""
    return (Path("/proc") / str(pid) / "environ").read_bytes()


def mapped_by(pid: int) -> str:
    """Read which files a process has mapped."""
    return (Path("/proc") / str(pid) / "maps").read_text()


def workers_of(pid: int) -> list[int]:
    """List the worker processes whose parent this is."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if (
                entry.name.isdigit()
                and _parent(entry) == pid
                and b"agent.worker_main" in (entry / "cmdline").read_bytes()
            ):
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be buried does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
