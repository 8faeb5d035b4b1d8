"""Bring an input by ranged GETs, again and again until it is whole: each goes on where the last one broke.

One connection: on loopback it is faster than several ranges at once (bench/README.md), and what lies on disk is always
the object's beginning, so that its size alone says where to go on, whatever killed us.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from agent.attempts.answers import Hiccup
from agent.attempts.partfile import PartFile
from agent.attempts.patience import GIVE_UP_AFTER_S, Patience
from agent.attempts.pull import Halted, Pull
from agent.errors import AttemptFailed, GrantsExpired
from agent.jobs.job import Job
from framehaul.clock import Clock
from framehaul.contract.grants import HttpGet
from framehaul.contract.spec import InputSpec
from framehaul.contract.states import AttemptReason

_HALF_HOUR = f"{GIVE_UP_AFTER_S / 60:.0f} minutes"

_log = logging.getLogger(__name__)


class HttpFetch:
    """One input on its way. Fails after half an hour in which no byte came."""

    def __init__(self, client: httpx.Client, clock: Clock, job: Job, entry: InputSpec, part: PartFile) -> None:
        self._client = client
        self._clock = clock
        self._job = job
        self._entry = entry
        self._part = part
        self._patience = Patience(clock)

    async def run(self) -> None:
        """Fill the part file; GrantsExpired when the address no longer opens, AttemptFailed when it is hopeless.

        Each try goes by the newest address: one that came meanwhile is good for longer.
        """
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=lambda _: self._patience.over,
            wait=self._pause,
            retry=retry_if_exception_type(Hiccup),
            reraise=True,
        )
        try:
            await retrying(self._try)
        except Hiccup as exc:
            sentence = f"{self._entry.name} could not be fetched: {exc}; no byte came for {_HALF_HOUR}."
            raise AttemptFailed(AttemptReason.FETCH_FAILED, sentence) from exc

    def _pause(self, state: RetryCallState) -> float:
        hiccup = state.outcome.exception() if state.outcome else None
        assert isinstance(hiccup, Hiccup)
        pause_s = self._patience.pause_s(hiccup.pause_s)
        _log.info("fetching %s: %s; tried again in %.0f s", self._entry.name, hiccup, pause_s)
        if self._patience.tries:
            sentence = f"{self._entry.name} cannot be fetched now: {hiccup}. It is tried again for {_HALF_HOUR}."
            self._job.explain(AttemptReason.STORE_UNAVAILABLE, sentence)
        return pause_s

    async def _try(self) -> None:
        grants = self._job.grants
        grant = grants.inputs[self._entry.slot] if grants else None
        if grants is None or not isinstance(grant, HttpGet):
            raise GrantsExpired(f"{self._entry.name} is to come in another way.")
        before = self._part.size()
        try:
            await self._pull(grant)
        except GrantsExpired as exc:
            raise GrantsExpired(exc.message, generation=grants.generation) from exc
        except Hiccup:
            if self._part.size() > before:
                self._patience.renew()
            else:
                self._patience.spend()
            raise

    async def _pull(self, grant: HttpGet) -> None:
        """Have a thread do it. Whoever is cancelled leaves a thread that writes nothing any more."""
        loop = asyncio.get_running_loop()

        def on_bytes(received: int) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._tell, pull, received)

        pull = Pull(self._client, self._entry, self._part, self._job.spec.limits.max_input_bytes, on_bytes)
        pulling = asyncio.create_task(asyncio.to_thread(pull.run, grant, lambda: self._is_past(grant)))
        try:
            await asyncio.shield(pulling)
        except asyncio.CancelledError:
            pull.halt()
            pulling.add_done_callback(_forget)
            raise

    def _tell(self, pull: Pull, received: int) -> None:
        if pull.halted:
            return
        if self._job.status.reason is AttemptReason.STORE_UNAVAILABLE:
            self._job.explain()
        self._job.progress(received, self._entry.size)

    def _is_past(self, grant: HttpGet) -> bool:
        return grant.expires_at is not None and self._clock.now() >= grant.expires_at


def _forget(pulling: asyncio.Task[None]) -> None:
    """Take note of how an unwanted thread ended, or asyncio would complain that nobody did."""
    if not pulling.cancelled() and (exc := pulling.exception()) and not isinstance(exc, Halted | Hiccup):
        _log.info("a fetch that was stopped ended with %s", type(exc).__name__)
