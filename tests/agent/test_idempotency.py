"""An order that is shipped many times at once, over many connections, is done once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from framehaul.contract.lease_secret import LeaseSecret
from tests.agent.caller import assert_refused
from tests.agent.letters import MOVIE, grants, order
from tests.agent.served import Home, ServedAgent

_AT_ONCE = 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedAgent]:
    """A running program."""
    with ServedAgent(Home(tmp_path / "home", LeaseSecret.new())) as agent:
        yield agent


async def test_twenty_orders_at_one_instant_are_one_run(served: ServedAgent) -> None:
    """One of twenty equal orders makes the job, nineteen find it, and the worker runs once; so with its grants."""
    async with served.caller() as caller:
        replies = await asyncio.gather(*(caller.put_job(order()) for _ in range(_AT_ONCE)))
        granted = await asyncio.gather(*(caller.put_grants(grants(order())) for _ in range(_AT_ONCE)))
        await caller.put_input("job-1", MOVIE)
        again = await caller.put_job(order())
        assert await caller.pick_up("job-1") == MOVIE
        late = await caller.put_job(order())
        story = (await caller.log("job-1")).text

    assert Counter(reply.status_code for reply in replies) == {201: 1, 200: _AT_ONCE - 1}
    assert {reply.json()["spec_digest"] for reply in (*replies, again, late)} == {order().digest()}
    assert {reply.status_code for reply in granted} == {200}
    assert (again.status_code, late.status_code, late.json()["status"]["state"]) == (200, 200, "delivered")
    assert [story.count(words) for words in ("queued: ", "grants of generation", "copy begins")] == [1, 1, 1]


async def test_of_two_orders_at_one_instant_one_wins(served: ServedAgent) -> None:
    """Ten of one order and ten of another under the same id: one kind is taken, every one of the other is refused."""
    kinds = [order(), order(created_at=1_700_000_000.0)]
    async with served.caller() as caller:
        shipped = [(kinds[number % 2], caller.put_job(kinds[number % 2])) for number in range(_AT_ONCE)]
        replies = await asyncio.gather(*(sending for _, sending in shipped))
        kept = (await caller.view("job-1")).spec_digest

    assert Counter(reply.status_code for reply in replies) == {201: 1, 200: _AT_ONCE // 2 - 1, 409: _AT_ONCE // 2}
    for (spec, _), reply in zip(shipped, replies, strict=True):
        if spec.digest() == kept:
            assert reply.json()["spec_digest"] == kept
        else:
            assert_refused(reply, 409, "job-differs")
