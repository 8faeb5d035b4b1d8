"""An S3 store of ours before a proxy that can be broken, before a real server: all on one clock."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import httpx
from pydantic import SecretStr

from framehaul.contract.uris import Uri
from framehaul.storage.accounts import Account
from framehaul.storage.s3 import S3Store, open_store
from tests.emulators.s3_faults import S3Faults
from tests.loopback import loopback
from tests.rclone import KEY_ID, SECRET, Rclone
from tests.storage.skipping_clock import SkippingClock


class Scene:
    """`store` is the one under test; `proxy` checks its signatures, and breaks what it is told to."""

    def __init__(self, server: Rclone, name: str) -> None:
        self.clock = SkippingClock()
        self.base = Uri("s3", name, "in/")
        self._open = ExitStack()
        keys = {KEY_ID: SECRET}
        self.proxy = self._open.enter_context(S3Faults(server.endpoint, keys=keys, now=self.clock.now))
        server.bucket(name)
        self.store = self.opened()

    def opened(self, **words: Any) -> S3Store:
        """Open the bucket again, with another account: `key_id`, `secret`, `endpoint`, `region`, `bucket`."""
        secrets: dict[str, Any] = {
            name: SecretStr(words.pop(name, right)) for name, right in (("key_id", KEY_ID), ("secret", SECRET))
        }
        uri = Uri(words.pop("scheme", "s3"), words.pop("bucket", self.base.authority), "")
        account = Account(**secrets, **{"endpoint": self.proxy.endpoint, **words})
        store = open_store(uri, account, self.clock)
        self._open.callback(store.close)
        return store

    def at(self, name: str) -> Uri:
        """Name an object below the base."""
        return self.base.join(name)

    def laid(self, name: str, content: bytes) -> Uri:
        """Put an object, and forget that it was asked for."""
        uri = self.at(name)
        self.store.put(uri, [content], replace=True)
        self.proxy.forget()
        return uri

    def read(self, uri: Uri) -> bytes:
        """Read a whole object."""
        return b"".join(self.store.get(uri))

    def asked(self) -> list[str]:
        """Give the names of the requests so far."""
        return [entry["operation"] for entry in self.proxy.log()]

    def agent(self) -> httpx.Client:
        """Give what an agent asks with: no keys."""
        return self._open.enter_context(httpx.Client(transport=loopback()))

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
