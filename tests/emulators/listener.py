"""A listener that knows its connections, so that it can end them: in the middle of whatever they carry."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener(ThreadingHTTPServer):
    """Listens on loopback from the beginning, one thread a connection."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.closing = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def begin(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that is known, so that its end can be waited for."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up; anything else is a bug, and told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Stop listening, and end every connection as a power cut would."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        threads = dict(self._open)
        for connection in threads:
            hang_up(connection)
        for thread in (self._thread, *threads.values()):
            thread.join()


def hang_up(connection: socket.socket) -> None:
    """End a connection in both directions; its thread notices by itself."""
    with suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)
