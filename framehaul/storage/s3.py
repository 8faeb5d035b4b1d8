"""Buckets of Backblaze B2, Amazon S3 and whoever speaks like them: `b2://bucket/key`, `s3://bucket/key`.

Nothing here relies on what such services do differently: that an etag is an md5, checksums, user metadata,
conditional writes. An etag only tells one content from another. Agents get presigned addresses, never the key.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from framehaul.clock import Clock
from framehaul.contract.grants import InputGrant, MultipartPut, OutputGrant
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import BadUri, NotFound, NotSupported, StoreError
from framehaul.storage.accounts import Account
from framehaul.storage.base import Entry, Upload, Want, check_range
from framehaul.storage.disk import disk_errors, open_plain
from framehaul.storage.s3_client import Bucket
from framehaul.storage.s3_errors import RangeRefused, UploadGone
from framehaul.storage.s3_grants import PARTS, grant_to_read, grant_to_write
from framehaul.storage.s3_listing import fingerprint_of, list_objects, list_uploads
from framehaul.storage.s3_parts import file_parts, spooled_parts
from framehaul.storage.s3_reading import Reading
from framehaul.storage.s3_site import site_of
from framehaul.storage.s3_writing import Writing, check_arrived

SCHEMES = ("b2", "s3")

_MAX_KEY_BYTES = 1024


def open_store(uri: Uri, account: Account | None, clock: Clock) -> S3Store:
    """Give the store of one bucket; BadAccount where key or endpoint are missing. Asks nobody."""
    return S3Store(Bucket(site_of(uri.scheme, account), uri.authority, clock))


class S3Store:
    """One bucket as a store whose agents can write by themselves."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def list(self, prefix: Uri) -> Iterator[Entry]:
        """Stream the objects at or below the address, a page of 1,000 keys at a time, fingerprinted by their tags."""
        return list_objects(self._bucket, _checked(prefix))

    def stat(self, uri: Uri) -> Entry:
        """Describe one object; StoreError where the store has no tag by which to tell its content from another."""
        reply = self._head(uri)
        fingerprint = fingerprint_of(reply.get("ETag", ""))
        if not fingerprint:
            raise StoreError(
                f"{self._bucket.site.place} gives {uri} no entity tag, so that nobody could tell when it is replaced.",
                advice="Use a store that tells one content from another, or fetch the file and name it here.",
            )
        return Entry(uri, reply["ContentLength"], fingerprint, reply["LastModified"].timestamp())

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a part of the object by ranged GETs; one that breaks off is taken up where it broke."""
        check_range(start, end)
        _key(uri)
        return self._read(uri, start, end)

    def put(self, uri: Uri, source: Path | Iterable[bytes], *, replace: bool = False) -> Entry:
        """Write one object: up to 16 MiB in one request, else in parts, gathered on disk where the length is unknown.

        Whether two machines can both win without `replace`: see `s3_writing`.
        """
        _key(uri)
        writing = Writing(self._bucket, uri, replace=replace)
        if isinstance(source, Path):
            with disk_errors(source):
                file = open_plain(source)
            with file:
                sent = writing.write(file_parts(file, os.fstat(file.fileno()).st_size, str(source)))
        else:
            with contextlib.closing(spooled_parts(source)) as parts:
                sent = writing.write(parts)
        entry = self.stat(uri)
        check_arrived(uri, sent, entry.size)
        return entry

    def grant(self, uri: Uri, want: Want, *, expires_at: float) -> InputGrant | OutputGrant:
        """Presign: a GET, or all that a multipart upload takes, which is begun for it. Seven days at most."""
        if want == "read":
            return grant_to_read(self._bucket, uri, _key(uri), expires_at)
        return self.sign_upload(Upload(uri, self.begin_upload(uri)), parts=PARTS, expires_at=expires_at)

    def abort(self, grant: OutputGrant) -> None:
        """End the granted upload."""
        if not isinstance(grant, MultipartPut):
            raise NotSupported(f"A bucket takes back what it granted itself, not {grant.kind}.")
        self.abort_upload(Upload(parse_uri(grant.uri), grant.upload_id))

    def begin_upload(self, uri: Uri) -> str:
        """Open a multipart upload. A lost reply leaves one that nobody knows, which `uploads` still finds."""
        upload_id: str = self._bucket.call("create_multipart_upload", uri, Key=_key(uri))["UploadId"]
        return upload_id

    def sign_upload(self, upload: Upload, *, parts: int, expires_at: float) -> MultipartPut:
        """Presign an upload that is open. Only the first signature of all may ask the store for its hour."""
        return grant_to_write(self._bucket, upload, _key(upload.uri), parts, expires_at)

    def uploads(self, prefix: Uri) -> Iterator[Upload]:
        """Stream the unfinished uploads at or below the address."""
        return list_uploads(self._bucket, _checked(prefix))

    def is_open(self, upload: Upload) -> bool:
        """Say whether the upload can still be written to."""
        try:
            self._bucket.call("list_parts", upload.uri, Key=_key(upload.uri), UploadId=upload.upload_id, MaxParts=1)
        except UploadGone:
            return False
        return True

    def abort_upload(self, upload: Upload) -> None:
        """End an upload; one that is not open any more is no error."""
        with contextlib.suppress(UploadGone):
            self._bucket.call("abort_multipart_upload", upload.uri, Key=_key(upload.uri), UploadId=upload.upload_id)

    def clock_ahead_s(self) -> float:
        """Say how far the store's clock is ahead of ours, by what its replies told so far."""
        return self._bucket.hours.now() - self._bucket.clock.now()

    def endpoint(self) -> str:
        """Name where the service answers, by the account or else by what boto3 finds on this machine. Asks nobody."""
        return self._bucket.endpoint()

    def close(self) -> None:
        """Close idle connections; the next call opens new ones."""
        self._bucket.close()

    def _head(self, uri: Uri) -> Any:
        """Ask for what an object's headers say."""
        key = _key(uri)
        try:
            return self._bucket.call("head_object", uri, Key=key)
        except NotFound:
            raise
        except StoreError as exc:
            if not exc.retryable:
                self._explain(uri)
            raise

    def _read(self, uri: Uri, start: int, end: int | None) -> Iterator[bytes]:
        """Read a range; HTTP has no words for an empty one, so the object's size is asked for instead."""
        if start != end:
            try:
                yield from Reading(self._bucket, uri, start, end, self._bucket.patience()).pieces()
                return
            except RangeRefused:
                pass
        size = int(self._head(uri)["ContentLength"])
        if max(start, end or 0) > size:
            raise StoreError(f"{uri} has {size} bytes; [{start}, {end}) reaches past its end.")
        if start != (size if end is None else end):
            raise StoreError(f"{self._bucket.site.place} refused to read [{start}, {end}) of {uri}.")

    def _explain(self, uri: Uri) -> None:
        """Raise what a GET says of the refusal: a reply to HEAD has no body that tells a wrong key from no right."""
        with contextlib.suppress(RangeRefused):
            reply = self._bucket.call("get_object", uri, Key=uri.key, Range="bytes=0-0")
            reply["Body"].close()


def _key(uri: Uri) -> str:
    """Give an object's key, or refuse an address of none."""
    if not uri.key:
        raise BadUri(f"{uri} names a bucket; one object in it is wanted.")
    return _checked(uri).key


def _checked(uri: Uri) -> Uri:
    try:
        size = len(uri.key.encode())
    except UnicodeEncodeError as exc:
        raise BadUri(f"No object can be called {uri.key!r}: that is not UTF-8.") from exc
    if size > _MAX_KEY_BYTES:
        raise BadUri(f"A key may be {_MAX_KEY_BYTES} bytes long, this one has {size}: {str(uri)[:80]}...")
    return uri
