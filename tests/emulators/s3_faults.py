"""A proxy before a real S3 server, over plain HTTP, that can be broken on purpose, by name.

    S3_FAULTS_KEYS=ID,SECRET python -m tests.emulators.s3_faults --upstream http://127.0.0.1:PORT --port 0 [--region R]

    with Rclone(folder) as store, S3Faults(store.endpoint) as proxy:           # in threads of this process
        proxy.endpoint                                                         # for the account
        proxy.fault("status", code=503, retry_after=1, operation="UploadPart", times=2)
        held = proxy.fault("stall", total_bytes=12_345, operation="GetObject"); held.struck.wait(60); held.release()
        proxy.fault(None), proxy.mend("status")                                # all, or those of a name
        proxy.log(operation="GetObject", status=206), proxy.count(operation=["GetObject", "HeadObject"]), proxy.forget()
        proxy.offset_s = 3600                                                  # its clock: Date, expiry, skew
        proxy.down(), proxy.up()                                               # refuse connections; the port stays
        proxy.traffic()                                                        # {"up": bytes, "down": bytes} of bodies
        proxy.plaintext()                                                      # with keep_bytes=n: all heads, and the
                                                                               # first n bytes of each body
The Host header goes on unchanged, so that the real server checks the client's signatures. With `keys={id: secret}` (in
the environment for the program) the proxy checks them itself, by its own clock, as AWS does: key, region, skew, expiry,
signature; put it before Rclone(folder, keys=None) then, whose clock nobody can set. `vendor="b2"` says no as B2 does.
A part of an object is answered with 206, as by every real store, where rclone says 200 (see part_as_200).

Any fault takes filters: method, operation (UploadPart, CompleteMultipartUpload, GetObject, ListObjectsV2, …) and bucket
(one or a list), key (a part of it), query ("partNumber" or "partNumber=2"), presigned (true: agents; false: accounts);
times (how often; the first four below strike once unless told otherwise, all others always) and after (let n pass).

    lose_reply                       forwarded, and the connection closed without an answer
    other_etag                       the reply to complete calls the object by a tag that says nothing of its parts
    error_in_200 {"done"}            200 and <Error>, as complete can; with done the store did it all the same
    page_in_200                      200 and a page that is no S3 store's; nothing is forwarded
    part_as_200                      a part of an object is answered with 200, as rclone does; its range alone tells
    stall {"seconds"}                nothing is answered until then, until released, or until the client hangs up;
                                     with "bytes": at byte n of a body; with "total_bytes": at byte n of all bodies
                                     together, and then every one
    cut {"bytes" | "total_bytes"}    the connection ends at that byte; "way": "up" or "down" for one direction only
    slow {"bytes_per_s"}             each body at this pace
    status {"code", "retry_after", "error", "message"}   503 SlowDown, 500, 403, 404, 400 AuthorizationHeaderMalformed
                                     and 301 PermanentRedirect (with "region", "endpoint"), or any other
    deny                             403 AccessDenied: no right to what the filters name
    expired                          presigned addresses whose time is over by the proxy's clock
    future                           what was signed more than 15 minutes from the proxy's clock
    reused                           a presigned address that was answered with success before

Control of the program: POST /_control {"fault": NAME or null, …} gives {"fault": number}; {"release": number}, {"mend":
NAME}, {"offset_s": s}, {"forget": true}. GET /_control/log, /_control/traffic, /_control/plaintext, and
/_control/struck?fault=NUMBER&timeout_s=60, which waits until that fault struck.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, overload
from urllib.parse import urlsplit

from tests.emulators.s3_handler import Desk, FaultyServer
from tests.emulators.s3_rules import Book, Fault
from tests.emulators.s3_words import VENDORS

# Below the range that the kernel gives to clients, so that nobody takes the port while the proxy is down.
_PORTS = range(15_000, 32_000)


class S3Faults:
    """The proxy on a port of loopback, in threads of this process."""

    def __init__(
        self,
        upstream: str,
        port: int = 0,
        *,
        keys: Mapping[str, str] | None = None,
        region: str = "us-east-1",
        vendor: str = "aws",
        now: Callable[[], float] = time.time,
        keep_bytes: int = 0,
    ) -> None:
        if vendor not in VENDORS:
            raise ValueError(f"no such vendor: {vendor}")
        self.vendor = vendor
        there = urlsplit(upstream)
        self._desk = Desk(
            Book(),
            (there.hostname or "", there.port or 80),
            dict(keys or {}),
            region,
            vendor,
            now,
            keep_bytes,
            self._control,
        )
        self._server: FaultyServer | None = None
        self._port = port
        self.up()

    @property
    def endpoint(self) -> str:
        """Give the address, the same after down and up."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def offset_s(self) -> float:
        """Say how far its clock is ahead."""
        return self._desk.offset_s

    @offset_s.setter
    def offset_s(self, seconds: float) -> None:
        self._desk.offset_s = seconds

    @overload
    def fault(self, name: None) -> None: ...
    @overload
    def fault(self, name: str, **words: Any) -> Fault: ...
    def fault(self, name: str | None, **words: Any) -> Fault | None:
        """Break something from now on; None mends everything."""
        if name is None:
            self._desk.book.mend()
            return None
        return self._desk.book.add(name, words)

    def mend(self, *names: str) -> None:
        """Take away the faults of these names, or all."""
        self._desk.book.mend(*names)

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        """Give the requests so far, oldest first, that have these values (one or a list for each)."""
        lists = {name: value if isinstance(value, list) else [value] for name, value in wanted.items()}
        return [entry for entry in list(self._desk.book.requests) if all(entry[name] in lists[name] for name in lists)]

    def count(self, **wanted: Any) -> int:
        """Count the requests so far that have these values."""
        return len(self.log(**wanted))

    def forget(self) -> None:
        """Empty the log and the counters of bytes."""
        self._desk.book.requests.clear()
        self._desk.book.traffic.update(up=0, down=0)

    def traffic(self) -> dict[str, int]:
        """Give the bytes of all bodies so far."""
        return dict(self._desk.book.traffic)

    def plaintext(self) -> bytes:
        """Give everything that was kept of every request and reply."""
        return b"\n".join(self._desk.kept)

    def down(self) -> None:
        """Refuse connections from now on, and end those that are, stalled ones too."""
        self._desk.book.release()
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def up(self) -> None:
        """Listen again."""
        if self._server is None:
            self._server = self._listen()
            self._port = self._server.server_port

    def close(self) -> None:
        """Free the port; what is held is let go."""
        self.mend()
        self.down()

    def __enter__(self) -> S3Faults:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> FaultyServer:
        for port in [self._port] if self._port else random.sample(_PORTS, 20):
            try:
                return FaultyServer(port, self._desk)
            except OSError:
                if self._port:
                    raise
        raise OSError("no free port")

    def _control(self, words: dict[str, Any]) -> dict[str, Any]:
        """Do what a program's test asks."""
        match words:
            case {"fault": None}:
                self.mend()
            case {"fault": str(name), **rest}:
                made = self._desk.book.add(name, rest)
                return {"fault": made.number}
            case {"mend": str(name)}:
                self.mend(name)
            case {"release": int(number)} if fault := self._desk.book.find(number):
                fault.release()
            case {"offset_s": seconds}:
                self.offset_s = float(seconds)
            case {"forget": True}:
                self.forget()
            case _:
                raise ValueError(f"no such order: {sorted(words)}")
        return {}


def main() -> None:
    """Serve until killed; the first line printed is the address."""
    words = argparse.ArgumentParser(description="A proxy before an S3 server, breakable on purpose.")
    words.add_argument("--upstream", required=True)
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--region", default="us-east-1")
    words.add_argument("--vendor", choices=VENDORS, default="aws")
    words.add_argument("--keep-bytes", type=int, default=0)
    told = words.parse_args()
    key_id, _, secret = os.environ.get("S3_FAULTS_KEYS", "").partition(",")
    keys = {key_id: secret} if key_id else None
    proxy = S3Faults(
        told.upstream, told.port, keys=keys, region=told.region, vendor=told.vendor, keep_bytes=told.keep_bytes
    )
    print(proxy.endpoint, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
