"""Measure what it costs the controller to list and plan very many keys: CPU seconds and memory, in one run.

    python -m bench.plan [--keys 10000 1000000] [--json]

A store that only lists (tests/emulators/s3_shelf.py, a program of its own) makes the keys up: every second one is done,
and 1 % more were done with other parameters. For each number of keys a fresh process plans a copy of all of them from
listings alone, writes the plan into a ledger, plans the same once more (from what is remembered of the markers, with
every job under way), and lets the engine look at it all for some ticks, at a cloud whose one machine never boots.

CPU seconds are user and system time of that process; memory is the most that it had resident, before the figures of
the next step. `growth_mib` is the difference of that between the fewest keys and the most.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from bench.cloud import BootingCloud, FastClock
from bench.meter import cpu_clock
from controller.desk import Desk
from controller.engine import Engine
from controller.ledger import Ledger
from controller.planning import make_plan, write_batch
from controller.remote_index import RemoteIndex
from controller.settings import Settings
from controller.state import StateFolder
from controller.terminal.watch import QuietObserver
from framehaul.contract.naming import DONE_PREFIX, params_digest
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.accounts import Account
from framehaul.storage.base import Stores

T = TypeVar("T")

_HOUR = 1_800_000_000.0
_TICKS = 50
_PIPELINE = "copy"


@dataclass(frozen=True)
class Figures:
    """What one number of keys took. CPU seconds of each step; `peak_mib` after all of them."""

    keys: int
    jobs: int
    done: int
    plan_cpu_s: float
    write_cpu_s: float
    again_cpu_s: float
    tick_cpu_ms: float
    start_mib: float
    plan_mib: float
    peak_mib: float

    @property
    def key_us(self) -> float:
        """The plan's CPU microseconds a key."""
        return 1e6 * self.plan_cpu_s / self.keys

    def __str__(self) -> str:
        return (
            f"{self.keys} keys: {self.jobs} jobs, {self.done} done; CPU: plan {self.plan_cpu_s:.1f} s"
            f" ({self.key_us:.0f} us a key), into the ledger {self.write_cpu_s:.1f} s, planned again"
            f" {self.again_cpu_s:.1f} s, a tick {self.tick_cpu_ms:.1f} ms;"
            f" memory {self.start_mib:.0f} MiB at the start, {self.plan_mib:.0f} planned, {self.peak_mib:.0f} at most"
        )


def measure(keys: int) -> Figures:
    """Measure in a process of its own, against a store that is one too."""
    with tempfile.TemporaryDirectory(prefix="framehaul-bench-") as name:
        plan = Path(name, "shelf.json")
        plan.write_text(json.dumps({"buckets": {"clips": _rows(keys)}}), "utf-8")
        with _shelf(plan) as endpoint, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            return apart.submit(figures, keys, endpoint, Path(name)).result()


def figures(keys: int, endpoint: str, folder: Path) -> Figures:
    """Plan, write down, plan again, and let the engine look."""
    clock = FastClock(_HOUR)
    settings = Settings(inputs=("s3://clips/in/",), to="s3://clips/out/", pipeline=_PIPELINE, provider="booting")
    account = Account(SecretStr("anyone"), SecretStr("anything"), None, endpoint, "us-east-1", path_style=True)
    state = StateFolder(folder)
    with Stores({"s3": account}, clock) as stores, contextlib.closing(Ledger(state.ledger, clock)) as ledger:
        index, start_mib = RemoteIndex(state.remote_index), peak_mib()
        plan, plan_s = _timed(lambda: make_plan(settings, ledger, stores, clock.now(), index=index))
        plan_mib = peak_mib()
        _, write_s = _timed(lambda: write_batch(plan, settings, ledger))
        again, again_s = _timed(lambda: make_plan(settings, ledger, stores, clock.now() + 60, index=index))
        if (len(again.under_way), len(again.jobs)) != (len(plan.jobs), 0):
            raise RuntimeError(f"planned again: {len(again.jobs)} jobs, {len(again.under_way)} under way")
        desk = Desk(ledger, state, clock, QuietObserver(lambda text: None, clock.now), stores)
        tick_ms = asyncio.run(_tick_ms(desk, clock))
    return Figures(
        keys, len(plan.jobs), len(plan.done), plan_s, write_s, again_s, tick_ms, start_mib, plan_mib, peak_mib()
    )


async def _tick_ms(desk: Desk, clock: FastClock) -> float:
    """Let an engine run for some ticks once it has rented; give the CPU milliseconds of one."""
    engine = asyncio.create_task(Engine(desk, lambda name: BootingCloud()).run())
    try:
        await _while_running(engine, clock.ticks(5))
        before = time.process_time()
        await _while_running(engine, clock.ticks(_TICKS))
        return 1000 * (time.process_time() - before) / _TICKS
    finally:
        engine.cancel()
        await asyncio.gather(engine, return_exceptions=True)


async def _while_running(engine: asyncio.Task[None], ticks: Coroutine[None, None, None]) -> None:
    """Wait for the ticks, or for what ended the engine before."""
    waiting = asyncio.create_task(ticks)
    done, _ = await asyncio.wait({engine, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if waiting not in done:
        waiting.cancel()
        engine.result()
        raise RuntimeError("the engine ended, though there is work")


def peak_mib() -> float:
    """Read the most that this process ever had in memory; Linux tells it in its status."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    before = cpu_clock()
    return work(), cpu_clock() - before


def _rows(keys: int) -> list[dict[str, object]]:
    """Describe the bucket: the inputs, half of them done, and 1 % done with other parameters."""
    pipeline = load_pipeline(_PIPELINE)
    digest = params_digest(_PIPELINE, pipeline.parse({}).model_dump(mode="json"), None)
    marks = {"marks": f"out/{DONE_PREFIX}", "of": 0}
    return [
        {"pattern": "in/{folder:04d}/clip {i:07d}.mp4", "count": keys},
        {**marks, "step": 2, "digest": digest},
        {**marks, "start": 1, "step": 100, "digest": "1" * 64},
    ]


@contextlib.contextmanager
def _shelf(plan: Path) -> Iterator[str]:
    """Run the store; gives its endpoint."""
    words = [sys.executable, "-m", "tests.emulators.s3_shelf", "--plan", str(plan), "--port", "0"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            yield program.stdout.readline().strip()
        finally:
            program.terminate()


def _number(text: str) -> int:
    number = int(text)
    if number < 100:
        raise argparse.ArgumentTypeError("at least 100")
    return number


def main(words: Sequence[str] | None = None) -> int:
    """Measure each number of keys, and print."""
    asked = argparse.ArgumentParser(prog="bench.plan", description="What it costs to list and plan very many keys.")
    asked.add_argument("--keys", type=_number, nargs="+", default=[10_000, 1_000_000])
    asked.add_argument("--json", action="store_true")
    said = asked.parse_args(words)
    found = [measure(keys) for keys in sorted(said.keys)]
    growth_mib = found[-1].peak_mib - found[0].peak_mib
    if said.json:
        told = {"load_average": os.getloadavg()[0], "sizes": [asdict(each) for each in found], "growth_mib": growth_mib}
        print(json.dumps(told, indent=2))
        return 0
    for each in found:
        print(each)
    print(f"memory grows by {growth_mib:.0f} MiB; load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
