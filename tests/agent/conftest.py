"""An agent in this process, on a clock that stands still; its worker is a real child on a clock of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from agent.app import create_app
from agent.service import Agent, Setup
from framehaul.clock import CLOCK_URL, ManualClock
from framehaul.contract.jobdir import JobDir
from framehaul.contract.status import JobView
from tests.agent.caller import Caller
from tests.agent.patience import eventually
from tests.agent.vault import Vault
from tests.emulators.clock import ClockServer
from tests.rclone import Rclone


@dataclass(frozen=True)
class Inside:
    """An agent of this process, and a caller that speaks to it."""

    agent: Agent
    caller: Caller
    clock: ManualClock
    home: Path
    worker_clock: ClockServer

    async def work(self, seconds: float = 1) -> None:
        """Move the worker's hour, once the worker waits for it."""
        await asyncio.to_thread(self.worker_clock.advance, seconds, waiting=1)

    async def work_until(self, job_id: str, state: str, reason: str) -> JobView:
        """Let the worker's time pass until a job is there."""

        async def there() -> JobView | None:
            view = await self.caller.view(job_id)
            if (view.status.state, view.status.reason) == (state, reason):
                return view
            self.worker_clock.advance(1)
            return None

        view = await eventually(there)
        assert view
        return view

    async def in_time(self, state: str, reason: str | None = None, job_id: str = "job-1") -> JobView:
        """Move the server's hour while a job is fetched, so that pauses between tries end, until the job is there."""

        async def there() -> JobView | None:
            view = await self.caller.view(job_id)
            if view.status.state == state and reason in {None, view.status.reason}:
                return view
            if view.status.state == "fetching":  # later it is the worker's time, whose silence is watched by this clock
                self.clock.advance(20)
            return None

        view = await eventually(there)
        assert view
        return view

    def folder(self, job_id: str = "job-1") -> JobDir:
        """Name a job's folder."""
        return JobDir.under(self.home, job_id)


class OpenAgent(Protocol):
    """Start an agent on the test's home folder."""

    def __call__(
        self, *, allow_file_grants: bool = False, transport: httpx.BaseTransport | None = None, **told: Any
    ) -> AbstractAsyncContextManager[Inside]:
        """Give the agent for the length of a block; `told` are more of `Setup`'s words."""


@pytest.fixture
def clock() -> ManualClock:
    """The hour as the agent's server knows it."""
    return ManualClock()


@pytest.fixture
def worker_clock() -> Iterator[ClockServer]:
    """The hour as the worker knows it: a copy with a rate stands still until it is moved."""
    with ClockServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """A real S3 server, one for all tests."""
    with Rclone(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def vault(s3_server: Rclone, clock: ManualClock) -> Iterator[Vault]:
    """A bucket of the test's own, behind the proxy."""
    opened = Vault(s3_server, f"results-{len(list(s3_server.folder.iterdir()))}", clock)
    yield opened
    opened.close()


@pytest.fixture
def open_agent(tmp_path: Path, clock: ManualClock, worker_clock: ClockServer) -> OpenAgent:
    """Let a test start, end and start again an agent on one home."""

    @asynccontextmanager
    async def opened(
        *, allow_file_grants: bool = False, transport: httpx.BaseTransport | None = None, **told: Any
    ) -> AsyncIterator[Inside]:
        home = tmp_path / "home"
        setup = Setup(home, clock, allow_file_grants, transport, **told)
        agent = Agent(setup, {**os.environ, CLOCK_URL: worker_clock.url})
        async with agent.running():
            app = httpx.ASGITransport(create_app(agent, None))
            async with httpx.AsyncClient(transport=app, base_url="http://agent") as client:
                yield Inside(agent, Caller(client), clock, home, worker_clock)

    return opened


@pytest.fixture
async def inside(open_agent: OpenAgent) -> AsyncIterator[Inside]:
    """An agent that serves relay and HTTP grants."""
    async with open_agent() as running:
        yield running
