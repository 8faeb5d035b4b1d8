"""An hour that several processes share and a test moves: the control route that `SharedClock` asks.

    python -m tests.emulators.clock --port 0 --start 1800000000

GET  /now                                      {"now": epoch seconds, "waiting": how many wait}
GET  /wait?until=EPOCH                         answers {"now": …} when the hour has come, or after about 5 real seconds
POST /advance {"seconds": s, "waiting": n}     moves; with "waiting" only once so many are waiting (409 after 30 real s)
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_POLL_S = 5.0
_PATIENCE_S = 30.0


class Hour:
    """The hour itself, and who waits for a later one."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._waiting = 0
        self._changed = threading.Condition()

    def told(self) -> dict[str, Any]:
        """Give the hour as the routes answer it."""
        return {"now": self._now, "waiting": self._waiting}

    def wait(self, until: float) -> None:
        """Wait for the hour, at most a few real seconds."""
        with self._changed, self._one_more():
            self._changed.wait_for(lambda: self._now >= until, _POLL_S)

    def advance(self, seconds: float, waiting: int) -> bool:
        """Move on as soon as so many wait; False when they never came."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting >= waiting, _PATIENCE_S):
                return False
            self._now += seconds
            self._changed.notify_all()
            return True

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        self._waiting += 1
        self._changed.notify_all()
        try:
            yield
        finally:
            self._waiting -= 1


class ClockServer:
    """The clock on a port of loopback, in a thread of this process. `url` is what FRAMEHAUL_CLOCK_URL takes."""

    def __init__(self, start: float = 1_800_000_000.0, port: int = 0) -> None:
        self.hour = Hour(start)
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.hour = self.hour
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def advance(self, seconds: float, *, waiting: int = 0) -> None:
        """Move on, as soon as so many processes wait."""
        if not self.hour.advance(seconds, waiting):
            raise TimeoutError(f"{waiting} were to wait for the clock, they never came: {self.hour.told()}")

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def join(self) -> None:
        """Serve until somebody ends the program."""
        self._thread.join()

    def __enter__(self) -> ClockServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hour: Hour


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Tell the hour, or tell it later."""
        parts = urlsplit(self.path)
        if parts.path == "/wait":
            self.server.hour.wait(float(parse_qs(parts.query)["until"][0]))
        elif parts.path != "/now":
            self._answer(404, {"error": "no such route"})
            return
        self._answer(200, self.server.hour.told())

    def do_POST(self) -> None:
        """Move the hour."""
        wish = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path != "/advance":
            self._answer(404, {"error": "no such route"})
            return
        moved = self.server.hour.advance(float(wish["seconds"]), int(wish.get("waiting", 0)))
        self._answer(200 if moved else 409, self.server.hour.told())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def main() -> None:
    """Serve until killed; the first line printed is the address."""
    words = argparse.ArgumentParser(description="A clock for several processes.")
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--start", type=float, default=1_800_000_000.0)
    told = words.parse_args()
    server = ClockServer(told.start, told.port)
    print(server.url, flush=True)
    server.join()


if __name__ == "__main__":
    main()
