"""What this machine is, told without touching the GPU's driver from Python."""

from __future__ import annotations

import csv
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import framehaul
from framehaul.contract.status import Info
from framehaul.contract.wire import Json
from framehaul.pipelines.catalogue import load_pipeline, pipeline_names

_GPU_FIELDS = ("name", "memory.total", "driver_version", "compute_cap")
_NVIDIA_SMI = ("nvidia-smi", f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader,nounits")
_NVIDIA_SMI_TIMEOUT_S = 20.0

_log = logging.getLogger(__name__)

Ask = Callable[[Sequence[str]], str]


def ask_program(command: Sequence[str]) -> str:
    """Give what a program prints; nothing when it is not there, fails or hangs."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout


class Machine:
    """Asked once; only the free disk is looked up anew."""

    def __init__(self, home: Path, grant_kinds: tuple[str, ...], ask: Ask = ask_program) -> None:
        self._home = home
        self._grant_kinds = grant_kinds
        self._ask = ask

    def info(self) -> Info:
        """Describe the machine; blocks on the first call."""
        return self._fixed.model_copy(update={"disk_free_gb": self._disk_free_gb()})

    @cached_property
    def _fixed(self) -> Info:
        return Info(
            version=framehaul.__version__,
            hostname=socket.gethostname(),
            cpu_count=os.cpu_count() or 1,
            memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
            disk_free_gb=self._disk_free_gb(),
            gpu=parse_gpus(self._ask(_NVIDIA_SMI)),
            grant_kinds=self._grant_kinds,
            pipelines=_cards(),
        )

    def _disk_free_gb(self) -> float:
        return shutil.disk_usage(self._home).free / 1e9


def parse_gpus(text: str) -> dict[str, Json] | None:
    """Read nvidia-smi's table: the first GPU, and how many there are. None where there is none."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if len(row) == len(_GPU_FIELDS)]
    if not rows:
        return None
    name, memory_mib, driver, capability = rows[0]
    return {
        "name": name,
        "count": len(rows),
        # Some virtual GPUs print "[N/A]".
        "vram_gb": round(int(memory_mib) * (1 << 20) / 1e9, 3) if memory_mib.isdigit() else None,
        "driver": driver,
        "compute_capability": capability,
    }


def _cards() -> dict[str, Json]:
    cards: dict[str, Json] = {}
    for name in pipeline_names():
        try:
            card = load_pipeline(name).card()
        except Exception:  # noqa: BLE001 - one pipeline that cannot be imported must not hide the others
            _log.exception("pipeline %s: its spec cannot be loaded", name)
            continue
        cards[name] = {"digest": card.digest(), "card": card.model_dump(mode="json")}
    return cards
