"""A person's bucket: a real S3 server behind a proxy that can be broken, and the .env names that open it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framehaul.contract.receipt import Receipt
from tests.emulators.s3_faults import S3Faults
from tests.rclone import Rclone

NAME = "clips"
# Whoever reads or writes objects; the rest are questions about names.
OBJECT_READS = ["GetObject", "HeadObject"]


@dataclass(frozen=True)
class Bucket:
    """One bucket, as its owner sees it: keys and bytes, on the server's own disk."""

    server: Rclone
    # Between everybody and the server.
    proxy: S3Faults
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Give the names that open it, as they stand in a person's .env."""
        return {
            "B2_KEY": self.server.key_id,
            "B2_SECRET": self.server.secret,
            "B2_ENDPOINT": self.proxy.endpoint,
            "B2_BUCKET": self.folder.name,
        }

    def lay(self, key: str, content: bytes) -> str:
        """Put an object behind everybody's back; gives its address."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.address(key)

    def address(self, key: str) -> str:
        """Give the address of a key or a prefix."""
        return f"b2://{self.folder.name}/{key}"

    def keys(self, prefix: str = "") -> list[str]:
        """List what lies below a prefix."""
        every = (str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        return sorted(key for key in every if key.startswith(prefix))

    def results(self, prefix: str = "out/") -> list[str]:
        """List the outputs there, without what lies beside them."""
        beside = (".manifest.json", "results.json", ".preview.jpg")
        return [key for key in self.keys(prefix) if "/.framehaul/" not in key and not key.endswith(beside)]

    def read(self, key: str) -> bytes:
        """Read an object from the server's disk."""
        return (self.folder / key).read_bytes()

    def markers(self, prefix: str = "out/") -> list[str]:
        """List the done-markers."""
        return self.keys(f"{prefix}.framehaul/done/")

    def receipts(self, prefix: str = "out/") -> list[Receipt]:
        """Read the receipts that agents left."""
        keys = self.keys(f"{prefix}.framehaul/receipts/")
        return [Receipt.model_validate(json.loads(self.read(key))) for key in keys]

    def unfinished(self) -> list[str]:
        """List the keys of uploads that were neither completed nor aborted."""
        found = self.server.client().list_multipart_uploads(Bucket=self.folder.name)
        return sorted(upload["Key"] for upload in found.get("Uploads", ()))


@contextmanager
def serving(folder: Path, *, keep_bytes: int = 0) -> Iterator[Bucket]:
    """Serve a fresh bucket; `keep_bytes` of each body are kept by the proxy, for a search."""
    with Rclone(folder) as server, S3Faults(server.endpoint, keep_bytes=keep_bytes) as proxy:
        yield Bucket(server, proxy, server.bucket(NAME))
