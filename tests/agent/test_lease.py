"""The lease: heartbeats renew it; silence and the deadline end it, and no result is lost by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from framehaul.clock import ManualClock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.status import LeaseOrder, LeaseView, OnSilence
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, grants, order
from tests.agent.patience import eventually
from tests.agent.served import Home, ServedAgent
from tests.emulators.clock import ClockServer

_DAY = 86_400.0


async def _heartbeat(
    inside: Inside, on_silence: OnSilence = OnSilence.QUEUE, *, ttl_s: float = 600, deadline_s: float = _DAY
) -> LeaseView:
    told = LeaseOrder(deadline=inside.clock.now() + deadline_s, ttl_s=ttl_s, grace_s=120, on_silence=on_silence)
    reply = await inside.caller.client.post("/lease", content=told.canonical())
    return LeaseView.model_validate_json(reply.content)


async def _is_over(inside: Inside) -> None:
    """Let the agent look at the clock until it ends itself."""

    def ended() -> bool:
        inside.clock.advance(1)
        return inside.agent.ended.is_set()

    await eventually(ended)


async def _goes_on(inside: Inside) -> None:
    """Let the agent look at the clock several times; it must not end itself."""
    for _ in range(5):
        inside.clock.advance(1)
        await inside.caller.client.get("/health")
    assert not inside.agent.ended.is_set()


async def test_never_claimed_means_never_silent(inside: Inside) -> None:
    """Without a first heartbeat there is no silence: the instance's own watchdog guards that time."""
    inside.clock.advance(100 * _DAY)

    await _goes_on(inside)
    assert (await inside.caller.client.get("/health")).json()["state"] == "ready"


async def test_heartbeats_keep_it_alive(inside: Inside) -> None:
    """Every heartbeat starts the time to live anew."""
    for _ in range(10):
        await _heartbeat(inside)
        inside.clock.advance(700)

    await _goes_on(inside)


async def test_full_disk_makes_no_controller_silent(inside: Inside) -> None:
    """A heartbeat that cannot be written down counts all the same."""
    (inside.home / "lease.json").mkdir()

    view = await _heartbeat(inside)

    assert view.silent_after == inside.clock.now() + 720


async def test_deadline_moves_only_outwards(inside: Inside) -> None:
    """A heartbeat cannot shorten the lease by mistake; it prolongs it only by naming a later hour."""
    first = await _heartbeat(inside, deadline_s=1000)
    earlier = await _heartbeat(inside, deadline_s=500)
    later = await _heartbeat(inside, deadline_s=2000)

    assert first.deadline == earlier.deadline == inside.clock.now() + 1000
    assert later.deadline == inside.clock.now() + 2000


async def test_silence_with_nothing_to_do_ends_the_agent(inside: Inside) -> None:
    """After TTL and grace an idle agent ends itself, and not a second before."""
    await _heartbeat(inside)
    inside.clock.advance(715)
    await _goes_on(inside)

    await _is_over(inside)


async def test_queue_is_finished_in_silence(inside: Inside) -> None:
    """By default all that was shipped is computed before the agent ends; the results stay."""
    await _heartbeat(inside)
    for job_id in ("job-1", "job-2"):
        await inside.caller.ship(order(job_id, rate_bytes_s=10_000))
    await inside.caller.until("job-1", "running")
    inside.clock.advance(1000)
    await _goes_on(inside)
    assert (await inside.caller.client.get("/health")).json()["state"] == "draining"

    await inside.work_until("job-2", "delivering", "waiting-for-pickup")

    await _is_over(inside)
    assert (await inside.caller.view("job-1")).status.state == "delivering"


async def test_controller_that_comes_back_is_served_on(inside: Inside) -> None:
    """Silence that ends while the queue is still worked on was none: new jobs are taken again."""
    await _heartbeat(inside)
    await inside.caller.ship(order(rate_bytes_s=10_000))
    await inside.caller.until("job-1", "running")
    inside.clock.advance(1000)
    await _goes_on(inside)

    view = await _heartbeat(inside)

    assert not view.draining
    assert (await inside.caller.put_job(order("job-2"))).status_code == 201


async def test_current_job_alone_is_finished(inside: Inside) -> None:
    """With `current` what has not begun is stopped, and what runs is finished."""
    await _heartbeat(inside, OnSilence.CURRENT)
    for job_id in ("job-1", "job-2"):
        await inside.caller.ship(order(job_id, rate_bytes_s=10_000))
    await inside.caller.until("job-1", "running")
    inside.clock.advance(1000)

    await inside.caller.until("job-2", "stopped", "lease-ended")
    assert (await inside.caller.view("job-1")).status.state == "running"
    await inside.work_until("job-1", "delivering", "waiting-for-pickup")
    await _is_over(inside)


@pytest.mark.parametrize(("on_silence", "passed_s"), [(OnSilence.NOW, 1000), (OnSilence.QUEUE, _DAY + 1)])
async def test_everything_stops_at_once(inside: Inside, on_silence: OnSilence, passed_s: float) -> None:
    """With `now`, or past the hard deadline, the running job is stopped too; finished results are kept."""
    await inside.caller.ship(order("job-0"))
    await inside.caller.receipt("job-0")
    await inside.caller.ship(order("job-1", rate_bytes_s=1000))
    await inside.caller.until("job-1", "running")
    await _heartbeat(inside, on_silence)

    inside.clock.advance(passed_s)
    await _is_over(inside)

    view = await inside.caller.view("job-1")
    assert (view.status.state, view.status.reason) == ("stopped", "lease-ended")
    assert (await inside.caller.view("job-0")).status.state == "delivering"


async def test_restarted_agent_waits_the_whole_time_again(open_agent: OpenAgent, clock: ManualClock) -> None:
    """After silence ended it, an agent on the same home serves its results, for a whole TTL at least."""
    async with open_agent() as first:
        await _heartbeat(first)
        await first.caller.ship(order())
        await first.caller.receipt("job-1")
        clock.advance(1000)
        await _is_over(first)

    async with open_agent() as second:
        clock.advance(700)
        await _goes_on(second)
        assert await second.caller.pick_up("job-1") == MOVIE
        clock.advance(100)
        await _is_over(second)


async def test_drain_outlives_a_restart(open_agent: OpenAgent) -> None:
    """An agent that was told to take no more takes no more after a crash either."""
    async with open_agent() as first:
        await first.caller.client.post("/drain")

    async with open_agent() as second:
        assert (await second.caller.put_job(order())).status_code == 503


async def test_silent_program_ends_with_code_zero(tmp_path: Path, worker_clock: ClockServer) -> None:
    """The process itself ends in order when its lease has, on the clock that all programs share."""
    home = Home(tmp_path / "home", LeaseSecret.new(), worker_clock.url)
    with ServedAgent(home) as served:
        async with served.caller() as caller:
            told = LeaseOrder(deadline=worker_clock.hour.told()["now"] + _DAY, ttl_s=600, grace_s=120)
            assert (await caller.client.post("/lease", content=told.canonical())).status_code == 200
            await caller.put_job(order())
            await caller.put_grants(grants(order()))
            worker_clock.advance(1000)

            assert await served.ended() == 0

    assert '"state":"stopped","reason":"lease-ended"' in home.folder().status.read_text()
