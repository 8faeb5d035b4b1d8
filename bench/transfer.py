"""Hold the agent's transfers against boto3's own, on the same store in the same run.

    python -m bench.transfer [--size 64MB] [--size 2GB] [--size 5GB] [--rounds 3] [--folder DIR] [--json]

The store is `rclone serve s3` on loopback. Down: the agent's way from a presigned address to the input in its place,
against `download_file`. Up: its delivery of a computed output (hashes, parts, manifest, receipt, the look at what lies
there, until the job is settled), against `upload_file`. Each transfer has a process of its own; they take turns, and
every second round goes backwards. A ratio is boto3's wall time over the agent's in the same round: above 1 the agent is
faster. Memory is the peak of the agent's process over what it held before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.meter import Spread
from bench.rclone import NoServer, Rclone
from bench.transfer_orders import ordered
from bench.transfer_work import WORKS, Taken, Words

DIRECTIONS = ("down", "up")
_UNITS = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PIECE_BYTES = 1 << 20
_WARM_BYTES = 1_000_000
_SMALL_BYTES, _LARGE_BYTES = 500_000_000, 4_000_000_000


@dataclass(frozen=True)
class Row:
    """One direction at one size: the ratios of the rounds, and the agent's peak of memory."""

    direction: str
    size: int
    ratio: Spread
    agent_mb_s: float
    boto3_mb_s: float
    agent_cpu_s: float
    boto3_cpu_s: float
    growth_bytes: int | None

    def __str__(self) -> str:
        grown = "?" if self.growth_bytes is None else f"{self.growth_bytes / 1e6:.0f}"
        spread = f"ratio {self.ratio.median:.2f} ({self.ratio.least:.2f}–{self.ratio.most:.2f})"
        ours = f"agent {self.agent_mb_s:.0f} MB/s, {self.agent_cpu_s:.2f} s CPU, +{grown} MB memory"
        theirs = f"boto3 {self.boto3_mb_s:.0f} MB/s, {self.boto3_cpu_s:.2f} s CPU"
        return f"{self.direction:4} {self.size / 1e6:5.0f} MB  {spread}; {ours}; {theirs}"


class Yard:
    """The store, the objects that lie in it, and the folder where everything happens."""

    def __init__(self, work: Path, store: Rclone, size: int) -> None:
        self._work = work
        self._store = store
        self._turn = 0
        self._sources = [store.bucket / "small.bin", store.bucket / "source.bin"]
        for path, count in zip(self._sources, (min(size, _WARM_BYTES), size), strict=True):
            fill(path, count)

    def run(self, work: str) -> Taken:
        """Run one transfer in a fresh process, hold that all bytes came, and clear up."""
        self._turn += 1
        folder = self._work / f"turn-{self._turn}"
        folder.mkdir()
        names = [f"{folder.name}-{source.name}" for source in self._sources]
        arrived = [(self._store.bucket if work.endswith("up") else folder) / name for name in names]
        taken = _child([self._words(work, *pair, folder) for pair in zip(self._sources, arrived, strict=True)])
        for source, path in zip(self._sources, arrived, strict=True):
            if path.stat().st_size != source.stat().st_size or _edges(path) != _edges(source):
                raise RuntimeError(f"{work}: what arrived is not what was sent.")
            path.unlink()
        shutil.rmtree(folder)
        return taken

    def _words(self, work: str, source: Path, arrived: Path, folder: Path) -> Words:
        up = work.endswith("up")
        path, key = (source, arrived.name) if up else (arrived, source.name)
        words = Words(work, str(path), self._store.endpoint, key)
        if work.startswith("boto3"):
            return words
        spec, given = ordered(self._store, source.name, arrived.name, to_send=up)
        return replace(
            words, folder=str(folder / source.stem), spec=spec.model_dump_json(), grants=given.model_dump_json()
        )


def measure(folder: Path | None, size: int, rounds: int) -> list[Row]:
    """Run all four transfers so many times."""
    with tempfile.TemporaryDirectory(prefix="framehaul-transfer-", dir=folder) as name:
        work = Path(name)
        with Rclone(work) as store:
            yard = Yard(work, store, size)
            readings: dict[str, list[Taken]] = {name: [] for name in WORKS}
            for number in range(rounds):
                for name in WORKS if number % 2 == 0 else reversed(WORKS):
                    readings[name].append(yard.run(name))
    return [_row(direction, size, readings) for direction in DIRECTIONS]


def _row(direction: str, size: int, readings: Mapping[str, Sequence[Taken]]) -> Row:
    ours, theirs = readings[f"agent-{direction}"], readings[f"boto3-{direction}"]
    ratios = [other.wall_s / one.wall_s for one, other in zip(ours, theirs, strict=True)]
    grown = [one.growth_bytes for one in ours if one.growth_bytes is not None]
    return Row(
        direction,
        size,
        Spread.of(ratios),
        agent_mb_s=size / Spread.of([one.wall_s for one in ours]).median / 1e6,
        boto3_mb_s=size / Spread.of([one.wall_s for one in theirs]).median / 1e6,
        agent_cpu_s=Spread.of([one.cpu_s for one in ours]).median,
        boto3_cpu_s=Spread.of([one.cpu_s for one in theirs]).median,
        growth_bytes=max(grown) if grown else None,
    )


def _child(several: list[Words]) -> Taken:
    done = subprocess.run(
        [sys.executable, "-m", "bench.transfer_work"],
        input=json.dumps([asdict(words) for words in several]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Taken(**json.loads(done.stdout))


def fill(path: Path, size: int) -> None:
    """Write bytes that repeat nowhere near: every MiB is another."""
    piece = bytearray(os.urandom(_PIECE_BYTES))
    with path.open("wb") as file:
        for number in range(0, size, _PIECE_BYTES):
            piece[:8] = number.to_bytes(8, "big")
            file.write(piece[: min(_PIECE_BYTES, size - number)])
        file.flush()
        os.fsync(file.fileno())


def _edges(path: Path) -> str:
    """Hash some MiB, spread over the file: enough to tell another or a mixed-up one, at no cost for the next round."""
    size, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        for number in range(17):
            file.seek(max(0, size - _PIECE_BYTES) * number // 16)
            digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()


def bytes_of(word: str) -> int:
    """Read a size such as 64MB, 2GB or 16MiB."""
    found = re.fullmatch(r"(\d+)([A-Za-z]*)", word)
    if found is None or found[2] not in _UNITS or int(found[1]) < 1:
        raise argparse.ArgumentTypeError("must be a size such as 64MB, 2GB or 16MiB")
    return int(found[1]) * _UNITS[found[2]]


def positive(word: str) -> int:
    """Read a count from 1 on."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(word)


def rounds_for(size: int) -> int:
    """Choose how often: what is short needs many rounds to be judged, what is long has its noise evened out."""
    if size > _LARGE_BYTES:
        return 1
    return 9 if size < _SMALL_BYTES else 3


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(
        prog="python -m bench.transfer", description="The agent's transfers beside boto3's."
    )
    words.add_argument("--size", type=bytes_of, action="append", help="by default 64MB, 2GB and 5GB")
    words.add_argument("--rounds", type=positive, help="by default 9, 3 and 1 for these sizes")
    words.add_argument("--folder", type=Path, help="where to work; three times the size must fit")
    words.add_argument("--json", action="store_true", help="print for machines")
    told = words.parse_args()
    rows = []
    try:
        for size in told.size or [64 * 10**6, 2 * 10**9, 5 * 10**9]:
            for row in measure(told.folder, size, told.rounds or rounds_for(size)):
                rows.append(asdict(row))
                if not told.json:
                    print(row, flush=True)
    except NoServer as exc:
        print(exc, file=sys.stderr)
        raise SystemExit(2) from exc
    if told.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
