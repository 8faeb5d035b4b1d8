"""The store's own time, learnt from its replies, and signatures that carry it.

A signature holds the hour at which it was made, and a store refuses one that is minutes off. A laptop's clock may be
wrong by an hour; the store's `Date` says by how much, so requests and presigned addresses alike are signed with the
corrected hour. botocore reads the machine's clock while it signs; the two signers below put the store's in its place.
They stand under names of their own in botocore's table of signers, and only clients that ask for them use them.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth, S3SigV4QueryAuth

from framehaul.clock import Clock

SIGNER = "framehaul-s3v4"
_STAMP = "framehaul_timestamp"
# Stores forgive 15 minutes. `Date` is cut to whole seconds and old by the way it came, so what is seen is too low
# by a second or two, never too high: no signature is dated in the future.
_JUMP_S = 60.0
_NOISE_S = 2.0


class StoreHours:
    """How far the store's clock is ahead of ours, in seconds. `jumps` counts how often we were badly mistaken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ahead_s = 0.0
        self.is_known = False
        self.jumps = 0

    def learn(self, date: str) -> None:
        """Take in the `Date` of a reply that came just now; what is no date teaches nothing."""
        try:
            told = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        ahead_s = told - self._clock.now()
        with self._lock:
            gained_s = ahead_s - self._ahead_s
            if gained_s < 0 or gained_s > _NOISE_S or not self.is_known:
                self._ahead_s = ahead_s
            if abs(gained_s) > _JUMP_S:
                self.jumps += 1
            self.is_known = True

    def now(self) -> float:
        """Give the store's hour, as far as we know it."""
        return self._clock.now() + self._ahead_s

    def ours(self, store_hour: float) -> float:
        """Say what our own clock shows when the store's shows this."""
        return store_hour - self._ahead_s

    def stamp(self, request: Any, **_: object) -> None:
        """Lay the hour beside a request before it is signed (botocore's event `before-sign`)."""
        request.context[_STAMP] = datetime.fromtimestamp(self.now(), UTC).strftime(SIGV4_TIMESTAMP)

    def choose(self, signature_version: object, **_: object) -> Any:
        """Take our signers for what would be signed with version 4 (botocore's event `choose-signer`)."""
        # None leaves the choice to botocore: of another kind of bucket, or of no signature at all.
        return SIGNER if signature_version in {"s3v4", "s3v4-query"} else None


class _HeaderSigner(S3SigV4Auth):
    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = request.context[_STAMP]
        super()._modify_request_before_signing(request)  # type: ignore[misc] # its stubs leave it out


class _AddressSigner(S3SigV4QueryAuth):
    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = request.context[_STAMP]
        super()._modify_request_before_signing(request)  # type: ignore[misc] # its stubs leave it out


AUTH_TYPE_MAPS[SIGNER] = _HeaderSigner
AUTH_TYPE_MAPS[f"{SIGNER}-query"] = _AddressSigner
