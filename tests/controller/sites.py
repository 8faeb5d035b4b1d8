"""A whole batch at work: inputs and outputs in folders, a cloud in memory, an engine that carries it out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from controller.desk import Desk
from controller.engine import Engine
from controller.ledger import Batch, Job
from controller.ledger.rows import WishWord
from controller.planning import make_plan, write_batch
from controller.settings import Settings
from tests.controller.agents import Agents
from tests.controller.clouds import Cloud
from tests.controller.hours import Hours, ended


class Site:
    """One laptop with its folders, and what it rents."""

    def __init__(self, folder: Path, desk: Desk, cloud: Cloud, clock: Hours, agents: Agents) -> None:
        self.desk, self.cloud, self.clock = desk, cloud, clock
        self.inputs, self.outputs = folder / "in", folder / "out"
        self.agents = agents
        self._running: asyncio.Task[None] | None = None

    def plan(self, *names: str, **settings: Any) -> Batch:
        """Write inputs, and a batch that copies them."""
        self.inputs.mkdir(exist_ok=True)
        for name in names:
            (self.inputs / name).write_bytes(f"the bytes of {name}".encode() * 100)
        fields = {"inputs": tuple(str(self.inputs / name) for name in names), "to": str(self.outputs)}
        return self.written(**(fields | settings))

    def written(self, **settings: Any) -> Batch:
        """Write a batch that copies what the settings name."""
        fields: dict[str, Any] = {
            "provider": "cloud",
            "pipeline": "copy",
            "verify": "full",
        }
        chosen = Settings(**(fields | settings))
        planned = make_plan(chosen, self.desk.ledger, self.desk.stores, self.clock.now())
        return write_batch(planned, chosen, self.desk.ledger)

    def engine(self, desk: Desk | None = None) -> Engine:
        """Make an engine; each is a fresh process as far as it knows."""
        return Engine(desk or self.desk, lambda name: self.cloud, self.agents.open_channel)

    def start(self) -> asyncio.Task[None]:
        """Let an engine begin."""
        self._running = asyncio.create_task(self.engine().run())
        return self._running

    async def kill(self) -> None:
        """End the engine in the middle of whatever it does."""
        assert self._running is not None
        await ended(self._running)

    async def run(self, *, within_s: float = 3600.0) -> None:
        """Run an engine to its end."""
        await self.clock.finish(self.start(), within_s=within_s)

    def job(self, number: int = 1) -> Job:
        """Read a job of the only batch."""
        return self.desk.ledger.jobs()[number - 1]

    def states(self) -> list[str]:
        """List the states of all jobs."""
        return [str(job.state) for job in self.desk.ledger.jobs()]

    def results(self) -> list[str]:
        """List what lies in the output folder, done-markers aside."""
        if not self.outputs.is_dir():
            return []
        return sorted(path.name for path in self.outputs.iterdir() if path.is_file())

    def result(self, job: Job) -> bytes:
        """Read a job's output."""
        return (self.outputs / job.outputs[0].name).read_bytes()

    def machines_tried(self, job: Job) -> list[str]:
        """List the machines of every attempt."""
        return [attempt.machine_id for attempt in self.desk.ledger.attempts(job.id)]

    def wish(self, wish: WishWord) -> None:
        """Leave a word, as `framehaul stop` does."""
        self.desk.ledger.wish(wish)

    def assert_nothing_bills(self) -> None:
        """Hold that no machine is left, in the cloud or in the ledger."""
        assert self.cloud.alive() == []
        assert self.desk.ledger.leases(alive=True) == []
