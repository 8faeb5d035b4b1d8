"""Looking on from another terminal: what the machines say of their jobs, and what a person sees of it."""

from __future__ import annotations

import io

from rich.console import Console

from controller.errors import ConfigError
from controller.overview import overview_of, read_scene
from controller.providers.base import Provider
from controller.standing import ask_agents, runs_here
from controller.terminal.standing import Standing, show_standing, standing_as_json
from framehaul.contract.states import AttemptState
from tests.controller.agents import Work
from tests.controller.hours import ended
from tests.controller.sites import Site


def nowhere(name: str) -> Provider:
    """Be a configuration without that cloud."""
    raise ConfigError(f"There is no provider {name!r}.")


async def look(site: Site) -> Standing:
    """Look on, as `status` does."""
    jobs = site.desk.ledger.open_jobs()
    told = await ask_agents(site.desk, lambda name: site.cloud, jobs, site.agents.open_channel)
    ids = {job.batch_id for job in jobs}
    scene = read_scene(site.desk.ledger, ids, told, at_work=True, runs_here=lambda name: True)
    leases = site.desk.ledger.leases(alive=True)
    return Standing(overview_of(scene, site.clock.now()), jobs, told, leases, at_work=True)


def shown(standing: Standing) -> list[str]:
    """Print it, and read it."""
    console = Console(file=io.StringIO(), width=200)
    show_standing(console, standing)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


async def test_machines_tell_how_their_jobs_stand(site: Site, one_thread: None) -> None:
    """The line for the whole, then a line for each job: one runs, one waits at the machine, one in the ledger."""
    site.cloud.work["m1"] = Work(seconds=100)
    site.plan("a.bin", "b.bin", "c_[2J.bin")
    engine = site.start()
    await site.clock.until(lambda: site.states() == ["assigned", "assigned", "planned"])
    await site.clock.pass_by(20)

    found = await look(site)
    text = shown(found)
    document = standing_as_json(found)
    await ended(engine)

    assert [found.told[job.id].state for job in found.jobs[:2]] == [AttemptState.RUNNING, AttemptState.QUEUED]
    assert text[0].startswith("0/3 done · $0.0")
    assert [line.split()[:2] for line in text[2:]] == [
        ["a.bin", "running"],
        ["b.bin", "queued"],
        ["c_[2J.bin", "waiting"],
    ]
    assert "GPU of m1" in text[2]
    assert document["overview"]["lid"] == {"safe": False, "why": "this machine does the work"}
    assert [entry["status"] and entry["status"]["state"] for entry in document["jobs"]] == ["running", "queued", None]


async def test_a_machine_that_does_not_answer_leaves_the_ledgers_word(site: Site, one_thread: None) -> None:
    """Cut off, or of a cloud that is no longer configured: nobody waits, nothing fails."""
    site.cloud.work["m1"] = Work(seconds=100)
    site.plan("a.bin")
    engine = site.start()
    await site.clock.until(lambda: site.states() == ["assigned"])
    site.cloud.the().agent.cut = True

    found = await look(site)
    elsewhere = await ask_agents(site.desk, nowhere, found.jobs, site.agents.open_channel)
    site.cloud.fault("list_down")
    unlisted = await look(site)
    await ended(engine)

    assert found.told == elsewhere == unlisted.told == {}
    assert shown(found)[2].split()[:2] == ["a.bin", "assigned"]
    assert not runs_here(nowhere, "cloud")
    assert runs_here(lambda name: site.cloud, "cloud")


async def test_what_waits_without_anybody_at_work_is_said(site: Site) -> None:
    """With the command that goes on."""
    site.plan("a.bin")
    found = await look(site)

    text = shown(Standing(found.overview, found.jobs, {}, [], at_work=False))

    assert text[-1] == "Nobody is at work; 1 job waiting: framehaul resume goes on."


async def test_a_machine_without_its_framehaul_is_not_said_to_wait(site: Site, one_thread: None) -> None:
    """After a crash: what waits is told apart from what its machine goes on with."""
    site.cloud.work["m1"] = Work(seconds=100)
    site.plan("a.bin", "b.bin", "c.bin")
    engine = site.start()
    await site.clock.until(lambda: site.states() == ["assigned", "assigned", "planned"])
    found = await look(site)
    await ended(engine)

    leases = site.desk.ledger.leases(alive=True)
    text = shown(Standing(found.overview, found.jobs, found.told, leases, at_work=False))
    gone = shown(Standing(found.overview, found.jobs, found.told, [], at_work=False))

    told = "1 job waiting, 2 jobs at a machine, which goes on by itself"
    assert f"Nobody is at work; {told}: framehaul resume goes on." in text
    lost = "1 job waiting, 2 jobs whose machine is gone, and may have left a result"
    assert gone[-1] == f"Nobody is at work; {lost}: framehaul resume goes on."
