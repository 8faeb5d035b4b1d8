"""What a create may say, and how vast refuses the rest (1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.emulators.vast.words import no

_MOST_PORTS = 64
_MOST_ENTRY = 256
_MOST_ENV = 32_768
_MOST_COMMAND = 4_096
_MOST_IMAGE = 1_024
MOST_LABEL = 256
MOST_LABEL_LATER = 1_024  # 1.4: the manage call takes longer ones than create
_PRICES = (0.001, 128.0)
_LEAST_DISK = 8.0
_DEFAULT_DISK = 10.0


def checked(body: Mapping[str, Any], offer: Mapping[str, Any]) -> dict[str, Any]:
    """Give the order with what it left out, or refuse it."""
    order = {**body, "env": body.get("env") if body.get("env") is not None else {}, "disk": body.get("disk")}
    order["disk"] = _DEFAULT_DISK if order["disk"] is None else order["disk"]
    _check_env(order["env"])
    _check_price(order.get("price"))
    if not order.get("image") and not order.get("template_hash_id"):
        raise _invalid("image or template_hash_id is required")
    if len(str(order.get("image") or "")) > _MOST_IMAGE:
        raise _invalid("image is too long")
    check_label(order.get("label"), MOST_LABEL)
    if not isinstance(order["disk"], int | float) or not _LEAST_DISK <= order["disk"] <= offer["disk_space"]:
        raise _invalid(f"invalid disk size {order['disk']}")
    if len(str(order.get("onstart") or "")) + len(str(order.get("args") or "")) > _MOST_COMMAND:
        raise _invalid("args and onstart are too long")
    if order.get("target_state") not in {None, "running", "stopped"}:
        raise _invalid(f"invalid target_state {order['target_state']}")
    return order


def check_label(label: Any, most: int) -> None:
    """Refuse a label that is no text, or too long."""
    if label is not None and not isinstance(label, str):
        raise _invalid("label must be a string")
    if len(label or "") > most:
        raise no(400, "label_too_long", f"label is longer than {most} characters")


def _check_env(env: Any) -> None:
    if not isinstance(env, Mapping):
        raise _invalid("invalid env type: env must be a dict")
    entries = [f"{name}={value}" for name, value in env.items()]
    if any(len(entry) > _MOST_ENTRY for entry in entries) or sum(map(len, entries)) > _MOST_ENV:
        raise _invalid("env is too long")
    if sum(name.startswith("-p ") for name in env) > _MOST_PORTS:
        raise _invalid(f"more than {_MOST_PORTS} ports")


def _check_price(price: Any) -> None:
    if price is None:
        return
    if isinstance(price, bool) or not isinstance(price, int | float) or not _PRICES[0] <= price <= _PRICES[1]:
        raise no(400, "invalid_price", f"error 400/3604: invalid price {price}")


def _invalid(msg: str) -> Exception:
    return no(400, "invalid_args", f"error 400/3603: {msg}")
