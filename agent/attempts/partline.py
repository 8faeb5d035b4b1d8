"""Send a part as a PUT that asks first: the body goes out once the store has said that it will take it.

httpx sends a body without asking. A store that refuses answers at once and hangs up while megabytes are still coming,
and with the broken line its answer is lost: an expired grant would look like a bad network. So this speaks the few
words that are needed (Expect: 100-continue) over a connection of its own, which it keeps from part to part.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import h11
import httpx

# A store that does not know the question says nothing; then the body goes out all the same, as other clients do.
_ASKING_S = 1.0
_CONNECT_S = 20.0
_READ_BYTES = 64 << 10
_MOST_BODY_BYTES = 64 << 10


@dataclass
class _Line:
    """An open connection, and the protocol's state on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    talk: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))


class PartLine:
    """One connection to one store. Raises OSError, TimeoutError or h11.ProtocolError when it breaks."""

    def __init__(self, trust: ssl.SSLContext, stall_s: float) -> None:
        self._trust = trust
        self._stall_s = stall_s
        self._asks = True
        self._line: _Line | None = None
        self._place: tuple[str, str, int | None] | None = None

    async def put(self, address: str, size: int, body: Callable[[], AsyncGenerator[bytes, None]]) -> httpx.Response:
        """Send `size` bytes; an answer that comes before the last of them ends the sending."""
        url = httpx.URL(address)
        reply = await self._put(url, size, body())
        if reply.status_code == httpx.codes.EXPECTATION_FAILED and self._asks:
            self._asks = False  # whoever stands in between does not know the question: it is not asked again
            reply = await self._put(url, size, body())
        return reply

    async def _put(self, url: httpx.URL, size: int, body: AsyncGenerator[bytes, None]) -> httpx.Response:
        line = await self._connected(url)
        kept = False
        try:
            reply = await self._exchange(line, url, size, body)
            kept = line.talk.our_state is h11.DONE and line.talk.their_state is h11.DONE
            if kept:
                line.talk.start_next_cycle()
            return reply
        finally:
            if not kept:
                self.close()

    def close(self) -> None:
        """Hang up. Idempotent."""
        line, self._line = self._line, None
        if line:
            line.writer.transport.abort()

    async def _connected(self, url: httpx.URL) -> _Line:
        place = (url.scheme, url.host, url.port)
        if self._line is None or self._place != place or self._line.reader.at_eof():
            self.close()
            secure = url.scheme == "https"
            async with asyncio.timeout(_CONNECT_S):
                ends = await asyncio.open_connection(
                    url.host, url.port or (443 if secure else 80), ssl=self._trust if secure else None
                )
            self._line, self._place = _Line(*ends), place
        return self._line

    async def _exchange(
        self, line: _Line, url: httpx.URL, size: int, body: AsyncGenerator[bytes, None]
    ) -> httpx.Response:
        headers = [
            ("Host", url.netloc.decode("ascii")),
            ("Content-Length", str(size)),
            ("User-Agent", "framehaul"),
            *([("Expect", "100-continue")] if self._asks else []),
        ]
        self._say(line, h11.Request(method="PUT", target=url.raw_path, headers=headers))
        agreed = asyncio.Event()
        hearing = asyncio.create_task(_hear(line, agreed))
        try:
            if self._asks:
                await _wait(agreed, hearing, _ASKING_S)
            await self._send_body(line, body, hearing)
            async with asyncio.timeout(self._stall_s):
                return await hearing
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _send_body(
        self, line: _Line, body: AsyncGenerator[bytes, None], hearing: asyncio.Task[httpx.Response]
    ) -> None:
        try:
            async with aclosing(body):
                async for data in body:
                    if hearing.done():
                        return
                    self._say(line, h11.Data(data=data))
                    async with asyncio.timeout(self._stall_s):
                        await line.writer.drain()
            self._say(line, h11.EndOfMessage())
        except ConnectionError:
            if not hearing.done() or hearing.exception():
                raise

    def _say(self, line: _Line, event: h11.Event) -> None:
        for data in line.talk.send_with_data_passthrough(event) or ():
            line.writer.write(data)


async def _wait(agreed: asyncio.Event, hearing: asyncio.Task[httpx.Response], seconds: float) -> None:
    """Return when the store has agreed or answered, or when it is silent for so long."""
    asking = asyncio.create_task(agreed.wait())
    try:
        await asyncio.wait({asking, hearing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asking.cancel()


async def _hear(line: _Line, agreed: asyncio.Event) -> httpx.Response:
    """Read one answer to its end, and keep of its body what an error may need."""
    head: h11.Response | None = None
    text = b""
    while True:
        event = line.talk.next_event()
        match event:
            case h11.NEED_DATA:
                line.talk.receive_data(await line.reader.read(_READ_BYTES))
            case h11.InformationalResponse():
                agreed.set()
            case h11.Response():
                head = event
            case h11.Data() if len(text) < _MOST_BODY_BYTES:
                text += bytes(event.data)
            case h11.EndOfMessage() if head is not None:
                return httpx.Response(head.status_code, headers=list(head.headers), content=text)
            case h11.ConnectionClosed():
                raise ConnectionResetError("the store hung up")
