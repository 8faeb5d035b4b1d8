"""Read request bodies: bounded, strict, and never left half read on a connection that still wants its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from agent.errors import Refusal
from agent.http.problems import bad_request
from framehaul.contract.wire import Wire

MAX_JSON_BYTES = 1 << 20
# Real seconds: they bound socket I/O. A laptop that fell asleep in the middle of a body must not block its slot.
IDLE_S = 30.0
_DISCARD_BYTES = 64 << 20
_DISCARD_S = 5.0

W = TypeVar("W", bound=Wire)


def body(model: type[W]) -> Callable[[Request], Awaitable[W]]:
    """Make a dependency that reads this message from the body, at most 1 MiB of it."""

    async def read(request: Request) -> W:
        try:
            raw = await _read_bounded(request)
            # Strictly: "1" is no number. What is guessed here would hash to another order than the one that was sent.
            return model.model_validate_json(raw, strict=True)
        except ClientDisconnect as exc:
            raise Refusal(408, "idle", "The message did not come to its end.", retryable=True) from exc
        except ValidationError as exc:
            raise bad_request(exc.errors(include_input=False, include_url=False, include_context=False)) from exc

    return read


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Stream the body; ends early, with ClientDisconnect, when the sender is gone or idle for too long."""
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                data = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as exc:
            raise ClientDisconnect from exc
        if data:
            yield data


async def discard_rest(request: Request) -> None:
    """Read what the sender still sends, within bounds.

    A server that answers and closes while bytes are unread makes the kernel reset the connection,
    and the sender would never see the answer.
    """
    left = _DISCARD_BYTES
    try:
        async with asyncio.timeout(_DISCARD_S):
            async for data in request.stream():
                left -= len(data)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end already
        return


async def _read_bounded(request: Request) -> bytes:
    raw = bytearray()
    async for data in pieces(request):
        raw += data
        if len(raw) > MAX_JSON_BYTES:
            await discard_rest(request)
            raise Refusal(413, "too-big", f"A message may have {MAX_JSON_BYTES} bytes.")
    return bytes(raw)
