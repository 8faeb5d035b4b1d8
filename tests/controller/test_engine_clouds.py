"""The engine against its cloud: machines that never work, and answers that do not come."""

from __future__ import annotations

import pytest

from controller.errors import NothingFits
from framehaul.contract.states import AttemptReason
from tests.controller.agents import Work
from tests.controller.desks import heard
from tests.controller.sites import Site

pytestmark = pytest.mark.usefixtures("one_thread")


# -- machines that never work ----------------------------------------------------------------------------------------


async def test_three_machines_that_never_boot_are_enough(site: Site) -> None:
    """Each is tried once, destroyed and replaced by the next offer; then the run says what went wrong, and stops."""
    site.plan("a.mp4")
    site.cloud.fault("never_boots")

    with pytest.raises(NothingFits) as told:
        await site.run()

    expected = "3 machines of cloud never became ready; the last: The agent did not answer in time."
    assert told.value.message == expected
    assert "framehaul resume" in told.value.advice
    assert [machine.machine_id for machine in site.cloud.machines] == ["m1", "m2", "m3"]
    assert site.states() == ["planned"]
    site.assert_nothing_bills()


async def test_a_bad_machine_is_replaced_by_the_next_offer(site: Site) -> None:
    """Though it is the cheapest, and on offer again as soon as it is destroyed."""
    site.plan("a.mp4")
    site.cloud.fault("exits_at_boot", machine="m1")

    await site.run()

    assert [machine.machine_id for machine in site.cloud.machines] == ["m1", "m2"]
    assert site.states() == ["published"]


async def test_bad_machines_between_good_ones_do_not_add_up(site: Site) -> None:
    """Only several in a row say that this cloud does not work; a long batch may meet any number."""
    site.cloud.names = [f"m{number}" for number in range(6)]
    site.plan("a.mp4")
    for number in (0, 2, 4):
        site.cloud.fault("exits_at_boot", machine=f"m{number}")
    for number in (1, 3):
        site.cloud.work[f"m{number}"] = Work(fails=AttemptReason.WORKER_DIED)

    await site.run()

    assert [machine.machine_id for machine in site.cloud.machines] == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert site.states() == ["published"]


async def test_a_later_run_tries_anew(site: Site) -> None:
    """What failed to boot in an earlier life does not speak against this cloud for ever."""
    site.plan("a.mp4")
    site.cloud.fault("never_boots", times=3)
    with pytest.raises(NothingFits):
        await site.run()

    await site.run()

    assert site.states() == ["published"]


async def test_a_cloud_without_offers_says_so(site: Site) -> None:
    """Nothing is excluded: the jobs wait."""
    site.cloud.names = []
    site.plan("a.mp4")

    with pytest.raises(NothingFits, match=r"^cloud has no machine that fits: 1\.0 GB of free disk are wanted\."):
        await site.run()

    assert site.states() == ["planned"]


# -- a cloud in trouble ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["offers_down", "list_down", "list_odd", "rent_reply_lost", "rent_request_lost"])
async def test_a_cloud_that_stutters_costs_time_and_nothing_else(site: Site, fault: str) -> None:
    """Two answers that do not come: the run goes on, with one machine at a time."""
    site.plan("a.mp4", "b.mp4")
    site.cloud.fault(fault, times=2)

    await site.run()

    assert site.states() == ["published"] * 2
    for earlier, later in zip(site.cloud.machines, site.cloud.machines[1:], strict=False):
        assert earlier.gone_at is not None
        assert earlier.gone_at <= later.bought_at
    site.assert_nothing_bills()


async def test_a_market_that_does_not_answer_stops_no_work(site: Site) -> None:
    """Another machine could be had, and cannot be asked for: the one that is there goes on."""
    site.plan("a.mp4", "b.mp4", "c.mp4", "d.mp4", max_instances=2)
    task = site.start()
    await site.clock.until(lambda: site.cloud.machines != [])
    site.cloud.fault("offers_down")

    await site.clock.finish(task)

    assert site.states() == ["published"] * 4
    assert len(site.cloud.machines) == 1


async def test_trouble_is_told_once(site: Site) -> None:
    """Not at every tick."""
    site.plan("a.mp4")
    site.cloud.fault("list_odd", times=30)

    await site.run()

    assert heard(site.desk).said.count("cloud: The list is odd. Trying again.") == 1
