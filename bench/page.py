"""Show the figures: a table for people, a document for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.growth import Growth
from bench.meter import Spread
from bench.ratios import Figures

_ROWS = {
    "whole": "whole pipeline",
    "decode": "decode alone",
    "model": "model alone",
    "encode": "encode alone",
    "carried": "whole without the model",
    "decode_bare": "decode, libav alone",
    "encode_bare": "encode, from ready YUV",
    "png_files": "PNG files, whole",
}


@dataclass(frozen=True)
class Goal:
    """Hold a figure against what it should be."""

    name: str
    value: float
    limit: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Say whether it is."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def goals(cases: Sequence[Figures], memory: Sequence[Growth]) -> list[Goal]:
    """List the project's goals for what was measured."""
    found = []
    for figures in cases:
        found.append(Goal(f"{figures.case}: whole / sum of parts, CPU", figures.whole_to_sum, 1.15, True))
        found.append(Goal(f"{figures.case}: efficiency", figures.efficiency.median, 0.87, False))
        if figures.codec:
            # A small difference of two large figures may come out too low; what was measured straight bounds it.
            worst = max(figures.codec.ratio.median, figures.codec.carried_ratio.median)
            found.append(Goal(f"{figures.case}: codec and I/O / PNG files", worst, 0.5, True))
    for growth in memory:
        name = f"memory, {growth.compute}: growth a frame, % of a frame"
        found.append(Goal(name, growth.percent_of_frame, 2.0, True))
    return found


def document(
    machine: Mapping[str, object], cases: Sequence[Figures], memory: Sequence[Growth], skipped: Sequence[str]
) -> dict[str, Any]:
    """Collect everything; `efficiency` is the least of the cases', None where none was measured."""
    return {
        "efficiency": min((figures.efficiency.median for figures in cases), default=None),
        "machine": dict(machine),
        "cases": [asdict(figures) for figures in cases],
        "memory": [asdict(growth) for growth in memory],
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals(cases, memory)],
        "skipped": list(skipped),
    }


def table(
    machine: Mapping[str, object], cases: Sequence[Figures], memory: Sequence[Growth], skipped: Sequence[str]
) -> str:
    """Write it all for people."""
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in machine.items()]
    for figures in cases:
        lines += ["", *_case(figures)]
    if memory:
        lines += ["", *map(_growth, memory)]
    lines += ["", *map(_goal, goals(cases, memory))]
    lines += [f"skipped: {sentence}" for sentence in skipped]
    return "\n".join(lines)


def _case(figures: Figures) -> list[str]:
    sizes = " → ".join("{}×{}".format(*size) for size in (figures.input, figures.output))
    lines = [
        f"{figures.case}: {figures.network}, {sizes}, {figures.frames} frames, {figures.rounds} rounds, "
        f"{figures.dtype}, batch {figures.batch}; {figures.fps:.1f} fps",
        f"  {'':26}{'CPU-ms a frame':>22}{'wall-ms a frame':>24}",
    ]
    for name, cpu in figures.cpu_ms.items():
        lines.append(f"  {_ROWS[name]:26}{_spread(cpu):>22}{_spread(figures.wall_ms[name]):>24}")
    lines += [
        f"  efficiency (sum of parts / whole, CPU)  {_spread(figures.efficiency, 3)}",
        f"  the same, parts by libav alone          {_spread(figures.efficiency_bare, 3)}",
        f"  wall of {figures.slowest_part} alone / wall of whole    {_spread(figures.wall_efficiency, 3)}",
    ]
    if codec := figures.codec:
        lines += [
            f"  codec and I/O, CPU-ms a frame: {_spread(codec.ours)} (whole less model), "
            f"{_spread(codec.carried)} (measured straight); PNG files {_spread(codec.png)} ({codec.pictures})",
            f"  of PNG files: {_spread(codec.ratio, 3)}; measured straight {_spread(codec.carried_ratio, 3)}",
        ]
    return lines


def _growth(growth: Growth) -> str:
    return (
        f"memory, 1280×720 through {growth.compute}: {growth.slope_bytes * 1000 / 2**20:+.2f} MiB in 1000 frames = "
        f"{growth.percent_of_frame:+.3f} % of a frame each ({growth.frames} frames, {growth.warm_up_frames} of them "
        f"warm-up; first to last {growth.rise_bytes / 2**20:+.1f} MiB; at most {growth.resident_mib:.0f} MiB)"
    )


def _goal(goal: Goal) -> str:
    sign = "≤" if goal.at_most else "≥"
    return f"{'met' if goal.met else 'NOT MET':8} {goal.name}: {goal.value:.3f} ({sign} {goal.limit:g})"


def _spread(spread: Spread, digits: int = 1) -> str:
    return f"{spread.median:.{digits}f} ({spread.least:.{digits}f}–{spread.most:.{digits}f})"
