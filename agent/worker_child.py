"""One worker process, seen from the server: started without secrets, spoken to, killed for certain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping

from pydantic import ValidationError

from agent.errors import WorkerDied
from agent.worker_words import REPORTS, Done, Failed, Halted, Note, Progress, Ready, Run, Stage, Stop

_LINE_LIMIT_BYTES = 16 << 20
# Real seconds: they bound what the kernel does with a process, whatever hour it is.
_LAST_BREATH_S = 1.0
_BURIAL_S = 10.0
_STDERR = 2
# CONTAINER_API_KEY, B2_SECRET, HF_TOKEN, …: the worker parses strangers' media and needs none of them.
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|WEBHOOK", re.IGNORECASE)

_log = logging.getLogger(__name__)


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out every variable whose name smells of a secret."""
    return {name: value for name, value in environment.items() if not _SECRET_NAME.search(name)}


class Child:
    """A live worker process and the socket to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        burial_s: float = _BURIAL_S,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._burial_s = burial_s
        self._mourning = asyncio.create_task(self._mourn(), name=f"worker {process.pid}")

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> Child:
        """Start a process; whether it comes to speak is for `hear` to learn."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_LIMIT_BYTES)
        try:
            with theirs:
                process = await _spawn(theirs.fileno(), environment)
        except BaseException:
            writer.close()  # whoever was started after all sees the end of the line
            raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Say whether the process is still there, as far as anyone has noticed."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def tell(self, order: Run | Stop) -> None:
        """Send one order; WorkerDied when nobody is there to take it."""
        try:
            self._writer.write(order.model_dump_json().encode() + b"\n")
            await self._writer.drain()
        except OSError as exc:
            raise WorkerDied(await self._obituary()) from exc

    async def hear(self) -> Ready | Stage | Progress | Note | Done | Failed | Halted:
        """Wait for the next report; WorkerDied when there will be none."""
        try:
            line = await self._reader.readline()
            if line.endswith(b"\n"):
                return REPORTS.validate_json(line)
        except ValidationError as exc:
            raise WorkerDied(f"The worker spoke words that the server does not know ({exc.title}).") from exc
        except (OSError, ValueError) as exc:
            raise WorkerDied(f"The line to the worker broke: {exc}.") from exc
        raise WorkerDied(await self._obituary())

    def strike(self) -> None:
        """Kill the process and all that it started, and let go of the line; who listens hears the end."""
        if self._process.returncode is None:  # after that the id may be somebody else's
            self._kill_group()
        self._writer.transport.abort()

    async def kill(self) -> None:
        """End the process and all that it started, and wait until it is gone. Idempotent.

        One that hangs in a driver cannot even be killed; it is left behind, so that the next job gets its turn.
        """
        self.strike()
        try:
            async with asyncio.timeout(self._burial_s):
                await self._process.wait()
        except TimeoutError:
            _log.error("worker %d: SIGKILL does not end it; left behind", self.pid)
        self._mourning.cancel()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _mourn(self) -> None:
        """See the process end, and end what it started: a heir that holds the line would keep the listener waiting."""
        await self._process.wait()
        self._kill_group()
        await asyncio.sleep(_LAST_BREATH_S)  # for its last words, which may still lie in the socket
        self._writer.transport.abort()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _obituary(self) -> str:
        try:
            async with asyncio.timeout(_LAST_BREATH_S):
                code = await self._process.wait()
        except TimeoutError:
            return "The worker let go of the line to the server."
        if code < 0:
            return f"The worker was killed by {signal.Signals(-code).name}."
        return f"The worker exited with code {code}."


async def _spawn(channel: int, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    words = ("-m", "agent.worker_main", "--fd", str(channel), "--parent", str(os.getpid()))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=_STDERR,
        pass_fds=(channel,),
        env=harmless(environment),
        # Its own session: Ctrl-C does not reach it, and killing its group reaches what it started.
        start_new_session=True,
    )
