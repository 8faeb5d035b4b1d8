"""A real agent that is killed at a random byte of a transfer, and started again on its folder: it goes on from there.

The proxy before the store holds all bodies at the chosen byte, so that the agent dies in the middle of just that one.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from framehaul.clock import SystemClock
from framehaul.contract.jobdir import JobDir
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.spec import InputSpec, JobSpec
from tests.agent.caller import Caller
from tests.agent.letters import grants, order
from tests.agent.patience import eventually
from tests.agent.served import Home, ServedAgent
from tests.agent.vault import Vault, film
from tests.rclone import Rclone

pytestmark = pytest.mark.slow

_BYTES = 5_000_000
_FIRST_PART_BYTES = 512 << 10  # nine parts
_KILLS = 10
_SOURCE = "clip.mp4"
_RESULT = "job-1.mp4"


@pytest.fixture
def vault(s3_server: Rclone, tmp_path: Path) -> Iterator[Vault]:
    """A bucket of the test's own, behind the proxy, in the hour in which the agent lives."""
    opened = Vault(s3_server, f"killed-{tmp_path.name.replace('_', '-').lower()}"[:60], SystemClock())
    yield opened
    opened.close()


class Struck:
    """An agent's home, and the runs of the program on it, each killed at a byte."""

    def __init__(self, home: Path, vault: Vault) -> None:
        self.home = Home(home, LeaseSecret.new())
        self._vault = vault

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Caller]:
        """Start the program, and kill it at the end of the block."""
        with ServedAgent(self.home) as served:
            async with served.caller() as caller:
                yield caller

    async def dies_at(
        self, count: int, operation: str, spec: JobSpec | None = None, *, after: Callable[[], bool] = lambda: True
    ) -> None:
        """Let so many more bytes of these bodies pass, and kill the agent while the next one is awaited.

        At once, when some of them are still on their way, or `after` something has become true.
        """
        held = self._vault.proxy.fault("stall", operation=operation, total_bytes=count)
        assert held
        with ServedAgent(self.home) as served:
            if spec:
                async with served.caller() as caller:
                    await self._ship(caller, spec)
            await eventually(held.struck.is_set)
            await eventually(after)
            os.kill(served.pid, signal.SIGKILL)
            await served.ended()
        self._vault.proxy.mend("stall")

    async def _ship(self, caller: Caller, spec: JobSpec) -> None:
        assert (await caller.put_job(spec)).status_code == 201
        outputs = self._vault.outputs(spec)
        outputs["result"] = outputs["result"].model_copy(update={"first_part_bytes": _FIRST_PART_BYTES})
        granted = grants(spec, source=self._vault.reading(_SOURCE), outputs=outputs)
        reply = await caller.put_grants(granted)
        assert reply.status_code == 200, reply.text


def _kill_points(seed: int, total: int) -> list[int]:
    """Choose where to die, as counts of bytes from one death to the next; the last bytes come in peace."""
    chosen = sorted(Random(seed).sample(range(1, total), _KILLS))
    return [later - earlier for earlier, later in pairwise([0, *chosen])]


def _spec(vault: Vault, data: bytes) -> JobSpec:
    vault.lay(_SOURCE, data)
    entry = InputSpec(slot="source", name=_SOURCE, size=len(data), fingerprint=vault.fingerprint(_SOURCE))
    return order(data=data, inputs=(entry,))


@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_while_it_fetches(tmp_path: Path, vault: Vault, seed: int) -> None:
    """Ten deaths in one download: each run asks for what the disk lacks, and the file is the object, bit by bit."""
    data = film(_BYTES, seed)
    spec = _spec(vault, data)
    struck = Struck(tmp_path / "home", vault)
    part = struck.home.folder().parts / "source.in.part"
    on_disk = [0]
    for number, count in enumerate(_kill_points(seed, _BYTES)):
        # Every other time as soon as all that was let through is on the disk.
        goal = on_disk[-1] + count if number % 2 else 0
        await struck.dies_at(count, "GetObject", None if number else spec, after=partial(_holds, part, goal))
        on_disk.append(_size(part))
        assert not on_disk[-1] or part.read_bytes() == data[: on_disk[-1]]

    async with struck.run() as caller:
        await caller.until("job-1", "delivered")

    asked = [entry["range"] for entry in vault.proxy.log(operation="GetObject") if entry["key"].endswith(_SOURCE)]
    assert asked == [f"bytes={size}-" if size else None for size in on_disk]
    assert on_disk == sorted(on_disk)  # what came before a death was kept
    assert vault.read(_RESULT) == data


@pytest.mark.parametrize("seed", [3, 4])
async def test_killed_while_it_delivers(tmp_path: Path, vault: Vault, seed: int) -> None:
    """Ten deaths in one upload: parts that the store confirmed are not sent again, and nothing wrong is ever there."""
    data = film(_BYTES, seed)
    spec = _spec(vault, data)
    struck = Struck(tmp_path / "home", vault)
    noted: set[int] = set()
    for number, count in enumerate(_kill_points(seed, _BYTES)):
        vault.proxy.forget()
        await struck.dies_at(count, "UploadPart", None if number else spec)
        assert not noted & set(vault.sent_parts())
        assert vault.read(_RESULT) is None
        noted = _noted(struck.home.folder())

    vault.proxy.forget()
    async with struck.run() as caller:
        while vault.read(_RESULT) is None:
            assert (await caller.view("job-1")).status.state != "failed"
        assert vault.read(_RESULT) == data  # whole from the first look on
        await caller.until("job-1", "delivered")

    assert not noted & set(vault.sent_parts())
    assert vault.leftovers() == []


def _holds(path: Path, count: int) -> bool:
    return not count or _size(path) == count


def _noted(folder: JobDir) -> set[int]:
    """Read from the journal which of the result's parts the store has confirmed."""
    entries = map(json.loads, folder.journal.read_text().splitlines() if folder.journal.exists() else ())
    return {entry["number"] for entry in entries if entry["event"] == "part" and entry["slot"] == "result"}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
