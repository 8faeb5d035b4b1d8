"""The operators of a search, and of the list of instances: {"gpu_name": {"eq": "RTX 4090"}}."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.emulators.vast.offers import ORDINARY
from tests.emulators.vast.words import no

Row = dict[str, Any]

# In a search's flat body these stand beside the filters.
SETTINGS = {"order", "type", "limit", "allocated_storage", "disable_bundling", "select_cols"}
_TYPES = {"on-demand", "ondemand", "bid", "reserved"}
# What can be asked for besides the fields of an ordinary offer.
_FURTHER = {"id", "ask_contract_id", "machine_id", "host_id", "bundle_id", "verified", "rentable", "rented"}
_FURTHER |= {"dph_total", "dlperf_per_dphtotal", "flops_per_dphtotal", "score", "gpu_total_ram", "reliability2"}
_FURTHER |= {"expected_reliability", "storage_total_cost", "driver_vers", "end_date", "start_date"}
_FURTHER |= {"internet_up_cost_per_tb", "internet_down_cost_per_tb"}
SEARCHABLE = frozenset(ORDINARY) | _FURTHER


def _compare(order: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(have: Any, want: Any) -> bool:
        value = _like(have, want)
        return have is not None and value is not None and order(have, value)

    return holds


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: bool(have == _like(have, want)),
    "neq": lambda have, want: bool(have != _like(have, want)),
    "gt": _compare(lambda have, want: have > want),
    "gte": _compare(lambda have, want: have >= want),
    "lt": _compare(lambda have, want: have < want),
    "lte": _compare(lambda have, want: have <= want),
    "in": lambda have, want: any(have == _like(have, one) for one in want),
    "notin": lambda have, want: all(have != _like(have, one) for one in want),
}


def check_search(query: Mapping[str, Any]) -> None:
    """Refuse what a search does not know; a real server may pass it over, a test with a typing error must not."""
    for field, wish in query.items():
        if field in SETTINGS:
            continue
        if field not in SEARCHABLE or not isinstance(wish, Mapping) or not set(wish) <= set(_OPERATORS):
            raise no(400, "invalid_args", f"error 400/1001: invalid filter {field}: {wish}")
    if query.get("type", "on-demand") not in _TYPES:
        raise no(400, "invalid_args", f"error 400/1001: invalid type {query['type']}")


def fits(row: Row, query: Mapping[str, Any]) -> bool:
    """Say whether an offer is what a search asks for."""
    return all(_allows(_seen(row, field), wish) for field, wish in query.items() if field not in SETTINGS)


def matches(row: Row, wishes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether a row has what `select_filters` wants."""
    return all(_allows(row.get(field), wish) for field, wish in wishes.items())


def ordered(rows: Iterable[Row], order: Iterable[tuple[str, bool]]) -> list[Row]:
    """Sort by (field, descending?), the first is the chief; what has no value comes last."""
    found = list(rows)
    for field, falling in reversed(list(order)):
        have = [row for row in found if row.get(field) is not None]
        have.sort(key=lambda row: row[field], reverse=falling)
        found = have + [row for row in found if row.get(field) is None]
    return found


def _allows(have: Any, wish: Mapping[str, Any]) -> bool:
    if odd := set(wish) - set(_OPERATORS):
        raise no(400, "invalid_request", f"no such operator: {' '.join(sorted(odd))}")
    return all(_OPERATORS[name](have, want) for name, want in wish.items())


def _seen(row: Row, field: str) -> Any:
    match field:
        case "id":  # 1.3: a filter on `id` matches nothing; ask_contract_id is the way to read one offer again
            return None
        case "verified":
            return row["verification"] == "verified"
        case "driver_version":  # 1.3: arrives as the int 535086005
            return row["driver_vers"]
    return row.get(field)


def _like(have: Any, want: Any) -> Any:
    """Read a filter's value as the field's type: they arrive as strings, and the server coerces (1.3)."""
    try:
        if isinstance(have, bool):
            return want.lower() == "true" if isinstance(want, str) else bool(want)
        if isinstance(have, int | float) and isinstance(want, str):
            return float({"true": "1", "false": "0"}.get(want.lower(), want))
    except ValueError:
        raise no(400, "invalid_args", f"error 400/1001: invalid value {want}") from None
    return str(want) if isinstance(have, str) and want is not None else want
