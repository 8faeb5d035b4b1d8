"""An instance as the API shows it, and the page of a list (1.5)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from tests.emulators.vast.filters import matches, ordered
from tests.emulators.vast.life import Instance, pull_line
from tests.emulators.vast.offers import HOURS_A_MONTH
from tests.emulators.vast.words import Reply, no, yes

_MOST_ROWS = 25
_ROWS_OF_ODD_LIMITS = 5
# 1.5: only columns of the contract can be filtered; dph_total and num_gpus cannot.
_FILTERABLE = {"id", "machine_id", "host_id", "actual_status", "intended_status", "cur_state", "next_state", "label"}
_FILTERABLE |= {"gpu_name", "verification", "image_uuid", "start_date", "end_date", "is_bid"}

# What an instance's row has of its offer as it is.
_OF_OFFER = (
    *("machine_id", "host_id", "bundle_id", "num_gpus", "gpu_name", "gpu_ram", "gpu_frac", "gpu_arch", "compute_cap"),
    *("cuda_max_good", "driver_version", "cpu_cores", "cpu_cores_effective", "cpu_ram", "cpu_name", "cpu_arch"),
    *("inet_up", "inet_down", "inet_up_cost", "inet_down_cost", "storage_cost", "reliability2", "verification"),
    *("geolocation", "hosting_type", "static_ip", "public_ipaddr", "direct_port_count", "min_bid", "disk_bw"),
    *("disk_name", "dlperf", "total_flops", "pci_gen", "pcie_bw", "gpu_mem_bw", "mobo_name", "cluster_id"),
    *("external", "internet_up_cost_per_tb", "internet_down_cost_per_tb", "resource_type"),
)


def row(one: Instance, now: float) -> dict[str, Any]:
    """Give an instance in full."""
    order, offer = one.order, one.offer
    running = one.status == "running"
    disk = one.disk_gb * offer["storage_cost"] / HOURS_A_MONTH
    return {
        **{name: offer.get(name) for name in _OF_OFFER},
        **{"id": one.id, "label": one.label, "actual_status": one.status, "intended_status": one.intended},
        **{"cur_state": one.current, "next_state": one.next, "status_msg": _message(one, now)},
        **{"image_uuid": order.get("image"), "image_args": order.get("args") or [], "onstart": order.get("onstart")},
        **{"image_runtype": order.get("runtype"), "template_hash_id": order.get("template_hash_id")},
        # 1.5: pairs, though openapi says strings; the official client fails on anything else.
        "extra_env": [[str(name), str(value)] for name, value in order["env"].items()],
        **{"template_id": None, "template_name": None, "jupyter_token": one.key[:32], "volume_info": []},
        **{"ssh_host": f"ssh{one.id % 9 + 1}.vast.ai", "ssh_idx": str(one.id % 9 + 1), "ssh_port": one.id % 50_000},
        **{"machine_dir_ssh_port": 22, "local_ipaddrs": "10.0.0.7 172.17.0.1 \n"},
        **{"direct_port_start": -1, "direct_port_end": -1, "ports": _ports(one) if running else None},
        **{"gpu_totalram": offer["gpu_total_ram"], "country_code": _country(offer["geolocation"])},
        **{"start_date": one.made_at, "end_date": one.ends_at, "duration": now - one.made_at},
        **{"time_remaining": "", "uptime_mins": None if one.running_since is None else (now - one.running_since) / 60},
        **{"dph_base": one.gpu_dph, "dph_total": one.gpu_dph + disk, "storage_total_cost": disk, "is_bid": one.is_bid},
        **{"search": _prices(one.gpu_dph, disk), "instance": _prices(one.gpu_dph if running else 0.0, disk)},
        **{"disk_space": one.disk_gb, "disk_usage": 1.5 if running else -1, "disk_util": 0.05 if running else -1},
        **{"gpu_util": 0.0 if running else None, "gpu_temp": 41.0 if running else None, "cpu_util": 0.1},
        **{"mem_usage": 2.1 if running else None, "mem_limit": 64.0, "vmem_usage": 0.0},
        **{"credit_balance": None, "client_run_time": 1.1, "host_run_time": offer["duration"]},
    }


def page(rows: list[dict[str, Any]], query: Mapping[str, str]) -> Reply:
    """Answer GET /api/v1/instances/: filter, sort, cut to 25, and say how it goes on."""
    wishes = _read(query, "select_filters", {})
    if odd := set(wishes) - _FILTERABLE:
        raise no(400, "invalid_request", f"cannot filter by {' '.join(sorted(odd))}")
    found = [one for one in rows if matches(one, wishes)]
    order = [(wish["col"], wish.get("dir") == "desc") for wish in _read(query, "order_by", [])]
    found = ordered(found, order or [("id", False)])
    labels: dict[str, int] = {}
    for one in found:
        labels[one["label"] or ""] = labels.get(one["label"] or "", 0) + 1
    first, many = _offset(query.get("after_token")), _limit(query.get("limit"))
    shown = found[first : first + many]
    more = first + many < len(found)
    return yes(
        instances_found=len(found),
        total_instances=len(found),
        label_counts=labels,
        next_token=_token(first + many) if more else None,
        instances=[_columns(one, _read(query, "select_cols", None)) for one in shown],
    )


def combinations(rows: list[dict[str, Any]]) -> Reply:
    """Answer GET /instances/filters/: what the list can be filtered by."""
    names = ("actual_status", "verification", "gpu_name")
    seen = {tuple(one[name] for name in names): None for one in rows}
    return Reply(200, {"filters": [dict(zip(names, values, strict=True)) for values in seen]})


def _message(one: Instance, now: float) -> str:
    if one.status != "loading":
        return one.message
    ends = one.coming[0].at if one.coming else one.since + 3600.0
    return pull_line((now - one.since) / max(ends - one.since, 1e-3))


def _ports(one: Instance) -> dict[str, Any] | None:
    if one.hides_ports:
        return None
    return {inner: [{"HostIp": "0.0.0.0", "HostPort": str(outer)}] for inner, outer in one.ports.items()}


def _prices(gpu: float, disk: float) -> dict[str, float]:
    total = gpu + disk
    return {
        **{"gpuCostPerHour": gpu, "diskHour": disk, "totalHour": total},
        **{"discountTotalHour": 0.0, "discountedTotalPerHour": total},
    }


def _country(place: str | None) -> str | None:
    return place.rpartition(",")[2].strip() if place else None


def _columns(one: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    if wanted is None or "*" in wanted:
        return one
    return {name: one.get(name) for name in ["id", *wanted]}


def _read(query: Mapping[str, str], name: str, otherwise: Any) -> Any:
    try:
        return json.loads(query[name]) if name in query else otherwise
    except ValueError:
        raise no(400, "invalid_request", f"{name} is no JSON") from None


def _limit(word: str | None) -> int:
    try:
        limit = int(word) if word is not None else _MOST_ROWS
    except ValueError:
        raise no(400, "invalid_request", "limit is no number") from None
    return min(limit, _MOST_ROWS) if limit > 0 else _ROWS_OF_ODD_LIMITS


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"values": [offset]}).encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token))["values"][0])
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error):
        raise no(400, "invalid_token", "after_token is invalid") from None
