"""Real enlargements on a served agent, held still at the very point where a test wants to strike."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from framehaul.contract.jobdir import JobDir
from framehaul.contract.spec import JobSpec
from tests.agent.caller import Caller
from tests.agent.letters import MOVIE, order
from tests.agent.served import ServedAgent


def draft_of(folder: JobDir, spec: JobSpec) -> Path:
    """Say where the encoder writes until its output is whole."""
    return folder.outputs / f"{spec.outputs[0].name}.part"


def leftovers(folder: JobDir) -> list[str]:
    """List what lies in the folders of outputs and intermediates."""
    return sorted(path.name for place in (folder.outputs, folder.parts) for path in place.iterdir())


async def frozen(served: ServedAgent, caller: Caller, spec: JobSpec, data: bytes) -> int:
    """Ship a job to a worker that is stopped (SIGSTOP) before it hears of it; give the worker.

    The attempt is running by then, its folders are clean, and nothing in them is opened until SIGCONT.
    """
    await caller.ship(order("warm-up"))
    await caller.pick_up("warm-up")
    worker = await served.worker()
    os.kill(worker, signal.SIGSTOP)
    await caller.ship(spec, data)
    await caller.until(spec.job_id, "running")
    return worker


async def assert_next_job_is_done(caller: Caller) -> None:
    """Hold that the agent goes on with what comes next."""
    await caller.ship(order("next"))
    assert await caller.pick_up("next") == MOVIE
