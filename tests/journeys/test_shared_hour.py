"""Proofs that span minutes, on one clock that laptop, agent and worker share and the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framehaul.clock import CLOCK_URL
from framehaul.contract.jobdir import JobDir
from framehaul.contract.manifest import Manifest
from framehaul.contract.states import JobState, LeaseState
from tests.emulators.clock import ClockServer
from tests.journeys.passing import FAST_S, SLOWLY_S, passing
from tests.journeys.person import Person, eventually

Blob = Callable[[str, int], Path]


@pytest.fixture
def hour() -> Iterator[ClockServer]:
    """The shared clock."""
    server = ClockServer()
    yield server
    server.close()


def test_an_agent_that_nobody_talks_to_finishes_what_it_has_and_leaves(
    person: Person, blob: Blob, hour: ClockServer
) -> None:
    """Controller killed for good: the agent does the shipped job, waits out TTL and grace, and ends by itself.

    The result stays on its disk; whoever comes later brings it home without doing the work again.
    """
    person.environment[CLOCK_URL] = hour.url
    source = blob("x.bin", 20_000)
    with passing(hour, SLOWLY_S):
        command = person.copies(source, rate=100)  # 200 seconds of work
        eventually("the job runs", person.drafts)
    person.kills(command)
    (lease,) = person.leases()
    began = hour.hour.told()["now"]

    with passing(hour, FAST_S):
        eventually("the agent left by itself", lambda: not person.agents())
    left = hour.hour.told()["now"]
    (folder,) = person.job_folders()
    made = Manifest.model_validate_json(JobDir(folder).manifest.read_bytes())
    with passing(hour, SLOWLY_S):
        ended = person.runs("resume")

    assert left - began >= 720, "it waited for TTL and grace"
    assert ended.code == 0, ended.text
    (job,) = person.jobs()
    assert (job.state, job.attempt) == (JobState.PUBLISHED, 1)
    assert made.finished_at <= left, "the work was done before anyone came back"
    (result,) = person.out.glob("x_result_*.bin")
    assert result.read_bytes() == source.read_bytes()
    (home,) = person.out.glob("x_result_*.manifest.json")
    assert Manifest.model_validate_json(home.read_bytes()) == made, "fetched, not made again"
    (after,) = person.leases()
    assert (after.id, after.state) == (lease.id, LeaseState.GONE)
