"""Measure pieces of work side by side: CPU and wall seconds, medians over interleaved rounds, slopes."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Reading:
    """Hold the seconds that a piece of work took: CPU of all threads and ended children, and wall."""

    cpu_s: float
    wall_s: float


def cpu_clock() -> float:
    """Give the CPU seconds, user and system, of this process with all its threads and of its children that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Meter:
    """Time a piece of work. `synchronise` waits for the device, before the clocks start and before they stop."""

    synchronise: Callable[[], None]
    cpu: Clock = cpu_clock
    wall: Clock = time.perf_counter

    def measure(self, work: Work) -> Reading:
        """Run `work` once."""
        self.synchronise()
        cpu_s, wall_s = self.cpu(), self.wall()
        work()
        self.synchronise()
        return Reading(self.cpu() - cpu_s, self.wall() - wall_s)


def interleaved(
    works: Mapping[str, Work], rounds: int, meter: Meter, tell: Callable[[str], None] = lambda sentence: None
) -> dict[str, list[Reading]]:
    """Run every piece of work once a round, every second round in reverse order; give each one's readings by round.

    Whatever slows the machine down for some seconds then falls on all of them, and the ratios of a round hold.
    """
    readings: dict[str, list[Reading]] = {name: [] for name in works}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name in list(works) if number % 2 == 0 else reversed(list(works)):
            readings[name].append(meter.measure(works[name]))
    return readings


@dataclass(frozen=True)
class Spread:
    """Hold the median of a figure over the rounds, and its least and greatest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Condense at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def added(figures: Mapping[str, Sequence[float]], names: Sequence[str]) -> list[float]:
    """Add up some works' figures, round by round."""
    return [sum(row) for row in zip(*(figures[name] for name in names), strict=True)]


def differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Subtract round by round."""
    return [one - other for one, other in zip(first, second, strict=True)]


def quotients(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Divide round by round."""
    return [one / other for one, other in zip(first, second, strict=True)]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Fit y = a + b·x and give b, the median of the slopes of all pairs of points (Theil and Sen).

    Unlike least squares it is not moved by a burst that lasts less than about a quarter of the points.
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    first, second = np.triu_indices(len(across), 1)
    if first.size == 0 or not (across[second] != across[first]).all():
        raise ValueError("A slope needs at least two points, at different places.")
    return float(np.median((up[second] - up[first]) / (across[second] - across[first])))
