"""One at a time, and of those who wait the one that arrived first, unless some go before all others."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_Rank = tuple[bool, int]


class Turnstile:
    """A lock that goes to the lowest number, whoever asked first."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[_Rank, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, number: int, *, first: bool = False) -> AsyncIterator[None]:
        """Hold the turn for the length of the block. Who is `first` goes before all who are not."""
        await self._take((not first, number))
        try:
            yield
        finally:
            self._pass_on()

    def awaited(self, number: int, *, first: bool = False) -> bool:
        """Say whether somebody waits who goes before this one."""
        return any(rank < (not first, number) for rank, future in self._waiting if not future.done())

    async def _take(self, rank: _Rank) -> None:
        if not self._taken:
            self._taken = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, mine))
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
