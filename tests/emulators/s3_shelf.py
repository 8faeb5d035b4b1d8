"""An S3 server that only lists, over a made-up population of millions of objects, and counts what it is asked.

    python -m tests.emulators.s3_shelf --plan plan.json --port 0        # prints its address; for measuring, a process
    with S3Shelf(plan) as shelf: shelf.endpoint, shelf.counts()         # in threads of this process

The plan is told in s3_population.py: patterns of keys, done-markers of every n-th object, or a file of keys.

It answers ListObjectsV2 (prefix, delimiter, start-after, continuation-token, max-keys up to 1000, encoding-type=url),
HeadObject, HeadBucket, ListBuckets, GetBucketLocation and ListMultipartUploads (none). All else is counted and refused
with 501, GET and PUT of objects too: a plan that reads or writes one shows in the counts. It checks no signature.
Control: GET /_control/counts gives {"ListObjectsV2": n, …}; POST /_control/forget sets them to nothing.
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
from collections import Counter
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.emulators.s3_population import Bucket, Page, buckets
from tests.emulators.s3_words import Asked, Refusal, iso

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class S3Shelf:
    """The server on a port of loopback, in threads of this process."""

    def __init__(self, plan: Mapping[str, Any], port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.buckets, self._server.counts = buckets(plan), Counter()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def counts(self) -> dict[str, int]:
        """Say how often each operation was asked for."""
        return dict(self._server.counts)

    def join(self) -> None:
        """Serve until somebody ends the program."""
        self._thread.join()

    def __enter__(self) -> S3Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    buckets: dict[str, Bucket]
    counts: Counter[str]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server

    def do_GET(self) -> None:
        """List, or tell the counts."""
        if self.path == "/_control/counts":
            self._tell(200, json.dumps(self.server.counts).encode())
        else:
            self._serve()

    def do_POST(self) -> None:
        """Forget the counts."""
        if self.path == "/_control/forget":
            self.server.counts.clear()
            self._tell(200, b"")
        else:
            self._serve()

    def do_HEAD(self) -> None:
        """Describe an object or a bucket."""
        self._serve()

    def do_PUT(self) -> None:
        """Count, and refuse."""
        self._serve()

    def do_DELETE(self) -> None:
        """Count, and refuse."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet; the counts are a route."""

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, {})
        self.server.counts[asked.operation] += 1
        bucket = self.server.buckets.get(asked.bucket)
        if asked.operation == "ListBuckets":
            self._tell(200, _all_buckets(self.server.buckets))
        elif bucket is None:
            self._refuse(
                Refusal(404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": asked.bucket})
            )
        else:
            self._answer(asked, bucket)

    def _answer(self, asked: Asked, bucket: Bucket) -> None:
        match asked.operation:
            case "ListObjectsV2":
                self._tell(200, _listing(asked, bucket))
            case "HeadBucket":
                self._tell(200, b"")
            case "GetBucketLocation":
                self._tell(200, f"{_HEAD}<LocationConstraint {_SPACE}/>".encode())
            case "ListMultipartUploads":
                self._tell(200, _no_uploads(asked))
            case "HeadObject":
                self._describe(asked, bucket)
            case operation:
                self._refuse(Refusal(501, "NotImplemented", f"this store only lists; it was asked for {operation}"))

    def _describe(self, asked: Asked, bucket: Bucket) -> None:
        found = bucket.find(asked.key)
        if found is None:
            self._refuse(Refusal(404, "NoSuchKey", "The specified key does not exist."))
            return
        told = {"ETag": f'"{found.etag}"', "Last-Modified": formatdate(found.modified, usegmt=True)}
        self._tell(200, b"", {**told, "Content-Length": str(found.size), "Accept-Ranges": "bytes"})

    def _refuse(self, refused: Refusal) -> None:
        self._tell(refused.status, refused.xml(sum(self.server.counts.values())))

    def _tell(self, status: int, raw: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(raw)),
            "Content-Type": "application/xml",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


def _listing(asked: Asked, bucket: Bucket) -> bytes:
    words = asked.words
    token = words.get("continuation-token", "")
    after = base64.urlsafe_b64decode(token).decode() if token else words.get("start-after", "")
    limit = min(1000, int(words.get("max-keys", "1000")))
    page = bucket.page(words.get("prefix", ""), after, words.get("delimiter", ""), limit)
    write = quote if words.get("encoding-type") == "url" else escape
    said = {name: words[word] for name, word in _ECHOED.items() if word in words}
    head = "".join(f"<{name}>{write(value)}</{name}>" for name, value in {"Prefix": "", **said}.items())
    body = _body(page, limit, words, write)
    return f"{_HEAD}<ListBucketResult {_SPACE}><Name>{asked.bucket}</Name>{head}{body}</ListBucketResult>".encode()


_hour = lru_cache(1024)(iso)  # neighbours share theirs, and writing one takes longer than the rest of a line
_ECHOED = {"Prefix": "prefix", "Delimiter": "delimiter", "StartAfter": "start-after"}


def _body(page: Page, limit: int, words: Mapping[str, str], write: Any) -> str:
    """Write what follows the echo of the question."""
    token = base64.urlsafe_b64encode(page.last.encode()).decode() if page.last is not None else ""
    told = {
        **({"EncodingType": "url"} if "encoding-type" in words else {}),
        **({"ContinuationToken": words["continuation-token"]} if "continuation-token" in words else {}),
        **{"KeyCount": str(len(page.things) + len(page.folders)), "MaxKeys": str(limit)},
        **{"IsTruncated": "true" if token else "false"},
        **({"NextContinuationToken": token} if token else {}),
    }
    parts = [f"<{name}>{value}</{name}>" for name, value in told.items()]
    parts += [
        f"<Contents><Key>{write(key)}</Key><LastModified>{_hour(modified)}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key, size, etag, modified in page.things
    ]
    parts += [f"<CommonPrefixes><Prefix>{write(folder)}</Prefix></CommonPrefixes>" for folder in page.folders]
    return "".join(parts)


def _no_uploads(asked: Asked) -> bytes:
    head = f"<Bucket>{asked.bucket}</Bucket><KeyMarker/><UploadIdMarker/><MaxUploads>1000</MaxUploads>"
    tail = "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
    return f"{_HEAD}<ListMultipartUploadsResult {_SPACE}>{head}{tail}".encode()


def _all_buckets(found: Mapping[str, Bucket]) -> bytes:
    rows = "".join(f"<Bucket><Name>{name}</Name><CreationDate>{iso(0)}</CreationDate></Bucket>" for name in found)
    return f"{_HEAD}<ListAllMyBucketsResult {_SPACE}><Buckets>{rows}</Buckets></ListAllMyBucketsResult>".encode()


def main() -> None:
    """Serve until killed; the first line printed is the address."""
    words = argparse.ArgumentParser(description="An S3 server that lists what a plan makes up.")
    words.add_argument("--plan", type=Path, required=True)
    words.add_argument("--port", type=int, default=0)
    told = words.parse_args()
    shelf = S3Shelf(json.loads(told.plan.read_text(encoding="utf-8")), told.port)
    print(shelf.endpoint, flush=True)
    shelf.join()


if __name__ == "__main__":
    main()
