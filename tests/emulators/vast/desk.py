"""What every request passes: who asks, may they, do they ask too often, and which fault stands in its way."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.vast.faults import Book, Fault
from tests.emulators.vast.market import Market
from tests.emulators.vast.pacing import Pacer, threshold
from tests.emulators.vast.processes import Processes
from tests.emulators.vast.words import Refused, Reply, no, search_quota, too_frequent, wrong_key

# 1.10: an instance's own key can show, stop, start, label and destroy that instance; nothing else is known of it [?].
_OWN = {"show", "stop", "start", "label", "destroy"}


class Lost(Exception):
    """Raised where the connection closes without an answer."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    raw: bytes

    @cached_property
    def path(self) -> str:
        """Give the path without a slash at its end, which the client leaves out here and there."""
        return urlsplit(self.target).path.rstrip("/")

    @cached_property
    def query(self) -> dict[str, str]:
        """Give the query's words."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @cached_property
    def body(self) -> dict[str, Any]:
        """Give the body, an object; nothing counts as an empty one."""
        try:
            told = json.loads(self.raw or b"{}")
        except ValueError:
            raise no(400, "invalid_args", "body is no JSON") from None
        if not isinstance(told, dict):
            raise no(400, "invalid_args", "body must be an object")
        return told

    @cached_property
    def key(self) -> str | None:
        """Give the key: 1.1, of the header, or of the query as older clients send it."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return bearer or self.query.get("api_key")


@dataclass(frozen=True)
class Route:
    """An endpoint: its name in faults, log and pacing, and who answers it; `public` ones want no key."""

    name: str
    answer: Callable[[Desk, Asked, list[str]], Reply]
    public: bool = False


@dataclass
class Desk:
    """What all requests share."""

    market: Market
    book: Book
    pacer: Pacer
    processes: Processes
    keys: Collection[str] | None  # None: any key is an account's
    log: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, tuple[str, int]] = field(default_factory=dict)  # snapshots of logs, and how often still 403
    ssh_keys: dict[int, str] = field(default_factory=dict)
    late_texts: int = 2  # 1.7: a result_url answers 403 at first

    def answer(self, asked: Asked, route: Route, words: list[str], hold: Callable[[Fault], None]) -> Reply:
        """Answer one request, past the faults; `hold` waits as long as one that hangs says."""
        number = int(words[0]) if words and "/instances/" in asked.path else None
        facts = {"endpoint": route.name, "instance": number}
        with self.market.lock:
            self.market.settle()
            try:
                reply = self._admit(asked, route, facts) or self._instead(facts)
            except Refused as refused:
                reply = refused.reply
        early = self._spoiler(facts, committed=False) if reply is None else None
        if early is not None:
            return self._spoil(early, hold) or self._do(asked, route, words)
        if reply is None:
            reply = self._do(asked, route, words)
            if reply.status == 200 and (late := self._spoiler(facts, committed=True)):
                return self._spoil(late, hold) or reply
        return reply

    def _do(self, asked: Asked, route: Route, words: list[str]) -> Reply:
        with self.market.lock:
            self.market.settle()
            try:
                return route.answer(self, asked, words)
            except Refused as refused:
                return refused.reply

    def _admit(self, asked: Asked, route: Route, facts: Mapping[str, Any]) -> Reply | None:
        """Look at the key and the pace."""
        if route.public:
            return None
        if fault := self.book.strike("bad_key", **facts):
            raise wrong_key(fault.words.get("form", "401"))
        key = asked.key
        owner = next((one for one in self.market.instances.values() if one.key == key), None)
        if not key or key in self.market.dead_keys or not (owner or self.keys is None or key in self.keys):
            raise wrong_key()
        if owner is not None and not (route.name in _OWN and facts["instance"] == owner.id):
            raise no(403, "not_authorized", "This key may show, stop, start, label and destroy its own instance")
        if fault := self.book.strike("throttled", **facts):
            form, after = fault.words.get("form", "plain"), fault.words.get("retry_after")
            return too_frequent(threshold(route.name), form, after)
        return self.pacer.refusal(route.name, key, self.market.hour)

    def _instead(self, facts: Mapping[str, Any]) -> Reply | None:
        """Give what a fault answers in place of doing anything."""
        if facts["endpoint"] == "search" and self.book.strike("search_quota"):
            return search_quota(self.market.hour)
        if fault := self.book.strike("success_false", **facts):
            msg = fault.words.get("msg", "something went wrong")
            return Reply(200, {"success": False, "error": fault.words.get("error", "error"), "msg": msg})
        if fault := self.book.strike("answers", **facts):
            return Reply(int(fault.words["code"]), fault.words.get("body", {}))
        return None

    def _spoiler(self, facts: Mapping[str, Any], *, committed: bool) -> Fault | None:
        for name in ("reply_lost", "bad_gateway", "hangs"):
            if fault := self.book.strike(name, **facts, committed=committed):
                return fault
        return None

    def _spoil(self, fault: Fault, hold: Callable[[Fault], None]) -> Reply | None:
        if fault.name == "bad_gateway":
            return Reply(int(fault.words.get("code", 502)), "<html><h1>502 Bad Gateway</h1></html>")
        if fault.name == "hangs":
            hold(fault)
            return None
        raise Lost
