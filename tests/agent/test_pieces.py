"""Small parts by themselves: whose turn it is, how fast it goes, what nvidia-smi means."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.attempts.turnstile import Turnstile
from agent.jobs.pace import Pace
from agent.machine import Machine, parse_gpus
from agent.worker_reporter import ChannelReporter
from agent.worker_words import REPORTS, Progress, Stage
from framehaul.contract.status import Info


async def test_turn_goes_to_the_lowest_number() -> None:
    """Who arrived first goes first, in whatever order they ask."""
    turnstile, went = Turnstile(), list[int]()

    async def go(number: int) -> None:
        async with turnstile.turn(number):
            await asyncio.sleep(0)
            went.append(number)

    await asyncio.gather(*(go(number) for number in (1, 4, 2, 3)))

    assert went == [1, 2, 3, 4]


async def test_turn_is_not_lost_with_who_leaves() -> None:
    """Whoever stops waiting, even in the moment of being called, passes the turn on."""
    turnstile = Turnstile()
    reached = asyncio.Event()

    async def hold(number: int) -> None:
        async with turnstile.turn(number):
            reached.set()

    async with turnstile.turn(1):
        leaving = [asyncio.create_task(hold(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        leaving[1].cancel()
    leaving[0].cancel()  # it has been called, and has not gone yet
    await asyncio.gather(*leaving, return_exceptions=True)
    assert not reached.is_set()

    await asyncio.wait_for(hold(4), 5)
    assert reached.is_set()


def test_reports_are_seldom_and_complete() -> None:
    """A runner may count as often as it likes: few messages travel, and the last count is among them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reporter = ChannelReporter(theirs, threading.Lock(), threading.Event())

        for done in range(1000):
            reporter.progress(done, 2000)
        reporter.stage("remux")

        told = [REPORTS.validate_json(line) for line in ours.recv(1 << 20).splitlines()]
    assert len(told) < 10
    assert told[-2:] == [Progress(done=999, total=2000), Stage(name="remux")]


def test_pace_tells_speed_and_end() -> None:
    """Ten frames a second with fifty to go end in five seconds."""
    pace = Pace()

    assert pace.measure(0, 0, 100) == (None, None)
    assert pace.measure(5, 50, 100) == (10, 5)


def test_pace_forgets_a_slow_start() -> None:
    """Only the last minute counts: loading the model is not the speed of the work."""
    pace = Pace()
    pace.measure(0, 0, None)
    for second in range(300, 400):
        rate, end = pace.measure(second, (second - 300) * 24, None)

    assert rate == pytest.approx(24)
    assert end is None


def test_pace_survives_a_clock_that_is_set_back() -> None:
    """A machine that sets its clock gives no negative speed."""
    pace = Pace()
    pace.measure(100, 10, 20)

    assert pace.measure(50, 12, 20) == (None, None)
    assert pace.measure(51, 13, 20) == (1, 7)


def test_nvidia_smi_is_read() -> None:
    """The first GPU is described, and all are counted; gigabytes are of a thousand."""
    told = "NVIDIA GeForce RTX 4090, 24564, 580.82, 8.9\nNVIDIA GeForce RTX 4090, 24564, 580.82, 8.9\n"

    assert parse_gpus(told) == {
        "name": "NVIDIA GeForce RTX 4090",
        "count": 2,
        "vram_gb": 25.757,
        "driver": "580.82",
        "compute_capability": "8.9",
    }


@pytest.mark.parametrize("told", ["", "No devices were found\n", "NVIDIA-SMI has failed\n"])
def test_no_gpu_is_no_error(told: str) -> None:
    """A machine without a GPU, or with a broken driver, has none."""
    assert parse_gpus(told) is None


def test_unknown_memory_is_not_guessed() -> None:
    """A virtual GPU that hides its memory is still described."""
    gpu = parse_gpus("GRID A100, [N/A], 580.82, 8.0\n")

    assert gpu is not None
    assert gpu["vram_gb"] is None


def test_machine_is_asked_once(tmp_path: Path) -> None:
    """nvidia-smi can take seconds, so it is called once; the pipelines come with their digests and cards."""
    asked: list[Sequence[str]] = []

    def ask(command: Sequence[str]) -> str:
        asked.append(command)
        return ""

    machine = Machine(tmp_path, ("relay-in",), ask)
    first, again = machine.info(), machine.info()

    assert len(asked) == 1
    assert first.pipelines == again.pipelines
    copy = first.pipelines["copy"]
    assert isinstance(copy, dict)
    assert sorted(copy) == ["card", "digest"]
    assert Info.model_validate_json(first.model_dump_json()) == first
