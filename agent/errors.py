"""The agent's own errors.

FramehaulError
├── HomeInUse          another agent serves this home folder
├── AttemptFailed      ends an attempt, with the reason that status.json will give
├── GrantsExpired      a grant no longer opens its door; the next generation may
├── WorkerDied         the process that computes is gone
├── WorkerOverdue      it was ended, because it hung or took too long
└── Refusal            an HTTP answer: a problem with a name
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from framehaul.contract.states import AttemptReason
from framehaul.contract.wire import Json
from framehaul.errors import FramehaulError

# EFBIG: a disk or a limit that takes no file of this size; another machine may.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class HomeInUse(FramehaulError):
    """Raised when another agent holds the home folder's lock."""


class AttemptFailed(FramehaulError):
    """Raised inside an attempt's walk to end it as failed."""

    def __init__(self, reason: AttemptReason, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.reason = reason


class GrantsExpired(FramehaulError):
    """Raised when a store refuses a grant that may simply be too old; `generation` says which one it was."""

    def __init__(self, message: str, *, advice: str = "", generation: int = 0) -> None:
        super().__init__(message, advice=advice)
        self.generation = generation


class WorkerDied(FramehaulError):
    """Raised when the worker ends in the middle of an attempt; the message tells how."""


class WorkerOverdue(FramehaulError):
    """Raised when a worker was ended over its silence or its time; the reason is the attempt's."""

    def __init__(self, reason: AttemptReason, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.reason = reason


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
    """Say whether this error, or one that led to it, means that no room is left on the disk or for the file.

    libav's writer fails with the system's error as the cause of a MediaError.
    """
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return True
        cause = cause.__cause__
    return False
