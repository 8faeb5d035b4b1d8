"""The arithmetic of measuring: what is counted, in which order, and how rounds become one figure."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from bench.meter import Meter, Reading, Spread, added, cpu_clock, differences, interleaved, quotients, slope


class Hands:
    """Clocks that are turned by hand; `waited` counts how often the device was waited for."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self.waited = 0

    def meter(self) -> Meter:
        """Make a meter that reads these clocks."""

        def synchronise() -> None:
            self.waited += 1
            self.wall_s += 0.25  # what the device still had to do

        return Meter(synchronise, cpu=lambda: self.cpu_s, wall=lambda: self.wall_s)

    def work(self, cpu_s: float, wall_s: float) -> Callable[[], None]:
        """Make work that turns the clocks on."""

        def run() -> None:
            self.cpu_s += cpu_s
            self.wall_s += wall_s

        return run


def test_a_reading_ends_when_the_device_is_done() -> None:
    """What the device does after the call returned counts to the work; what it did before does not."""
    hands = Hands()

    reading = hands.meter().measure(hands.work(cpu_s=3.0, wall_s=2.0))

    assert (reading, hands.waited) == (Reading(cpu_s=3.0, wall_s=2.25), 2)


def test_rounds_are_interleaved_there_and_back() -> None:
    """Each round runs everything once, every second one in reverse; the readings are kept by name and round."""
    hands, order = Hands(), []

    def noted(name: str, cpu_s: float) -> Callable[[], None]:
        work = hands.work(cpu_s, cpu_s)

        def run() -> None:
            order.append(name)
            work()

        return run

    readings = interleaved({"whole": noted("whole", 5.0), "part": noted("part", 2.0)}, 3, hands.meter())

    assert order == ["whole", "part", "part", "whole", "whole", "part"]
    assert [[reading.cpu_s for reading in readings[name]] for name in ("whole", "part")] == [[5.0] * 3, [2.0] * 3]


def test_cpu_of_children_that_ended_counts() -> None:
    """A program that is run and waited for costs what it burnt."""
    before = cpu_clock()

    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)

    assert cpu_clock() - before >= 0.3


def test_figures_are_joined_round_by_round() -> None:
    """Sums, differences and quotients pair what was measured side by side."""
    figures = {"decode": [1.0, 10.0], "encode": [2.0, 20.0], "model": [4.0, 40.0]}

    assert added(figures, ("decode", "encode")) == [3.0, 30.0]
    assert differences(figures["encode"], figures["decode"]) == [1.0, 10.0]
    assert quotients(figures["decode"], figures["encode"]) == [0.5, 0.5]


def test_a_missing_round_is_an_error() -> None:
    """Rounds of unequal number are never paired by accident."""
    with pytest.raises(ValueError, match="shorter"):
        quotients([1.0, 2.0], [1.0])


def test_one_slow_round_does_not_move_the_median() -> None:
    """A figure is the median; the spread shows what it leaves out."""
    assert Spread.of([1.0, 0.9, 1.1, 9.0, 1.0]) == Spread(median=1.0, least=0.9, most=9.0)


def test_slope_finds_growth_under_noise_and_bursts() -> None:
    """A line of 3 a step is found although samples jitter and a tenth of them lie in a burst."""
    chance = random.Random(1)
    steps = list(range(200))
    resident = [1000 + 3 * step + chance.uniform(-20, 20) + (5000 if 90 <= step < 110 else 0) for step in steps]

    assert slope(steps, resident) == pytest.approx(3, abs=0.1)


def test_slope_of_what_stays_is_none() -> None:
    """Memory that does not move does not grow."""
    assert slope([0, 10, 20], [7, 7, 7]) == 0


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 1.0]])
def test_slope_needs_two_places(x: list[float]) -> None:
    """Too few samples are an error, not a growth of nothing."""
    with pytest.raises(ValueError, match="at least two points"):
        slope(x, x)
