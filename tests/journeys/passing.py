"""Let the shared hour pass while processes work and wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.emulators.clock import ClockServer

# A machine's boot is real work, and its deadline is in shared time: while it boots, that time must not race ahead.
SLOWLY_S = 0.1
FAST_S = 5.0
_REAL_PAUSE_S = 0.02


@contextmanager
def passing(hour: ClockServer, step_s: float) -> Iterator[None]:
    """Let time pass in steps, each as soon as a process waits for it."""
    over = threading.Event()

    def pass_on() -> None:
        while not over.wait(_REAL_PAUSE_S):
            if hour.hour.told()["waiting"]:  # else all are at work, or gone: waiting for them would hold the end up
                hour.advance(step_s)

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
