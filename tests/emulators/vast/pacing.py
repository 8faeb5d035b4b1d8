"""How often who may ask what: vast's least pauses between requests of an endpoint, by the emulator's clock (1.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from tests.emulators.vast.words import Reply, too_frequent

# Seconds, from openapi's x-rate-limit. Endpoints that are one to vast share a name here.
_PAUSES: Mapping[str, float] = {
    **{"create": 4.5, "destroy": 3.0, "show": 2.0, "list": 1.0, "manage": 1.0, "bid": 5.5},
    **{"ssh_keys": 1.0, "ssh_attach": 1.0, "ssh_detach": 2.0, "execute": 1.5},
}
_SHARED: Mapping[str, str] = {
    **dict.fromkeys(("stop", "start", "label", "reboot", "bulk_state", "recycle"), "manage"),
    **{"bulk_create": "create", "bulk_destroy": "destroy", "ssh_key": "ssh_keys"},
}
_PENALTIES: Mapping[str, float] = {"create": 12.0}  # counted from the refusal; how the real one counts is open [?]
_SEARCHES = 10
_SEARCH_WINDOW_S = 60.0


def threshold(endpoint: str) -> float:
    """Give the pause that an endpoint wants; 0 where none is known."""
    if endpoint == "search":
        return _SEARCH_WINDOW_S / _SEARCHES
    return _PAUSES.get(_SHARED.get(endpoint, endpoint), 0.0)


class Pacer:
    """When each identity may ask each endpoint again."""

    def __init__(self, *, on: bool = True, form: str = "plain", retry_after: bool = False) -> None:
        self.on = on
        self.form = form  # 1.2: both forms of the 429 are seen, with Retry-After and without
        self.retry_after = retry_after
        self._free: dict[tuple[str, str], float] = {}
        self._searches: deque[float] = deque()

    def refusal(self, endpoint: str, identity: str, now: float) -> Reply | None:
        """Count a request; give the 429 when it comes too early."""
        if not self.on:
            return None
        if endpoint == "search":
            return self._search(now)
        name = _SHARED.get(endpoint, endpoint)
        if (pause := _PAUSES.get(name, 0.0)) == 0.0:
            return None
        free = self._free.get((name, identity), now)
        if now < free:
            self._free[name, identity] = max(free, now + _PENALTIES.get(name, 0.0))
            return self._no(pause, self._free[name, identity] - now)
        self._free[name, identity] = now + pause
        return None

    def _search(self, now: float) -> Reply | None:
        """Count by address, not by key: 1.2, ten a minute; loopback is one address."""
        while self._searches and self._searches[0] <= now - _SEARCH_WINDOW_S:
            self._searches.popleft()
        if len(self._searches) >= _SEARCHES:
            return self._no(threshold("search"), self._searches[0] + _SEARCH_WINDOW_S - now)
        self._searches.append(now)
        return None

    def _no(self, pause: float, wait_s: float) -> Reply:
        return too_frequent(pause, self.form, wait_s if self.retry_after else None)
