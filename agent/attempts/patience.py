"""Wait for a store that fails for a while: how long until the next try, and when to stop hoping."""

from __future__ import annotations

import random
from email.utils import parsedate_to_datetime

import httpx

from agent.jobs.job import Job
from framehaul.clock import Clock, wait_for_event
from framehaul.storage.http_replies import seconds_of

GIVE_UP_AFTER_S = 1800.0
# A machine that slept for an hour has waited long and tried once: that is no store which stays down.
_FEWEST_TRIES = 8
_LONGEST_PAUSE_S = 60.0
# Without newer grants the same ones are tried again: a right may be given back, an hour that was wrong may come.
_ASK_AGAIN_S = 300.0
_LONGEST_ASKED_S = 600.0


class Patience:
    """Count the tries in a row that brought nothing, and the time since something came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.now()
        self.tries = 0

    def renew(self) -> None:
        """Begin anew: the last try brought something."""
        self._since = self._clock.now()
        self.tries = 0

    def spend(self) -> None:
        """Count a try that brought nothing."""
        self.tries += 1

    @property
    def over(self) -> bool:
        """Say whether it was tried often and for long enough."""
        return self.tries >= _FEWEST_TRIES and self._clock.now() - self._since >= GIVE_UP_AFTER_S

    def pause_s(self, asked_s: float = 0.0) -> float:
        """Choose the seconds until the next try: what the store asked for, or longer the longer it lasts."""
        backoff = 2.0 ** min(self.tries, 6) * random.uniform(0.5, 1.0)
        return max(min(asked_s, _LONGEST_ASKED_S), min(backoff, _LONGEST_PAUSE_S))


async def until_renewed(clock: Clock, job: Job, refused: int) -> bool:
    """Wait for later grants than those that were refused; False when none came, and the same ones may be tried again.

    Never longer than that, though the clock is set back meanwhile.
    """
    until = clock.now() + _ASK_AGAIN_S
    while job.grants is None or job.grants.generation <= refused:
        left_s = min(until - clock.now(), _ASK_AGAIN_S)
        if left_s <= 0 or not await wait_for_event(clock, job.bell.next(), left_s):
            return False
    return True


def asked_pause_s(reply: httpx.Response) -> float:
    """Read Retry-After: seconds, or a date, which is held against the reply's own; 0 where neither is told."""
    told = reply.headers.get("Retry-After", "").strip()
    if (seconds := seconds_of(told)) is not None:
        return seconds
    try:
        until, now = parsedate_to_datetime(told), parsedate_to_datetime(reply.headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0
