"""The agent's own errors.

FramehaulError
├── HomeInUse          another agent serves this home folder
├── AttemptFailed      ends an attempt, with the reason that status.json will give
├── GrantsExpired      a grant no longer opens its door; the next generation may
├── WorkerDied         the process that computes is gone
└── Refusal            an HTTP answer: a problem with a name
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from framehaul.contract.states import AttemptReason
from framehaul.contract.wire import Json
from framehaul.errors import FramehaulError


class HomeInUse(FramehaulError):
    """Raised when another agent holds the home folder's lock."""


class AttemptFailed(FramehaulError):
    """Raised inside an attempt's walk to end it as failed."""

    def __init__(self, reason: AttemptReason, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.reason = reason


class GrantsExpired(FramehaulError):
    """Raised when a store refuses a grant that may simply be too old."""


class WorkerDied(FramehaulError):
    """Raised when the worker ends in the middle of an attempt; the message tells how."""


class Refusal(FramehaulError):
    """Raised by a route to answer with a problem; `name` is the last word of its type."""

    def __init__(
        self,
        status: int,
        name: str,
        message: str,
        *,
        advice: str = "",
        retryable: bool = False,
        extra: Mapping[str, Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.name = name
        self.retryable = retryable
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def is_disk_full(exc: BaseException) -> bool:
    """Say whether this error means that no room is left, be it of the disk or of a quota."""
    return isinstance(exc, OSError) and exc.errno in {errno.ENOSPC, errno.EDQUOT}
