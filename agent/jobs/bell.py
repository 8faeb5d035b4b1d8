"""Wake everyone who waits for something to change."""

from __future__ import annotations

import asyncio


class Bell:
    """Ring once for all who hold the current event; the next ones wait for the next ring.

    Take the event first, then look at the state, then wait: so no ring falls between.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    def next(self) -> asyncio.Event:
        """Give the event that the next ring sets."""
        return self._event
