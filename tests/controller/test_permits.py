"""Grants that run out: written anew in time, and never a reason to give up what is computed."""

from __future__ import annotations

import pytest

from framehaul.contract.grants import MultipartPut
from framehaul.contract.states import JobReason
from tests.controller.agents import Work
from tests.controller.depots import Depot
from tests.controller.desks import heard

pytestmark = pytest.mark.usefixtures("one_thread")
_DAY_S = 24 * 3600.0


async def test_grants_are_written_anew_before_half_of_their_life_is_left(depot: Depot) -> None:
    """By then a laptop that goes to sleep leaves the machine with half a day at least; the uploads stay the same."""
    depot.plan("a.mp4", lease_hours=60.0)
    depot.cloud.work["m1"] = Work(seconds=30 * 3600.0)
    depot.start()
    await depot.clock.pass_by(5.0)
    first = depot.order().grants
    depot.clock.advance(13 * 3600.0)
    await depot.clock.pass_by(5.0)
    second = depot.order().grants

    assert first is not None
    assert second is not None
    assert (first.generation, second.generation) == (1, 2)
    before, after = first.outputs["result"], second.outputs["result"]
    assert isinstance(before, MultipartPut)
    assert isinstance(after, MultipartPut)
    assert before.upload_id == after.upload_id
    assert after.expires_at > before.expires_at + 11 * 3600.0
    await depot.kill()


async def test_a_laptop_that_slept_for_days_renews_and_the_result_is_there(depot: Depot) -> None:
    """The agent holds what it made; fresh grants, and it is delivered, proven and published. Nothing is redone."""
    depot.plan("a.mp4", lease_hours=24.0 * 9)
    depot.cloud.work["m1"] = Work(seconds=7200.0)
    depot.start()
    await depot.clock.pass_by(4.0)
    depot.clock.advance(3 * _DAY_S)

    await depot.clock.until(lambda: depot.states() == ["published"])

    assert depot.job().attempt == 1
    assert heard(depot.desk).said == []
    await depot.kill()


async def test_a_result_is_never_given_up_for_grants_that_are_refused(depot: Depot) -> None:
    """Seven renewals in vain; it is said once, and when the store gives in, the result is there."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=10.0)
    depot.bucket.fault("refuses_parts")
    depot.start()
    await depot.clock.pass_by(50.0)
    for _ in range(3):
        depot.clock.advance(60.0)
        await depot.clock.pass_by(2.0)

    assert depot.states() == ["assigned"]
    order = depot.order()
    assert order.grants is not None
    assert order.grants.generation > 5
    assert sum("result is kept on its machine" in said for said in heard(depot.desk).said) == 1
    depot.bucket.mend()

    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == 1
    await depot.kill()


async def test_a_source_that_refuses_fresh_grants_is_given_up_before_anything_is_computed(depot: Depot) -> None:
    """After three renewals, with its uploads taken back."""
    depot.plan("a.mp4")
    depot.bucket.fault("refuses_reading")

    await depot.run(within_s=300.0)

    assert (depot.states(), depot.job().reason) == (["excluded"], JobReason.REFUSED)
    assert "refuses to be read" in depot.job().message
    assert (depot.bucket.begun, depot.desk.ledger.open_uploads()) == ({}, [])


async def test_an_upload_that_the_store_forgot_is_begun_anew(depot: Depot) -> None:
    """A store that was restarted, or swept by its own rules: a later generation names another upload."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=8.0)
    depot.start()
    await depot.clock.pass_by(4.0)
    forgotten = set(depot.bucket.begun)
    depot.bucket.begun.clear()

    await depot.clock.until(lambda: depot.states() == ["published"])

    assert depot.job().attempt == 1
    rows = depot.desk.ledger.uploads(depot.job().id)
    assert {row.upload_id for row in rows} > forgotten
    assert all(row.ended_at is not None for row in rows)
    await depot.kill()
