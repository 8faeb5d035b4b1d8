"""A server on loopback that holds a lease's certificate and says, byte by byte, what a test wants it to say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from framehaul.contract.lease_secret import LeaseSecret


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class LoopbackAgent:
    """Answer every request with the next of the `answers`, the last one again and again; then close.

    Without a secret it speaks plain HTTP. With `reads_body=False` it answers as soon as it has read the head.
    """

    secret: LeaseSecret | None
    folder: Path
    answers: Sequence[bytes] = ()
    reads_body: bool = True
    asked: list[Asked] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=self._context())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.sockets[0].getsockname()
        return (host, port)

    def _context(self) -> ssl.SSLContext | None:
        if self.secret is None:
            return None
        key, certificate = self.folder / "agent.key", self.folder / "agent.crt"
        key.write_bytes(self.secret.private_key_pem())
        certificate.write_bytes(self.secret.certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError):
            pass  # the other side left; what it was told before is the test's matter
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.secret is None:
            await reader.read(1)  # a greeting in a language that it does not speak has no end that it could wait for
            writer.write(self.answers[0])
            return
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0))) if self.reads_body else b""
        self.asked.append(Asked(head[0], headers, body))
        writer.write(self.answers[min(len(self.asked), len(self.answers)) - 1])
        await writer.drain()


def reply(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Write an answer; underscores in the names of headers are dashes."""
    raw = body.encode() if isinstance(body, str) else body
    told = {"Content-Length": str(len(raw)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw
