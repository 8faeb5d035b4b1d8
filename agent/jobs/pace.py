"""How fast it goes, and when it will be done."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 60.0


class Pace:
    """Measure over the last minute, so that a slow start does not spoil the estimate."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def measure(self, now: float, done: int, total: int | None) -> tuple[float | None, float | None]:
        """Take a reading; give units per second and seconds left, each None until it can be told."""
        if self._seen and (done < self._seen[-1][1] or now < self._seen[-1][0]):
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        elapsed, count = now - self._seen[0][0], done - self._seen[0][1]
        if elapsed <= 0 or count <= 0:
            return None, None
        rate = count / elapsed
        left = None if total is None else max(total - done, 0) / rate
        return rate, left
