"""A web server for the files of a folder, with ranges and etags, that can be broken on purpose, by name.

    python -m tests.emulators.files --root DIR --port 0

GET, HEAD /path           the file, with Range, If-Range, ETag and Last-Modified
POST /_control            {"fault": NAME, …its words…, "times": n}: the next n requests for files that it fits; no
                          "times": all of them; {"fault": null} mends everything
GET  /_control/log        {"requests": [{"method", "path", "range", "if_range", "status"}, …]}, files only

Faults:
    cut_after {"bytes": n}                   the connection ends after n bytes of a body
    status {"code": c, "retry_after": s, "head": {…}}   answered with this status, Retry-After and other words
    refuse_head {"code": c}                  HEAD alone is refused
    redirect {"to": address}                 302
    ignore_range                             200 and everything, whatever was asked
    ignore_if_range                          206 although the object is another one by now
    part_as_200                              a part is answered with 200; its Content-Range alone tells
    shift_range {"by": n}                    206 for another place than was asked for
    short_range {"bytes": n}                 206 with n bytes at most of what was asked for
    change_etag {"after": n}                 from the (n+1)th request on, another etag
    headers {"set": {name: value or null}}   other words in the head of the reply; null leaves one out
"""

from __future__ import annotations

import argparse
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

FAULTS = {
    *("cut_after", "status", "refuse_head", "redirect", "ignore_range"),
    *("ignore_if_range", "part_as_200", "shift_range", "short_range", "change_etag", "headers"),
}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PIECE_BYTES = 64 << 10


@dataclass
class Control:
    """What is broken, and what was asked."""

    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def break_(self, name: str | None, words: dict[str, Any]) -> None:
        """Set a fault, or mend everything with None."""
        if name is not None and name not in FAULTS:
            raise ValueError(f"no such fault: {name}")
        with self.lock:
            if name is None:
                self.faults.clear()
            else:
                self.faults[name] = words

    def take(self, name: str) -> dict[str, Any] | None:
        """Give the fault's words if it strikes now, and count it down."""
        with self.lock:
            words = self.faults.get(name)
            if words is None:
                return None
            if words.get("after", 0) > 0:
                words["after"] -= 1
                return None
            if "times" in words:
                words["times"] -= 1
                if words["times"] <= 0:
                    del self.faults[name]
            return words


class FileServer:
    """The server on a port of loopback, in a thread of this process."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.root = root
        self.control = Control()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.root, self._server.control = root, self.control
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def fault(self, name: str | None, **words: Any) -> None:
        """Break something from now on; None mends everything."""
        self.control.break_(name, words)

    def log(self) -> list[dict[str, Any]]:
        """Give the requests for files so far, oldest first."""
        return list(self.control.requests)

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def join(self) -> None:
        """Serve until somebody ends the program."""
        self._thread.join()

    def __enter__(self) -> FileServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    root: Path
    control: Control

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_HEAD(self) -> None:
        """Describe a file."""
        self._serve()

    def do_GET(self) -> None:
        """Send a file, or the log."""
        if self.path == "/_control/log":
            self._tell(200, {"requests": self.server.control.requests})
        else:
            self._serve()

    def do_POST(self) -> None:
        """Break something."""
        words = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        try:
            self.server.control.break_(words.pop("fault"), words)
        except (KeyError, ValueError) as exc:
            self._tell(400, {"error": str(exc)})
        else:
            self._tell(200, {"faults": self.server.control.faults})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet; the log is a route."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Remember what was asked and answered."""
        if self.path.startswith("/_control"):
            return
        asked = {"range": self.headers.get("Range"), "if_range": self.headers.get("If-Range")}
        self.server.control.requests.append(
            {"method": self.command, "path": self.path, **asked, "status": int(code)},
        )

    def _serve(self) -> None:
        if self._refused():
            return
        try:
            file = self._path().open("rb")
        except OSError:
            self._tell(404, {"error": "no such file"})
            return
        with file:
            self._send_file(file)

    def _refused(self) -> bool:
        """Answer without the file where a fault says so."""
        take = self.server.control.take
        if self.command == "HEAD" and (words := take("refuse_head")):
            self._tell(words["code"], {})
        elif words := take("status"):
            after = words.get("retry_after")
            self._tell(
                words["code"], {}, {**words.get("head", {}), **({} if after is None else {"Retry-After": str(after)})}
            )
        elif words := take("redirect"):
            self._tell(302, {}, {"Location": words["to"]})
        else:
            return False
        return True

    def _path(self) -> Path:
        name = unquote(urlsplit(self.path).path, errors="surrogateescape").lstrip("/")
        path = Path(os.path.normpath(self.server.root / name))
        if not path.is_relative_to(self.server.root):
            raise FileNotFoundError(name)
        return path

    def _send_file(self, file: BinaryIO) -> None:
        info = os.fstat(file.fileno())
        changed = self.server.control.take("change_etag") is not None
        etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}{"-changed" if changed else ""}"'
        head: dict[str, str | None] = {"ETag": etag, "Last-Modified": formatdate(info.st_mtime, usegmt=True)}
        span = self._asked_span(head, info.st_size)
        if span is not None and span[0] >= info.st_size:
            self._tell(416, {}, {"Content-Range": f"bytes */{info.st_size}"})
            return
        start, end = span or (0, info.st_size)
        if span is not None:
            head["Content-Range"] = f"bytes {start}-{end - 1}/{info.st_size}"
        status = 206 if span and self.server.control.take("part_as_200") is None else 200
        self._send_head(status, {**head, "Accept-Ranges": "bytes", "Content-Length": str(end - start)})
        if self.command == "GET":
            self._send_body(_pieces(file, start, end))

    def _asked_span(self, head: dict[str, str | None], size: int) -> tuple[int, int] | None:
        """Give [start, end) if a part is wanted and may be given."""
        take = self.server.control.take
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        if self.command != "GET" or found is None or take("ignore_range") is not None:
            return None
        expected = self.headers.get("If-Range")
        if expected not in {None, head["ETag"], head["Last-Modified"]} and take("ignore_if_range") is None:
            return None
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
        shift = (take("shift_range") or {}).get("by", 0)
        most = (take("short_range") or {}).get("bytes", size)
        return start + shift, min(size, end + shift, start + shift + most)

    def _send_head(self, status: int, head: dict[str, str | None]) -> None:
        changes = (self.server.control.take("headers") or {}).get("set", {})
        self.send_response(status)
        sent = {**head, **changes}
        for name, value in sent.items():
            if value is not None:
                self.send_header(name, value)
        if sent.get("Content-Length") is None:  # then the end of the connection is the end of the body
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def _send_body(self, pieces: Iterator[bytes]) -> None:
        cut = self.server.control.take("cut_after")
        left = cut["bytes"] if cut else None
        for piece in pieces:
            self.wfile.write(piece if left is None else piece[:left])
            if left is not None:
                left = max(0, left - len(piece))
                if not left:
                    self.close_connection = True
                    return

    def _tell(self, status: int, body: dict[str, Any], head: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **(head or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (piece := file.read(min(_PIECE_BYTES, end - start))):
        start += len(piece)
        yield piece


def main() -> None:
    """Serve until killed; the first line printed is the address."""
    words = argparse.ArgumentParser(description="A web server for a folder, breakable on purpose.")
    words.add_argument("--root", type=Path, required=True)
    words.add_argument("--port", type=int, default=0)
    told = words.parse_args()
    server = FileServer(told.root.resolve(), told.port)
    print(server.url, flush=True)
    server.join()


if __name__ == "__main__":
    main()
