"""A worker that is killed while it enlarges a real video ends its attempt at once, and leaves nothing half made."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.status import JobStatus
from tests.agent.caller import Caller
from tests.agent.labours import assert_next_job_is_done, draft_of, frozen, leftovers
from tests.agent.letters import enhancement
from tests.agent.patience import eventually
from tests.agent.served import ROOT, Home, ServedAgent, alive
from tests.media.clips import one_second

pytestmark = pytest.mark.slow

_FRAMES = 24


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home folder and a lease's secret."""
    return Home(tmp_path / "home", LeaseSecret.new())


async def _until_done(caller: Caller, least: int) -> JobStatus:
    async def there() -> JobStatus | None:
        status = (await caller.view("job-1")).status
        assert status.state == "running", status.message
        return status if status.done >= least and status.stage not in {"start", "load"} else None

    status = await eventually(there)
    assert status
    return status


async def _assert_ends_at_once(caller: Caller, home: Home, worker: int) -> str:
    """Kill the worker; give what the attempt says of it."""
    began = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    failed = await caller.until("job-1", "failed", "worker-died")

    assert time.monotonic() - began < 2
    assert leftovers(home.folder()) == []
    assert not alive(worker)
    assert failed.status.message.startswith("The worker was killed by SIGKILL.")
    return failed.status.message


@pytest.mark.parametrize("done", [0, _FRAMES], ids=["before-the-first-frame", "after-the-last-frame"])
async def test_killed_at_an_edge(home: Home, tmp_path: Path, done: int) -> None:
    """Before its first frame, and with all frames computed but the file unfinished, a killed worker is known at once.

    The encoder writes into a pipe: without a reader it waits before the first frame, with one that never reads it
    waits at the end.
    """
    source = one_second(tmp_path / "clip.mkv")
    spec = enhancement("job-1", source)
    with ServedAgent(home) as served:
        async with served.caller() as caller:
            worker = await frozen(served, caller, spec, source.read_bytes())
            pipe = draft_of(home.folder(), spec)
            os.mkfifo(pipe)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if done else None
            if reader is not None:
                fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
            os.kill(worker, signal.SIGCONT)
            status = await _until_done(caller, done)
            assert status.done == done

            message = await _assert_ends_at_once(caller, home, worker)

            assert ("at frame 24 of 24" if done else "in the stage") in message
            if reader is not None:
                os.close(reader)
            await assert_next_job_is_done(caller)
            assert await served.worker() != worker


async def test_killed_in_the_middle(home: Home) -> None:
    """Some frames into a video the half file goes with the worker, and the same order's next attempt succeeds."""
    source = ROOT / "samples" / "clip.mp4"
    spec = enhancement("job-1", source)
    with ServedAgent(home) as served:
        async with served.caller() as caller:
            await caller.ship(spec, source.read_bytes())
            status = await _until_done(caller, 1)
            assert status.total
            assert 0 < status.done < status.total
            assert leftovers(home.folder()) == ["job-1.mp4.part"]
            worker = await served.worker()

            message = await _assert_ends_at_once(caller, home, worker)

            assert f"of {status.total}." in message
            small = one_second(home.path / "small.mp4")
            again = enhancement("job-1", small, attempt=2)
            await caller.ship(again, small.read_bytes())
            assert len(await caller.pick_up("job-1")) > 0
            assert await served.worker() != worker
