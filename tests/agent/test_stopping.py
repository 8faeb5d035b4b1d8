"""An attempt that is told to stop stops, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.attempts.answers import Refused
from agent.attempts.storeline import StoreClient
from framehaul.clock import ManualClock
from framehaul.contract.states import AttemptReason, AttemptState
from tests.agent.patience import eventually
from tests.agent.vault import Attempt, Vault, film

_SOON_S = 20.0


@pytest.fixture
def attempt(tmp_path: Path, vault: Vault, clock: ManualClock) -> Attempt:
    """600 kB that wait to be uploaded, in eight parts."""
    return Attempt(tmp_path, vault, clock, film())


class Refusing(StoreClient):
    """A store that refuses every part, once the test says so."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        Refusing.asked, Refusing.refuse = asyncio.Event(), asyncio.Event()

    asked: asyncio.Event
    refuse: asyncio.Event

    async def put_part(self, *told: Any) -> str:
        """Wait, then refuse."""
        self.asked.set()
        await self.refuse.wait()
        raise Refused("The store refuses the upload: HTTP 403.")


async def test_stop_in_the_moment_of_a_refusal_is_heard(attempt: Attempt) -> None:
    """A DELETE that comes while a store refuses a part ends the attempt, at the first time of asking."""
    async with attempt.queued(Refusing) as queue:
        await Refusing.asked.wait()
        Refusing.refuse.set()
        queue.stop(attempt.job, AttemptReason.ASKED_TO_STOP)

        await eventually(lambda: attempt.job.final, within_s=_SOON_S)

    assert attempt.job.status.state is AttemptState.STOPPED


async def test_close_in_the_moment_of_a_refusal_returns(attempt: Attempt) -> None:
    """A SIGTERM that comes then ends the agent, and the result stays for the next one."""
    async with attempt.queued(Refusing) as queue:
        await Refusing.asked.wait()
        Refusing.refuse.set()

        await asyncio.wait_for(queue.close(), _SOON_S)

    attempt.assert_kept()


class Deaf(StoreClient):
    """A store whose line does not hear the first time that it is cancelled."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        Deaf.asked, Deaf.never = asyncio.Event(), asyncio.Event()

    asked: asyncio.Event
    never: asyncio.Event

    async def read_back(self, *told: Any) -> None:
        """Wait for ever, and once more."""
        self.asked.set()
        try:
            await self.never.wait()
        except asyncio.CancelledError:
            await self.never.wait()


@pytest.mark.parametrize("way", ["stop", "close"])
async def test_cancel_that_got_lost_is_repeated(attempt: Attempt, vault: Vault, way: str) -> None:
    """Asked twice the attempt stops; an agent that ends asks again by itself."""
    vault.end("job-1.mp4", attempt.uploads["result"])
    async with attempt.queued(Deaf) as queue:
        await Deaf.asked.wait()

        if way == "stop":
            queue.stop(attempt.job, AttemptReason.ASKED_TO_STOP)
            await asyncio.sleep(0)
            queue.stop(attempt.job, AttemptReason.ASKED_TO_STOP)
            await eventually(lambda: attempt.job.final, within_s=_SOON_S)
        else:
            await asyncio.wait_for(queue.close(), _SOON_S)

    assert attempt.job.final == (way == "stop")
