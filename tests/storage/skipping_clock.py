"""A clock for code that waits between tries and is alone with it."""

from __future__ import annotations

from framehaul.clock import ManualClock


class SkippingClock(ManualClock):
    """Whoever waits moves the clock on; `waits` remembers by how much."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        """Be later at once."""
        self.waits.append(seconds)
        self.advance(seconds)
