"""Answers as vast gives them: a status, a body, and what stands in the head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer; a `str` goes out as plain text, anything else as JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        """Give the body's bytes."""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    @property
    def media_type(self) -> str:
        """Name the type: 1.3, without a charset, or the official client prints "invalid return Content-Type"."""
        return "text/plain" if isinstance(self.body, str) else "application/json"


class Refused(Exception):
    """Raised where a request is answered with a no."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


def yes(**more: Any) -> Reply:
    """Answer with success."""
    return Reply(200, {"success": True, **more})


def no(status: int, error: str, msg: str, **more: Any) -> Refused:
    """Refuse in the usual envelope (1.1)."""
    return Refused(Reply(status, {"success": False, "error": error, "msg": msg, **more}))


def wrong_key(form: str = "401") -> Refused:
    """Refuse a key; 1.1: the same comes as a 404 too."""
    return no(int(form), "auth_error", "Invalid user key")


def offer_gone(ask: int, form: str = "410") -> Refused:
    """Refuse an offer that nobody can rent any more, in one of the three forms of 1.4."""
    if form == "404":
        return no(404, "invalid_args", f"error 404/3603: no_such_ask Instance type by id {ask} is not available.")
    msg = f"error {form}/3907: no_such_ask Instance type {ask} is no longer available."
    return no(int(form), "no_such_ask", msg, ask_id=ask)


def no_such_instance(number: int | str) -> Refused:
    """Refuse an instance that is not there (any more)."""
    return no(404, "no_such_instance", f"Instance {number} not found")


def too_frequent(threshold_s: float, form: str = "plain", retry_after: float | None = None) -> Reply:
    """Answer 429; 1.2: often plain text, sometimes JSON, as a rule without Retry-After."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    if form == "json":
        return Reply(429, {"detail": f"API requests too frequent endpoint threshold={threshold_s}"}, headers)
    return Reply(429, f"API requests too frequent: endpoint threshold={threshold_s}", headers)


def search_quota(now: float) -> Reply:
    """Answer that the day's searches are used up (1.1); they come back at midnight UTC."""
    midnight = (int(now) // 86_400 + 1) * 86_400
    body = {"success": False, "error": "search_quota_exceeded", "msg": "Daily search quota exceeded"}
    return Reply(429, body, {"X-RateLimit-Reset": str(midnight)})


def deprecated_list() -> Reply:
    """Answer the retired list of instances (1.5)."""
    msg = "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead."
    return Reply(410, {"success": False, "error": "deprecated_endpoint", "msg": msg})
