"""Carry requests to the real S3 server and its replies back, past the faults; one thread a connection."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.listener import Listener, hang_up
from tests.emulators.s3_rules import Book, Fault, Rules
from tests.emulators.s3_signatures import refusal, unsigned
from tests.emulators.s3_streams import Cut, Stream, hold
from tests.emulators.s3_words import Asked, Refusal, denied, expired, in_200, of_status, skewed

_PIECE_BYTES = 256 << 10
_ETAG = re.compile(rb"<ETag>[^<]*</ETag>")
# What belongs to one connection and not to the message, and what the proxy answers by itself.
_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "expect"}


@dataclass
class Desk:
    """What all connections share."""

    book: Book
    upstream: tuple[str, int]
    keys: dict[str, str]
    region: str
    vendor: str
    clock: Callable[[], float]
    keep_bytes: int
    control: Callable[[dict[str, Any]], dict[str, Any]]
    offset_s: float = 0.0
    kept: list[bytes | bytearray] = field(default_factory=list)

    def now(self) -> float:
        """Tell the proxy's time, seconds since 1970."""
        return self.clock() + self.offset_s


class FaultyServer(Listener):
    """The proxy's listener."""

    def __init__(self, port: int, desk: Desk) -> None:
        super().__init__(port, _Handler)
        self.desk = desk
        self.begin()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def serve(self) -> None:
        """Carry one request, or obey it when it is for the proxy."""
        if self.path.startswith("/_control"):
            self._obey()
            return
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        entry = self._enter(asked)
        try:
            self._answer(asked, self.server.desk.book.fitting(asked), entry)
        except (Cut, HTTPException, OSError):
            entry["status"] = entry["status"] or 0
            self.close_connection = True
            hang_up(self.connection)

    def do_GET(self) -> None:
        """Read, list, or be told of the proxy."""
        self.serve()

    def do_HEAD(self) -> None:
        """Describe."""
        self.serve()

    def do_PUT(self) -> None:
        """Write, whole or in parts."""
        self.serve()

    def do_POST(self) -> None:
        """Begin or complete an upload, or order the proxy."""
        self.serve()

    def do_DELETE(self) -> None:
        """Delete or abort."""
        self.serve()

    def handle_expect_100(self) -> bool:
        """Say "go on" only when the body is wanted: a refusal comes before it, as from a real store."""
        return True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet; the log is a route."""

    def _enter(self, asked: Asked) -> dict[str, Any]:
        """Write the request into the log; what comes of it is filled in later."""
        entry: dict[str, Any] = {
            **{"method": asked.method, "operation": asked.operation, "bucket": asked.bucket, "key": asked.key},
            **{"query": asked.words, "presigned": asked.presigned, "headers": dict(asked.headers)},
            **{"range": asked.headers.get("range"), "status": None, "fault": None, "up_bytes": 0, "down_bytes": 0},
        }
        self.server.desk.book.requests.append(entry)
        if self.server.desk.keep_bytes:
            self.server.desk.kept.append(f"{self.requestline}\n{self.headers}".encode("latin-1"))
        return entry

    def _answer(self, asked: Asked, rules: Rules, entry: dict[str, Any]) -> None:
        self._stall(rules, entry)
        if refused := self._refusal(asked, rules, entry):
            self._drain()
            self._refuse(refused, entry)
        elif rules.strike("page_in_200"):
            entry["fault"] = "page_in_200"
            self._drain()
            self._give(b"<html>200 OK</html>", "text/html", 200, entry)
        else:
            self._forward(asked, rules, entry)

    def _stall(self, rules: Rules, entry: dict[str, Any]) -> None:
        """Hold the whole request where a stall says so."""
        for fault in rules.named("stall"):
            if not {"bytes", "total_bytes"} & set(fault.words) and rules.book.strike(fault):
                entry["fault"] = "stall"
                hold(fault, self.connection)

    def _refusal(self, asked: Asked, rules: Rules, entry: dict[str, Any]) -> Refusal | None:
        """Say no where the signature or a fault wants it."""
        desk = self.server.desk
        now, vendor = desk.now(), desk.vendor
        if "transfer-encoding" in asked.headers:
            sentence = "A header you provided implies functionality that is not implemented"
            return Refusal(501, "NotImplemented", sentence, {"Header": "Transfer-Encoding"})
        if desk.keys and (no := refusal(asked, desk.keys, desk.region, now, vendor)):
            return no
        used = asked.words.get("X-Amz-Signature") in desk.book.used
        answers: tuple[tuple[str, Callable[[Fault], Refusal | None]], ...] = (
            ("deny", lambda _: denied(vendor)),
            ("status", lambda fault: of_status(fault.words, asked, vendor)),
            ("expired", lambda _: expired(asked, now, vendor)),
            ("future", lambda _: skewed(asked, now)),
            ("reused", lambda _: Refusal(403, "AccessDenied", "This address was used before") if used else None),
            ("error_in_200", lambda fault: None if fault.words.get("done") else in_200(fault.words)),
        )
        for name, answer in answers:
            for fault in rules.named(name):
                if (no := answer(fault)) and rules.book.strike(fault):
                    entry["fault"] = name
                    return no
        return None

    def _forward(self, asked: Asked, rules: Rules, entry: dict[str, Any]) -> None:
        """Carry the request to the store and its reply back."""
        desk = self.server.desk
        up, down = (
            Stream(rules, way, entry, desk.keep_bytes, self.server.closing, self.connection) for way in ("up", "down")
        )
        if desk.keep_bytes:  # before anything is answered: whoever has the answer may look at once
            desk.kept += [up.kept, down.kept]
        with closing(HTTPConnection(*desk.upstream, timeout=300)) as there:
            reply = self._ask(there, asked, up)
            if asked.presigned and reply.status < 300:
                desk.book.used.add(asked.words["X-Amz-Signature"])
            if rules.strike("lose_reply"):
                entry["fault"] = "lose_reply"
                reply.read()
                raise Cut
            if asked.operation == "CompleteMultipartUpload" and rules.strike("other_etag"):
                entry["fault"] = "other_etag"
                self._rename(reply, entry)
            elif fault := rules.strike("error_in_200"):
                entry["fault"] = "error_in_200"
                reply.read()
                self._refuse(in_200(fault.words), entry)
            else:
                self._pass_back(reply, down, entry, part=200 if rules.strike("part_as_200") else 206)

    def _ask(self, there: HTTPConnection, asked: Asked, up: Stream) -> HTTPResponse:
        """Send the request on, as it came; without its signature when that was checked here."""
        target, left_out = unsigned(asked) if self.server.desk.keys else (asked.target, set())
        there.putrequest(asked.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP | left_out:
                there.putheader(name, value)
        there.endheaders()
        deaf = False
        for piece in up.pieces(self._body()):
            with suppress(BrokenPipeError, ConnectionResetError):  # it answered before the body's end
                if not deaf:
                    deaf = True
                    there.send(piece)
                    deaf = False
        return there.getresponse()

    def _pass_back(self, reply: HTTPResponse, down: Stream, entry: dict[str, Any], *, part: int) -> None:
        """Send the reply, by the proxy's clock."""
        bodiless = self.command == "HEAD" or reply.status in {204, 304}
        framed = reply.length is None and not bodiless
        headers = [(name, value) for name, value in reply.getheaders() if name.lower() not in {*_HOP, "date"}]
        # rclone says 200 of a part of an object; every real store says 206.
        status = part if reply.status == 200 and reply.getheader("Content-Range") else reply.status
        entry["status"] = status
        self._send_head(status, [*headers, *([("Transfer-Encoding", "chunked")] if framed else [])])
        if bodiless:
            return
        for piece in down.pieces(_reply_pieces(reply)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)) if framed else piece)
        if framed:
            self.wfile.write(b"0\r\n\r\n")

    def _rename(self, reply: HTTPResponse, entry: dict[str, Any]) -> None:
        """Send a reply to complete with another entity tag, as stores do that encrypt or have tags of their own."""
        raw = _ETAG.sub(b'<ETag>"opaque"</ETag>', reply.read())
        self._give(raw, "application/xml", reply.status, entry)

    def _give(self, raw: bytes, kind: str, status: int, entry: dict[str, Any]) -> None:
        """Send a body of our own."""
        entry["status"] = status
        self._send_head(status, [("Content-Type", kind), ("Content-Length", str(len(raw)))])
        self.wfile.write(raw)

    def _refuse(self, refused: Refusal, entry: dict[str, Any]) -> None:
        """Answer with an error's XML."""
        entry["status"] = refused.status
        raw = refused.xml(len(self.server.desk.book.requests))
        headers = {"Content-Type": "application/xml", "Content-Length": str(len(raw)), **refused.headers}
        self._send_head(refused.status, list(headers.items()))
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _send_head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Date", formatdate(self.server.desk.now(), usegmt=True))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.server.desk.keep_bytes:
            self.server.desk.kept.append(f"{status} {headers}".encode("latin-1", "replace"))

    def _body(self) -> Iterator[bytes]:
        """Read the request's body as it comes; raises Cut when its sender is gone."""
        left = int(self.headers.get("Content-Length", 0))
        if left and self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        while left:
            piece = self.rfile.read1(min(left, _PIECE_BYTES))
            if not piece:
                raise ConnectionAbortedError("the client hung up")
            left -= len(piece)
            yield piece

    def _drain(self) -> None:
        """Read what will not be forwarded, so that the refusal is read; unasked for, it is not sent at all."""
        if self.headers.get("Expect") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
        else:
            for _ in self._body():
                pass

    def _obey(self) -> None:
        """Answer the control's routes."""
        book, address = self.server.desk.book, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, said = 200, b""
        match self.command, address.path:
            case "POST", "/_control":
                try:
                    said = json.dumps(self.server.desk.control(json.loads(raw))).encode()
                except (ValueError, TypeError) as exc:
                    status, said = 400, json.dumps({"error": str(exc)}).encode()
            case "GET", "/_control/log":
                said = json.dumps({"requests": book.requests}).encode()
            case "GET", "/_control/traffic":
                said = json.dumps(book.traffic).encode()
            case "GET", "/_control/plaintext":
                said = b"\n".join(self.server.desk.kept)
            case "GET", "/_control/struck":
                said = json.dumps({"struck": self._wait(dict(parse_qsl(address.query)))}).encode()
            case _:
                status = 404
        self._send_head(status, [("Content-Length", str(len(said)))])
        self.wfile.write(said)

    def _wait(self, words: dict[str, str]) -> bool:
        fault = self.server.desk.book.find(int(words["fault"]))
        return fault is not None and fault.struck.wait(float(words.get("timeout_s", "60")))


def _reply_pieces(reply: HTTPResponse) -> Iterator[memoryview]:
    """Read the store's reply; raises HTTPException when it ends too soon."""
    buffer = memoryview(bytearray(_PIECE_BYTES))
    while count := reply.readinto(buffer):
        yield buffer[:count]
    if reply.length:
        raise HTTPException("the store hung up")
