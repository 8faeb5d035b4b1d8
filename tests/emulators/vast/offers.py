"""Asks: what hosts offer, in vast's fields and units (1.3), made up from a seed or completed from a file."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HOURS_A_MONTH = 30 * 24  # 1.3: storage_cost is $/GB/month, and an hour of it is /30/24

Offer = dict[str, Any]

# name: (MB that are usable, compute_cap, GPU $/h, dlperf, TFLOPS, memory GB/s)
GPUS: Mapping[str, tuple[int, int, float, float, float, float]] = {
    "RTX 3060": (12_288, 860, 0.06, 28.0, 12.6, 330.0),
    "RTX 3090": (24_576, 860, 0.17, 62.0, 35.6, 830.0),
    "RTX 4090": (24_564, 890, 0.34, 108.0, 82.6, 920.0),
    "RTX 5090": (32_607, 1200, 0.52, 190.0, 104.8, 1600.0),
    "L4": (22_528, 890, 0.30, 46.0, 30.3, 290.0),
    "A100 SXM4": (81_920, 800, 0.95, 140.0, 19.5, 1900.0),
    "H100 SXM": (81_559, 900, 1.90, 340.0, 66.9, 3100.0),
}
_PLACES = ("Norway, NO", "Texas, US", "Bulgaria, BG", ", US", "Taiwan, TW", None)  # 1.3: the code stands at the end
_COUNTS = (1, 1, 1, 2, 4, 8)
_BYTE_COSTS = (0.0, 0.003, 0.01, 0.02)  # $/GB
_MAX_CUDA = ("12.4", "12.6", "12.8", "13.0")

# An ordinary machine with one RTX 4090; files and made-up asks say what differs.
ORDINARY: Mapping[str, Any] = {
    **{"num_gpus": 1, "gpu_name": "RTX 4090", "gpu_ram": 24_564, "gpu_frac": 1.0, "gpu_arch": "nvidia"},
    **{"compute_cap": 890, "cuda_max_good": 12.8, "driver_version": "570.133.20", "gpu_lanes": 16},
    **{"cpu_cores": 32, "cpu_cores_effective": 16.0, "cpu_ram": 128_814, "cpu_ghz": 3.6, "cpu_arch": "amd64"},
    **{"cpu_name": "AMD EPYC 7543 32-Core Processor", "mobo_name": "ROMED8-2T", "has_avx": 1},
    **{"disk_space": 320.0, "disk_bw": 2900.0, "disk_name": "SAMSUNG MZQL23T8HCLS", "storage_cost": 0.15},
    **{"inet_up": 820.0, "inet_down": 910.0, "inet_up_cost": 0.005, "inet_down_cost": 0.003},
    **{"direct_port_count": 250, "static_ip": True, "public_ipaddr": "127.0.0.1\n"},  # 1.5: with a newline
    **{"dph_base": 0.34, "min_bid": 0.12, "credit_discount_max": 0.1},
    **{"reliability": 0.995, "verification": "verified", "vericode": 1, "hosting_type": 0, "datacenter": False},
    **{"external": False, "geolocation": "Norway, NO", "vms_enabled": False, "cluster_id": None},
    **{"resource_type": "gpu", "duration": 14 * 86_400.0, "dlperf": 108.0, "total_flops": 82.6},
    **{"pci_gen": 4.0, "pcie_bw": 25.1, "gpu_mem_bw": 920.0, "bw_nvlink": 0.0},
    **{"gpu_display_active": False, "gpu_max_power": 450.0, "gpu_max_temp": 90.0, "ubuntu_version": "22.04"},
    **{"avail_vol_ask_id": None, "avail_vol_size": None, "avail_vol_dph": None},
}


def complete(said: Mapping[str, Any]) -> Offer:
    """Fill an offer that says at least `id` up with what an ordinary machine has."""
    ask = int(said["id"])
    offer: Offer = {"machine_id": 10_000 + ask, "host_id": 20_000 + ask, "bundle_id": 30_000 + ask, **ORDINARY, **said}
    offer["id"] = offer["ask_contract_id"] = ask
    offer.setdefault("gpu_total_ram", offer["gpu_ram"] * offer["num_gpus"])
    offer["driver_vers"] = _numeric(str(offer["driver_version"]))
    offer["reliability2"] = offer["expected_reliability"] = offer["reliability"]  # 1.3: the old name still comes along
    offer["internet_up_cost_per_tb"] = offer["inet_up_cost"] * 1000
    offer["internet_down_cost_per_tb"] = offer["inet_down_cost"] * 1000
    return offer


def from_file(path: Path) -> list[Offer]:
    """Read a JSON list of offers, each with what differs from an ordinary machine."""
    return [complete(said) for said in json.loads(path.read_text(encoding="utf-8"))]


def made_up(seed: int, machines: int = 60) -> list[Offer]:
    """Make machines up; the bigger ones are offered whole and in slices, as vast does."""
    chance = random.Random(seed)
    found: list[Offer] = []
    for number in range(machines):
        machine = _machine(chance, number)
        whole = machine["num_gpus"]
        for slice_gpus in sorted({1, whole // 2 or 1, whole}):
            found.append(complete(_slice(machine, slice_gpus, 7_000_000 + seed % 1000 * 1000 + len(found))))
    return found


def priced(offer: Offer, storage_gb: float, now: float, *, bid: bool = False) -> Offer:
    """Give an offer as a search answers it: `dph_total` has the disk in it that the query named (1.3)."""
    gpu = offer["min_bid"] if bid else offer["dph_base"]
    disk = storage_gb * offer["storage_cost"] / HOURS_A_MONTH
    total = gpu + disk
    search = {"gpuCostPerHour": gpu, "diskHour": disk, "totalHour": total}
    search |= {"discountTotalHour": 0.0, "discountedTotalPerHour": total}
    return {
        **offer,
        **{"dph_base": gpu, "dph_total": total, "storage_total_cost": disk, "search": search, "is_bid": bid},
        **{"discounted_hourly": 0.0, "discounted_dph_total": total, "rentable": True, "rented": False},
        **{"dlperf_per_dphtotal": offer["dlperf"] / total, "flops_per_dphtotal": offer["total_flops"] / total},
        **{"score": offer["dlperf"] / total * offer["reliability"]},  # 1.3: the default order; best is not cheapest
        **{"start_date": now, "end_date": now + offer["duration"]},
    }


def names(offers: Iterable[Offer]) -> list[str]:
    """List the GPUs' names."""
    return sorted({offer["gpu_name"] for offer in offers})


def _machine(chance: random.Random, number: int) -> Offer:
    name = chance.choice(list(GPUS))
    ram, cap, price, dlperf, flops, bandwidth = GPUS[name]
    factor = chance.uniform(0.75, 1.6)
    return {
        **{"machine_id": 15_000 + number, "host_id": 90_000 + number // 3, "num_gpus": chance.choice(_COUNTS)},
        **{"gpu_name": name, "gpu_ram": ram, "compute_cap": cap, "gpu_mem_bw": bandwidth * chance.uniform(0.9, 1.0)},
        **{"dph_base": price * factor, "min_bid": price * factor * chance.uniform(0.25, 0.6)},
        **{"dlperf": dlperf * chance.uniform(0.85, 1.05), "total_flops": flops},
        **{"cuda_max_good": float(chance.choice(_MAX_CUDA)), "cpu_cores": chance.choice((16, 32, 64, 128))},
        **{"cpu_ram": chance.choice((64_211, 128_814, 257_661)), "disk_space": round(chance.uniform(30, 2000), 1)},
        **{"storage_cost": round(chance.uniform(0.05, 0.3), 3), "disk_bw": round(chance.uniform(400, 6000), 1)},
        **{"inet_up": round(chance.uniform(20, 2500), 1), "inet_down": round(chance.uniform(40, 4000), 1)},
        **{
            "inet_up_cost": chance.choice((0.0, 0.003, 0.01, 0.02)),
            "inet_down_cost": chance.choice((0.0, 0.003, 0.01)),
        },
        **{"direct_port_count": chance.choice((0, 1, 10, 100, 250)), "static_ip": chance.random() < 0.7},
        **{"reliability": round(1 - chance.expovariate(80), 4), "geolocation": chance.choice(_PLACES)},
        **{"verification": chance.choice(("verified", "verified", "verified", "unverified", "deverified"))},
        **{"hosting_type": int(chance.random() < 0.3), "duration": chance.uniform(0.5, 60) * 86_400},
    }


def _slice(machine: Offer, gpus: int, ask: int) -> Offer:
    """Cut a slice of a machine: its share of GPUs, cores, disk and price."""
    share = gpus / machine["num_gpus"]
    return {
        **machine,
        **{"id": ask, "bundle_id": 40_000_000 + ask, "num_gpus": gpus, "gpu_frac": share},
        **{name: machine[name] * gpus for name in ("dph_base", "min_bid", "dlperf", "total_flops")},
        **{"cpu_cores_effective": machine["cpu_cores"] * share, "disk_space": machine["disk_space"] * share},
        "datacenter": bool(machine["hosting_type"]),
    }


def _numeric(version: str) -> int:
    """Write "535.86.05" as 535086005, which the client sends when it filters (1.3)."""
    whole, minor, patch = (*version.split("."), "0", "0")[:3]
    return int(f"{whole}{minor.zfill(3)}{patch.zfill(3)}")
