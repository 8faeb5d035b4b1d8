"""Wait for another process by asking again, never by a fixed sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

_ASK_EVERY_S = 0.02
# Only a failure waits so long. A program that starts in a second takes half a minute beside nine others on a core.
_PATIENCE_S = 120.0


@overload
async def eventually(ask: Callable[[], Coroutine[Any, Any, T]], *, within_s: float = ...) -> T: ...
@overload
async def eventually(ask: Callable[[], T], *, within_s: float = ...) -> T: ...
async def eventually(ask: Callable[[], Any], *, within_s: float = _PATIENCE_S) -> Any:
    """Ask until the answer is true, and give it; the last answer is told when it never becomes so."""
    until = time.monotonic() + within_s
    while True:
        answer = ask()
        told = await answer if inspect.isawaitable(answer) else answer
        if told:
            return told
        assert time.monotonic() < until, f"never came true, last answer: {told!r}"
        await asyncio.sleep(_ASK_EVERY_S)
