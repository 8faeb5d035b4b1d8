"""A bucket in memory: objects, uploads that were begun, and presigned addresses; each broken on purpose, and by name.

    bucket.fault("down")                 every verb is StoreUnavailable
    bucket.fault("begin_refused")        no upload can be begun: AccessDenied
    bucket.fault("abort_fails")          no upload can be ended: StoreUnavailable
    bucket.fault("refuses_parts")        no agent's grant to write is taken: AccessDenied
    bucket.fault("refuses_reading")      no agent's grant to read is taken: AccessDenied

`agent_puts` and `agent_gets` are what an agent does with its grants: they know no account, only what was signed.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from framehaul.clock import Clock
from framehaul.contract.grants import HttpGet, InputGrant, MultipartPut, OutputGrant
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import AccessDenied, AlreadyExists, NotFound, NotSupported, StoreError, StoreUnavailable
from framehaul.storage.base import Entry, Store, Stores, Upload, Want, check_range

FAULTS = {"down", "begin_refused", "abort_fails", "refuses_parts", "refuses_reading"}


@dataclass
class Bucket:
    """All keys of one bucket. `asked` lists what was asked of it, in order."""

    name: str
    clock: Clock
    objects: dict[str, bytes] = field(default_factory=dict)
    # By id: whose it is, and since when.
    begun: dict[str, tuple[str, float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: set[str] = field(default_factory=set)
    # Who wants to act in the moment in which something is asked.
    when_asked: Callable[[str, Uri], None] = lambda verb, uri: None
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fault(self, name: str) -> None:
        """Break something from now on."""
        assert name in FAULTS, f"no such fault: {name}"
        self.faults.add(name)

    def mend(self) -> None:
        """Take every fault back."""
        self.faults.clear()

    def count(self, verb: str) -> int:
        """Say how often a verb was asked for."""
        return sum(asked.split()[0] == verb for asked in self.asked)

    def names(self) -> list[str]:
        """List the keys of results, markers and receipts aside."""
        return sorted(key for key in self.objects if "/.framehaul/" not in key)

    # -- what an agent does --------------------------------------------------------------------------------------

    def agent_puts(self, grant: MultipartPut, data: bytes) -> None:
        """Complete an upload by its grant alone; AccessDenied where that has run out or is worth nothing."""
        upload_id, key = grant.upload_id, parse_uri(grant.uri).key
        assert f"upload={upload_id}" in grant.complete_url.get_secret_value()
        if "down" in self.faults:
            raise StoreUnavailable("The bucket is down.")
        if "refuses_parts" in self.faults:
            raise AccessDenied("No part is taken.")
        if self.clock.now() >= grant.expires_at or self.begun.get(upload_id, ("", 0.0))[0] != key:
            raise AccessDenied("The grant is worth nothing.")
        del self.begun[upload_id]
        self.objects[key] = data

    def agent_gets(self, grant: HttpGet) -> bytes:
        """Read an object by its grant alone."""
        if "down" in self.faults:
            raise StoreUnavailable("The bucket is down.")
        if "refuses_reading" in self.faults:
            raise AccessDenied("Nothing is given.")
        if grant.expires_at is not None and self.clock.now() >= grant.expires_at:
            raise AccessDenied("The grant is worth nothing.")
        return self.objects[unquote(urlsplit(grant.url.get_secret_value()).path[1:])]

    # -- a store's verbs -----------------------------------------------------------------------------------------

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Stream the objects at or below the address."""
        self._ask("list", prefix)
        for key in sorted(self.objects):
            if _lies_at(key, prefix):
                yield self._entry(Uri(prefix.scheme, prefix.authority, key))

    def stat(self, uri: Uri) -> Entry:
        """Describe one object."""
        self._ask("stat", uri)
        return self._entry(uri)

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a part of one object."""
        check_range(start, end)
        self._ask("get", uri)
        self._entry(uri)
        yield self.objects[uri.key][start:end]

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Write one object."""
        self._ask("put", uri)
        if uri.key in self.objects and not replace:
            raise AlreadyExists(f"Something lies at {uri}.")
        self.objects[uri.key] = source.read_bytes() if isinstance(source, Path) else b"".join(source)
        return self._entry(uri)

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Presign."""
        if want == "read":
            return HttpGet(url=SecretStr(f"{self._address(uri)}?until={expires_at:.0f}"), expires_at=expires_at)
        return self.sign_upload(Upload(uri, self.begin_upload(uri)), parts=1, expires_at=expires_at)

    def abort(self, grant: OutputGrant) -> None:
        """Refuse: everybody here names uploads by their id."""
        raise NotSupported("Uploads are aborted by their id.")

    def begin_upload(self, uri: Uri) -> str:
        """Open an upload."""
        self._ask("begin", uri)
        if "begin_refused" in self.faults:
            raise AccessDenied("The key may not write there.")
        upload_id = f"u{next(self._ids)}"
        self.begun[upload_id] = (uri.key, self.clock.now())
        return upload_id

    def sign_upload(self, upload: Upload, *, parts: int, expires_at: float) -> MultipartPut:
        """Write addresses."""
        base = f"{self._address(upload.uri)}?upload={upload.upload_id}"
        return MultipartPut(
            uri=str(upload.uri),
            upload_id=upload.upload_id,
            part_urls=tuple(SecretStr(f"{base}&part={number}") for number in range(1, parts + 1)),
            first_part_bytes=16 << 20,
            complete_url=SecretStr(base),
            abort_url=SecretStr(base),
            read_back_url=SecretStr(base),
            expires_at=expires_at,
        )

    def uploads(self, prefix: Uri) -> Iterator[Upload]:
        """Stream the unfinished uploads at or below the address."""
        self._ask("uploads", prefix)
        for upload_id, (key, begun_at) in list(self.begun.items()):
            if _lies_at(key, prefix):
                yield Upload(Uri(prefix.scheme, prefix.authority, key), upload_id, begun_at)

    def is_open(self, upload: Upload) -> bool:
        """Say whether the upload can still be written to."""
        self._ask("is_open", upload.uri)
        return upload.upload_id in self.begun

    def abort_upload(self, upload: Upload) -> None:
        """End an upload."""
        self._ask("abort", upload.uri)
        if "abort_fails" in self.faults:
            raise StoreUnavailable("The bucket aborts nothing now.")
        self.begun.pop(upload.upload_id, None)

    def _address(self, uri: Uri) -> str:
        return f"mem://{self.name}/{quote(uri.key)}"

    def _entry(self, uri: Uri) -> Entry:
        if uri.key not in self.objects:
            raise NotFound(f"Nothing lies at {uri}.")
        data = self.objects[uri.key]
        return Entry(uri, len(data), fingerprint_of(data), self.clock.now())

    def _ask(self, verb: str, uri: Uri) -> None:
        self.asked.append(f"{verb} {uri.key}")
        self.when_asked(verb, uri)
        if "down" in self.faults:
            raise StoreUnavailable("The bucket is down.")


class BucketStores(Stores):
    """Stores of which every b2:// and s3:// bucket is one in memory."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._clock_of_all = clock
        self.buckets: dict[str, Bucket] = {}
        # What opening a bucket raises: no key in the environment, say.
        self.locked: StoreError | None = None
        # The same for one bucket, by its name.
        self.locks: dict[str, StoreError] = {}

    def open(self, uri: Uri) -> Store:
        """Give the bucket, or the store of any other address."""
        if uri.scheme not in {"b2", "s3"}:
            return super().open(uri)
        if self.locked is not None:
            raise self.locked
        if uri.authority in self.locks:
            raise self.locks[uri.authority]
        return self.bucket(uri.authority)

    def bucket(self, name: str) -> Bucket:
        """Give a bucket by its name."""
        return self.buckets.setdefault(name, Bucket(name, self._clock_of_all))

    def agent_gets(self, grant: HttpGet) -> bytes:
        """Read an object by its grant alone."""
        return self.bucket(urlsplit(grant.url.get_secret_value()).netloc).agent_gets(grant)

    def agent_puts(self, grant: MultipartPut, data: bytes) -> None:
        """Complete an upload by its grant alone; one that was completed with the same bytes is so."""
        bucket, key = self.bucket(parse_uri(grant.uri).authority), parse_uri(grant.uri).key
        if "down" in bucket.faults or grant.upload_id in bucket.begun or bucket.objects.get(key) != data:
            bucket.agent_puts(grant, data)


def fingerprint_of(data: bytes) -> str:
    """Pin a content as a bucket does."""
    return f"s3:etag:{hashlib.md5(data).hexdigest()}"


def _lies_at(key: str, prefix: Uri) -> bool:
    return key.startswith(prefix.key) if prefix.is_folder else key == prefix.key or key.startswith(f"{prefix.key}/")
