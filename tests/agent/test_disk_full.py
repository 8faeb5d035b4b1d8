"""A disk that fills up while a real video is encoded fails that attempt by its name, and nothing else."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from framehaul.contract.lease_secret import LeaseSecret
from tests.agent.labours import assert_next_job_is_done, draft_of, frozen, leftovers
from tests.agent.letters import enhancement
from tests.agent.served import Home, ServedAgent
from tests.media.clips import one_second

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shortage", ["no-byte-fits", "half-fits"])
async def test_disk_that_fills_up_while_encoding(tmp_path: Path, shortage: str) -> None:
    """The job fails as disk-full with a sentence, its half file is removed, and the agent does the next one.

    /dev/full in the draft's place answers "no space left" to the first byte; a limit on the size of files
    (RLIMIT_FSIZE) lets some through. Neither asks for root.
    """
    source = one_second(tmp_path / "clip.mp4")
    spec = enhancement("job-1", source)
    home = Home(tmp_path / "home", LeaseSecret.new())
    with ServedAgent(home) as served:
        async with served.caller() as caller:
            worker = await frozen(served, caller, spec, source.read_bytes())
            if shortage == "no-byte-fits":
                draft_of(home.folder(), spec).symlink_to("/dev/full")
            else:
                resource.prlimit(worker, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
            os.kill(worker, signal.SIGCONT)

            failed = await caller.until("job-1", "failed", "disk-full")

            assert failed.status.message.startswith("job-1.mp4 cannot be ")
            assert failed.status.message.endswith("Make room, or rent more disk.")
            assert leftovers(home.folder()) == []
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await assert_next_job_is_done(caller)
            assert await served.worker() == worker
