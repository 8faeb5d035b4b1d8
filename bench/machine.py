"""Say on what a figure was measured: processor, cores, threads, versions, load, date. Never the machine's name."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import torch

from framehaul.pipelines.enhance.devices import Device
from framehaul.pipelines.waiting import POLICY

Facts = dict[str, str | int | float | None]


def describe(device: Device) -> Facts:
    """Collect the facts, as they are now."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "load_average": round(os.getloadavg()[0], 2),
        "device": torch.cuda.get_device_name() if device.kind == "cuda" else device.name,
        "torch_threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get(POLICY, "not set"),
        "gomp_spincount": os.environ.get("GOMP_SPINCOUNT"),  # overrides the policy
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "av": av.__version__,
        "numpy": np.__version__,
        "ffmpeg": ffmpeg_version(shutil.which("ffmpeg")),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor; where the name says little, as on rented machines, its family and model too."""
    found: dict[str, str] = {}
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    name = found.get("model name") or platform.processor() or platform.machine()
    if {"cpu family", "model"} <= found.keys():
        return f"{name}, family {found['cpu family']} model {found['model']}"
    return name


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ffmpeg_version(program: str | None) -> str | None:
    """Give the version that the program prints, such as 5.1.9; None without a program."""
    if program is None:
        return None
    printed = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return printed.split()[2]
