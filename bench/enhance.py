"""Measure the enhance pipeline: does it cost more than its parts, less than PNG files, and does its memory stay?

    python -m bench.enhance [--quick] [--json] [--case shipped-x2]

A table, or with --json one document, on stdout; progress on stderr. What this machine lacks is skipped, with a
sentence. Exit code 0: measured; 2: nothing could be measured as asked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from framehaul.pipelines.waiting import wait_asleep

wait_asleep()  # before the first import of torch, as the agent's worker does

import torch  # noqa: E402

from bench import growth, machine, page, ratios  # noqa: E402
from framehaul.errors import FramehaulError  # noqa: E402
from framehaul.pipelines.enhance.devices import Device, choose_precision, find_device  # noqa: E402
from framehaul.pipelines.enhance.weights import DEFAULT_WEIGHTS  # noqa: E402

USAGE = 2
WEIGHTS = Path(__file__).parents[2] / "shared" / "weights" / "realesr-animevideov3.pth"
SHIPPED, OFFICIAL, MEMORY = "shipped-x2", "animevideov3-x4", "memory"


@dataclass(frozen=True)
class MemoryRun:
    """Say how many frames go through, and from which on memory is watched."""

    frames: int
    warm_up: int


LONG, SHORT = MemoryRun(3000, 500), MemoryRun(120, 60)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and give the exit code."""
    chosen = _arguments().parse_args(words)
    skipped: list[str] = []
    if chosen.device == "cuda" and not torch.cuda.is_available():
        return _refuse("there is no CUDA device here; leave --device out to measure on the CPU.")
    device = Device("cpu") if chosen.device == "cpu" else find_device()
    found = machine.describe(device)
    try:
        cases = [_ratios(case, device, chosen) for case in _cases(chosen, skipped)]
        memory = _memory(chosen, skipped)
    except FramehaulError as error:
        return _refuse(str(error))
    if cases and not found["ffmpeg"]:
        skipped.append("The comparison with PNG files: there is no ffmpeg program here.")
    if not cases and not memory:
        return _refuse(" ".join(skipped))
    if chosen.json:
        print(json.dumps(page.document(found, cases, memory, skipped), indent=2, ensure_ascii=False))
    else:
        print(page.table(found, cases, memory, skipped))
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.enhance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", action="append", choices=(SHIPPED, OFFICIAL, MEMORY), help="only this; repeatable")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the file of realesr-animevideov3")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="by default as the pipeline chooses")
    parser.add_argument("--dtype", choices=("fp32", "fp16", "bf16"), default="auto", help="likewise")
    parser.add_argument("--batch", type=_positive, help="frames a call of the network; likewise")
    parser.add_argument("--rounds", type=_positive, help="how often everything is run (5; quick 2)")
    parser.add_argument(
        "--frames", type=_positive, help="of the clips that networks run on (108 and 24; quick 12 and 3)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a short run that shows that it works; its figures are rough"
    )
    parser.add_argument("--json", action="store_true", help="print one document for machines")
    return parser


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _cases(chosen: argparse.Namespace, skipped: list[str]) -> list[ratios.Case]:
    asked = chosen.case or (SHIPPED, OFFICIAL)
    cases = []
    if SHIPPED in asked:
        cases.append(ratios.Case(SHIPPED, DEFAULT_WEIGHTS, (320, 180), 108, 12))
    if OFFICIAL in asked and chosen.weights.is_file():
        cases.append(ratios.Case(OFFICIAL, chosen.weights, (320, 240), 24, 3))
    elif OFFICIAL in asked:
        skipped.append(f"{OFFICIAL}: there is no {chosen.weights.name}; --weights PATH says where it lies.")
    return cases


def _ratios(case: ratios.Case, device: Device, chosen: argparse.Namespace) -> ratios.Figures:
    frames = chosen.frames or (case.quick_frames if chosen.quick else case.frames)
    rounds = chosen.rounds or (2 if chosen.quick else 5)
    precision = choose_precision(chosen.dtype, device)
    if precision.note:
        _tell(precision.note)
    return ratios.measure(case, frames, ratios.Setting(device, precision.dtype, chosen.batch or "auto", rounds, _tell))


def _memory(chosen: argparse.Namespace, skipped: list[str]) -> list[growth.Growth]:
    if MEMORY not in (chosen.case or (MEMORY,)):
        return []
    if not growth.STATM.exists():
        skipped.append(f"{MEMORY}: this system does not tell a process how much of it lies in memory, as Linux does.")
        return []
    run = SHORT if chosen.quick else LONG
    computes = ("identity",) if chosen.quick else tuple(growth.COMPUTES)
    return [growth.measure(compute, run.frames, run.warm_up, _tell) for compute in computes]


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _refuse(sentence: str) -> int:
    _tell(f"Nothing was measured: {sentence}")
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
