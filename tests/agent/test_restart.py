"""An agent that was killed goes on where the disk says it was, and makes nothing twice that is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.jobs.journal import COMPUTED, Journal
from framehaul.contract.jobdir import JobDir
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.receipt import Receipt, Sentinel
from tests.agent.caller import Caller
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, grants, order
from tests.agent.patience import eventually
from tests.agent.served import Home, ServedAgent
from tests.emulators.clock import ClockServer


async def _in_the_middle(caller: Caller, clock: ClockServer) -> None:
    """Wait until the worker has done some of its job."""

    async def some() -> bool:
        clock.advance(1)
        return (await caller.view("job-1")).status.done > 0

    await eventually(some)


async def _until_made(caller: Caller, clock: ClockServer) -> Receipt:
    async def made() -> Receipt | None:
        clock.advance(1)
        return (await caller.view("job-1")).receipt

    receipt = await eventually(made)
    assert receipt
    return receipt


async def test_killed_in_the_middle_of_the_work(tmp_path: Path, worker_clock: ClockServer) -> None:
    """A server that is killed while its worker computes takes the job up again, alone, and finishes it."""
    home = Home(tmp_path / "home", LeaseSecret.new(), worker_clock.url)
    with ServedAgent(home) as first:
        async with first.caller() as caller:
            await caller.ship(order(rate_bytes_s=1000))
            await _in_the_middle(caller, worker_clock)

    with ServedAgent(home) as second:
        async with second.caller() as caller:
            await _until_made(caller, worker_clock)
            assert await caller.pick_up("job-1") == MOVIE
            story = (await caller.log("job-1")).text

    assert story.count("copy begins") == 2
    assert "agent-restarted" in story


async def test_killed_while_delivering(tmp_path: Path, worker_clock: ClockServer) -> None:
    """What was computed is served after a crash, with the same receipt; no worker is even started."""
    home = Home(tmp_path / "home", LeaseSecret.new(), worker_clock.url)
    with ServedAgent(home) as first:
        async with first.caller() as caller:
            await caller.ship(order())
            made = await caller.receipt("job-1")
            await caller.received("job-1", made.output("manifest"))

    with ServedAgent(home) as second:
        async with second.caller() as caller:
            again = await caller.receipt("job-1")
            assert (await caller.get_output("job-1")).content == MOVIE
            assert (await caller.received("job-1", again.output("result"))).json()["status"]["state"] == "delivered"

    assert again == made
    assert Sentinel.model_validate_json(home.folder().sentinel.read_bytes()).vouches_for(made)
    assert second.log.read_text().count(": started") == 1


async def test_delivered_jobs_stay_known(open_agent: OpenAgent) -> None:
    """A final job is final after a restart, and is not walked again."""
    async with open_agent() as first:
        await first.caller.ship(order())
        await first.caller.pick_up("job-1")

    async with open_agent() as second:
        assert (await second.caller.view("job-1")).status.state == "delivered"
        assert not second.agent.queue.busy()


async def _computed_only(inside: Inside) -> None:
    """Bring a job to where its outputs lie and the journal vouches for them, but nothing else is written."""
    await inside.caller.ship(order())
    await inside.caller.receipt("job-1")


def _as_if_killed_right_after_the_work(folder: JobDir) -> None:
    status = json.loads(folder.status.read_text())
    folder.status.write_text(json.dumps(status | {"state": "running", "reason": "none"}))
    for path in (folder.receipt, folder.manifest, folder.outputs / "job-1.mp4.manifest.json"):
        path.unlink()


async def test_killed_between_work_and_receipt(open_agent: OpenAgent) -> None:
    """Outputs that the journal vouches for are hashed and handed over, not made again."""
    async with open_agent() as first:
        await _computed_only(first)
        folder = first.folder()
        finished_at = json.loads(folder.manifest.read_text())["finished_at"]
    _as_if_killed_right_after_the_work(folder)

    async with open_agent() as second:
        second.clock.advance(1000)
        assert await second.caller.pick_up("job-1") == MOVIE

    assert json.loads(folder.manifest.read_text())["finished_at"] == finished_at
    assert folder.progress_log.read_text().count("copy begins") == 1


@pytest.mark.parametrize("damage", ["no-journal", "short-output"])
async def test_outputs_without_a_voucher_are_made_again(open_agent: OpenAgent, damage: str) -> None:
    """A file in out/ that the journal does not name, or names with another size, is not trusted."""
    async with open_agent() as first:
        await _computed_only(first)
        folder = first.folder()
    _as_if_killed_right_after_the_work(folder)
    if damage == "no-journal":
        folder.journal.unlink()
    else:
        (folder.outputs / "job-1.mp4").write_bytes(MOVIE[:-1])

    async with open_agent() as second:
        await second.caller.until("job-1", "fetching", "waiting-for-input")
        await second.caller.put_input("job-1", MOVIE)
        assert await second.caller.pick_up("job-1") == MOVIE

    assert folder.progress_log.read_text().count("copy begins") == 2


async def test_received_inputs_survive(open_agent: OpenAgent) -> None:
    """Half of an input, and all of another job's, are there after a restart; so are the grants."""
    async with open_agent() as first:
        await first.caller.put_job(order())
        await first.caller.put_grants(grants(order()))
        await first.caller.put_input("job-1", MOVIE, 0, 5000)

    async with open_agent() as second:
        view = await second.caller.until("job-1", "fetching", "waiting-for-input")
        assert (view.inputs["source"].received, view.grants_generation) == (5000, 1)
        await second.caller.put_input("job-1", MOVIE, 5000)
        assert await second.caller.pick_up("job-1") == MOVIE


async def test_half_made_and_half_removed_folders_are_swept(open_agent: OpenAgent) -> None:
    """A folder without an order was never accepted; one that was being removed is removed; odd ones are kept aside."""
    async with open_agent() as first:
        jobs = first.home / "jobs"
        await first.caller.put_job(order("job-1"))
        await first.caller.put_job(order("job-2"))
    (jobs / "half-made" / "out").mkdir(parents=True)
    (jobs / ".gone-1-old" / "out").mkdir(parents=True)
    (jobs / "job-2" / "spec.json").write_text("{")

    async with open_agent() as second:
        assert [job.spec.job_id for job in second.agent.store.all()] == ["job-1"]
        assert (await second.caller.put_job(order("job-2"))).status_code == 201

    left = sorted(path.name for path in jobs.iterdir())
    assert left == [".unreadable-job-2-1800000000", "job-1", "job-2"]


def test_torn_line_of_the_journal_was_never_written(tmp_path: Path) -> None:
    """A crash in the middle of a note loses that note alone, also when the next one is written behind it."""
    path = tmp_path / "journal.jsonl"
    Journal(path).add("started", at=1.0)
    with path.open("ab") as file:
        file.write(b'{"event":"computed","outp')

    torn = Journal(path)
    assert torn.last(COMPUTED) is None
    torn.add("delivered", slot="result")

    again = Journal(path)
    assert again.last("started") == {"event": "started", "at": 1.0}
    assert again.slots("delivered") == {"result"}
