"""Search and create (1.3, 1.4)."""

from __future__ import annotations

import json
from typing import Any

from tests.emulators.vast.desk import Asked, Desk
from tests.emulators.vast.filters import check_search, fits, ordered
from tests.emulators.vast.offers import priced
from tests.emulators.vast.words import Reply, no, yes

_MOST_OFFERS = 64  # 1.3: whatever the limit says
_DEFAULT_STORAGE_GB = 8.0


def search(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer what is free and fits, best score first unless told otherwise."""
    query = _query(asked)
    check_search(query)
    storage = _number(query, "allocated_storage", _DEFAULT_STORAGE_GB)
    hour, bid = desk.market.hour, query.get("type") == "bid"
    rows = [priced(offer, storage, hour, bid=bid) for offer in desk.market.asks.free(hour)]
    if not desk.book.strike("filters_ignored"):
        rows = [row for row in rows if fits(row, query)]
    many = min(int(_number(query, "limit", _MOST_OFFERS)), _MOST_OFFERS)
    return yes(offers=ordered(rows, _order(query))[:many])


def create(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Rent an ask. 1.4 also knows `instance_api_key` in the answer; whether it comes is open [?], so it does not."""
    made = desk.market.rent(int(words[0]), asked.body)
    return yes(new_contract=made.id)


def _query(asked: Asked) -> dict[str, Any]:
    """Read the filters, from where each generation of clients puts them."""
    try:
        told = json.loads(asked.query.get("q", "{}")) if asked.method == "GET" else asked.body.get("q", asked.body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise no(400, "invalid_args", "error 400/1001: the query must be an object")
    return told


def _number(query: dict[str, Any], name: str, otherwise: float) -> float:
    try:
        return float(query.get(name) or otherwise)
    except (TypeError, ValueError):
        raise no(400, "invalid_args", f"error 400/1001: invalid {name}: {query[name]}") from None


def _order(query: dict[str, Any]) -> list[tuple[str, bool]]:
    try:
        return [(str(field), way == "desc") for field, way in query.get("order") or [["score", "desc"]]]
    except (TypeError, ValueError):
        raise no(400, "invalid_args", f"error 400/1001: invalid order: {query['order']}") from None
