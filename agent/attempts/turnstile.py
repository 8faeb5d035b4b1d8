"""One at a time, and of those who wait the one that arrived first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """A lock that goes to the lowest number, whoever asked first."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Hold the turn for the length of the block."""
        await self._take(number)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, number: int) -> None:
        if not self._taken:
            self._taken = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was given in the very moment that we left
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, next_one = heapq.heappop(self._waiting)
            if not next_one.done():
                next_one.set_result(None)
                return
        self._taken = False
