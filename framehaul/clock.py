"""Time as an argument: the system's clock, one that a test moves, and one that processes share.

Whatever waits takes a `Clock`. Socket time-outs are the exception: they bound real I/O and stay real.

A shared clock is a small HTTP control route (`tests/emulators/clock.py` serves it) so that a controller,
an agent and an emulated cloud agree on the hour while a test moves it:

    GET /now                     {"now": epoch seconds}
    GET /wait?until=EPOCH        answers {"now": …} when the hour has come, or after a few real seconds
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import os
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from framehaul.errors import InputError

CLOCK_URL = "FRAMEHAUL_CLOCK_URL"
_REPLY_TIMEOUT_S = 30.0

_Sleeper = tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]
# urlopen would send even loopback through the proxy that the environment names.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Clock(Protocol):
    """Tell the hour and wait for a later one."""

    def now(self) -> float:
        """Give seconds since the epoch, UTC. Jumps when the machine's clock is set or after sleep."""

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""

    def wait(self, seconds: float) -> None:
        """Wait and block this thread."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Give seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)

    def wait(self, seconds: float) -> None:
        """Block in real time."""
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance` moves it; safe to advance from any thread."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._moved = threading.Condition()
        self._sleepers: list[_Sleeper] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Give the hour that was last set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward and wake everyone whose hour has come."""
        with self._moved:
            self._now += seconds
            due = []
            while self._sleepers and self._sleepers[0][0] <= self._now:
                due.append(heapq.heappop(self._sleepers))
            self._moved.notify_all()
        for _, _, loop, future in due:
            loop.call_soon_threadsafe(_wake, future)

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed the hour."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._moved:
            sleeper = (self._now + seconds, next(self._order), loop, future)
            heapq.heappush(self._sleepers, sleeper)
        try:
            await future
        finally:
            self._forget(sleeper)

    def wait(self, seconds: float) -> None:
        """Block until `advance` has passed the hour."""
        with self._moved:
            until = self._now + seconds
            self._moved.wait_for(lambda: self._now >= until)

    def _forget(self, sleeper: _Sleeper) -> None:
        """Drop who was cancelled: its loop may be closed by the time `advance` would wake it."""
        with self._moved:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)


class SharedClock:
    """A clock that lies behind a control route, the same for every process that asks it."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise InputError(f"{CLOCK_URL} must name a loopback address, not {url!r}.")
        self._url = url.rstrip("/")

    def now(self) -> float:
        """Ask for the hour."""
        return self._ask("/now")

    async def sleep(self, seconds: float) -> None:
        """Wait until the shared hour has come."""
        until = await asyncio.to_thread(self.now) + seconds
        while await asyncio.to_thread(self._ask, f"/wait?until={until!r}") < until:
            pass

    def wait(self, seconds: float) -> None:
        """Block until the shared hour has come."""
        until = self.now() + seconds
        while self._ask(f"/wait?until={until!r}") < until:
            pass

    def _ask(self, path: str) -> float:
        with _direct.open(self._url + path, timeout=_REPLY_TIMEOUT_S) as reply:
            return float(json.load(reply)["now"])


def clock_from(environment: Mapping[str, str] = os.environ) -> Clock:
    """Choose the shared clock where the environment names one, else the machine's."""
    url = environment.get(CLOCK_URL, "")
    return SharedClock(url) if url else SystemClock()


async def wait_for_event(clock: Clock, event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for the event at most so long by this clock, from now on; True when the event came."""
    waiting = asyncio.create_task(event.wait())
    sleeping = asyncio.create_task(_sleep_from(clock, clock.now(), timeout_s))
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        if sleeping.done() and not event.is_set():
            sleeping.result()  # a clock that cannot be asked is not an hour that has come
        return event.is_set()
    finally:
        for task in (waiting, sleeping):
            task.cancel()
        await asyncio.gather(waiting, sleeping, return_exceptions=True)


async def _sleep_from(clock: Clock, began: float, seconds: float) -> None:
    """Sleep so long from an hour on that is not quite the present one: a task begins a moment after it was made."""
    await clock.sleep(min(seconds, max(0.0, began + seconds - clock.now())))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
