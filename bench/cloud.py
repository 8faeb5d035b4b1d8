"""A cloud whose one machine never comes up, and a clock that does not wait: what an engine needs to go round idly."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from controller.providers.base import Instance, InstanceState, Offer, RentOrder
from framehaul.contract.pipeline import Needs


class FastClock:
    """An hour that has come as soon as somebody waits for it; counts how often somebody did."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._waits = 0
        self._enough = 0
        self._reached = asyncio.Event()

    def now(self) -> float:
        """Give the hour."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let the hour come."""
        self._now += seconds
        self._waits += 1
        if self._waits >= self._enough:
            self._reached.set()
        await asyncio.sleep(0)

    def wait(self, seconds: float) -> None:
        """Let the hour come."""
        self._now += seconds

    async def ticks(self, count: int) -> None:
        """Return when somebody has waited so often from now on."""
        self._enough = self._waits + count
        self._reached.clear()
        await self._reached.wait()


class BootingCloud:
    """A provider of one machine that is starting, and stays so."""

    absence_pauses_s: Sequence[float] = ()
    boot_timeout_s = 1e9
    remote, runs_here, exclusive = False, False, False

    def __init__(self) -> None:
        self._rented: list[Instance] = []

    async def offers(self, needs: Needs) -> list[Offer]:
        """Offer the machine."""
        return [Offer("offer", "machine", "a machine", 0.0, disk_gb=needs.disk_gb)]

    async def rent(self, offer: Offer, order: RentOrder) -> str:
        """Rent it."""
        self._rented.append(Instance("i-1", order.label, InstanceState.STARTING, None))
        return "i-1"

    async def instances(self) -> list[Instance]:
        """List it once it is rented."""
        return self._rented

    async def start(self, ref: str) -> None:
        """Do nothing."""

    async def destroy(self, ref: str) -> None:
        """Take it out of the list."""
        self._rented.clear()
