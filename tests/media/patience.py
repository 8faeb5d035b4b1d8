"""Wait for an end, but not for ever; and see who is still at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 120.0


def within(call: Callable[[], T]) -> T:
    """Call in a thread, so that a deadlock fails the test instead of the whole run; raises what the call raises."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(call())
        except BaseException as exc:  # noqa: BLE001  (handed on below)
            errors.append(exc)

    thread = threading.Thread(target=body, name="patience", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), f"no end after {PATIENCE_S:g} s: a deadlock"
    if errors:
        raise errors[0]
    return results[0]


def threads_of_ours() -> list[str]:
    """Name the stage threads that are still alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("framehaul ")]
