"""The listener: one thread a connection, replies in vast's form, and connections that end without one."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.emulators.listener import Listener, hang_up
from tests.emulators.vast.desk import Asked, Desk, Lost
from tests.emulators.vast.faults import Fault
from tests.emulators.vast.routes import find
from tests.emulators.vast.words import Refused, Reply

_LOOK_S = 0.05


class Control(Protocol):
    """Whoever obeys the control route."""

    def obey(self, asked: Asked) -> dict[str, Any]:
        """Do what it says, or raise ValueError."""


class Server(Listener):
    """The listener of one emulated vast."""

    def __init__(self, port: int, desk: Desk, control: Control) -> None:
        super().__init__(port, _Handler)
        self.desk, self.control = desk, control
        self.begin()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def serve(self) -> None:
        """Answer one request."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, raw)
        if asked.path.startswith("/_control"):
            self._tell(self._obey(asked))
            return
        entry = self._enter(asked)
        try:
            reply = self._answer(asked, entry)
        except Lost:
            self.close_connection = True
            hang_up(self.connection)
            return
        entry["status"] = reply.status
        self._tell(reply)
        # What was destroyed dies after the answer: an instance that destroys itself may well hear it.
        self.server.desk.market.settle()

    do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet; the log is a route."""

    def _answer(self, asked: Asked, entry: dict[str, Any]) -> Reply:
        try:
            route, words = find(asked)
        except Refused as refused:
            return refused.reply
        entry["endpoint"] = route.name
        return self.server.desk.answer(asked, route, words, self._hold)

    def _obey(self, asked: Asked) -> Reply:
        try:
            return Reply(200, self.server.control.obey(asked))
        except (ValueError, KeyError, TypeError, Refused) as wrong:
            return Reply(400, {"error": str(wrong)})

    def _enter(self, asked: Asked) -> dict[str, Any]:
        """Write the request into the log; what comes of it is filled in later, null for no answer."""
        try:
            body = json.loads(asked.raw or b"null")
        except ValueError:
            body = asked.raw.decode(errors="replace")
        entry = {
            **{
                "at": self.server.desk.market.hour,
                "method": asked.method,
                "path": urlsplit(self.path).path,
                "endpoint": None,
            },
            **{"query": asked.query, "key": asked.key, "agent": asked.headers.get("user-agent")},
            **{"body": body, "status": None},
        }
        self.server.desk.log.append(entry)
        return entry

    def _hold(self, fault: Fault) -> None:
        """Wait as long as the fault says; a client that hangs up, and the emulator's end, lose the answer."""
        until = time.monotonic() + float(fault.words.get("seconds", float("inf")))
        while not fault.released.wait(_LOOK_S) and time.monotonic() < until:
            if self.server.closing.is_set() or _hung_up(self.connection):
                raise Lost

    def _tell(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        self.send_header("Content-Length", str(len(reply.raw)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.raw)


def _hung_up(connection: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class Ticker:
    """Lets come what is due while nobody asks, so that processes start and end by the clock alone."""

    def __init__(self, settle: Callable[[], None], pause_s: float = 0.03) -> None:
        self._settle, self._pause_s = settle, pause_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._pause_s):
            self._settle()
