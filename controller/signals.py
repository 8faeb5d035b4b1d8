"""Heed Ctrl-C and its kin on every platform: Windows has fewer signals, and loops that take none."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# A closed terminal (HUP) is a Ctrl-C; Windows knows no such signal, but BREAK.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def on_signals(loop: asyncio.AbstractEventLoop, heed: Callable[[], None]) -> Iterator[None]:
    """Call `heed` on the loop, between its steps, for each signal that asks the program to end."""
    undo = [_heeded(loop, getattr(signal, name), heed) for name in _NAMES if hasattr(signal, name)]
    try:
        yield
    finally:
        for put_back in undo:
            put_back()


def _heeded(loop: asyncio.AbstractEventLoop, number: signal.Signals, heed: Callable[[], None]) -> Callable[[], object]:
    try:
        loop.add_signal_handler(number, heed)
    except NotImplementedError:
        # Called between two instructions of whatever runs: only the loop may decide when it is heeded.
        def handle(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(heed)

        before = signal.signal(number, handle)
        return lambda: signal.signal(number, before)
    return lambda: loop.remove_signal_handler(number)
