"""Grants as presigned addresses: what an agent may do to one object, by whom it was signed, and until when."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from framehaul.contract.grants import HttpGet, MultipartPut
from framehaul.contract.uris import Uri
from framehaul.storage.base import Upload
from framehaul.storage.s3_client import Bucket

# Version 4 of the signature allows no more: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
MAX_GRANT_S = 7 * 24 * 3600
# 150 parts that grow by a twentieth hold 258 GiB.
PARTS = 150
_FIRST_PART_BYTES = 16 << 20
_GROWTH = 1.05
_DOTS = re.compile(r"(?<=/)\.{1,2}(?=/|$)")


def grant_to_read(bucket: Bucket, uri: Uri, key: str, expires_at: float) -> HttpGet:
    """Presign a GET."""
    sign = _Signing(bucket, uri, key, expires_at)
    return HttpGet(url=sign("get_object"), expires_at=sign.expires_at)


def grant_to_write(bucket: Bucket, upload: Upload, key: str, parts: int, expires_at: float) -> MultipartPut:
    """Presign an upload's parts, its end, and the reading back of what it became."""
    sign = _Signing(bucket, upload.uri, key, expires_at)
    which = {"UploadId": upload.upload_id}
    return MultipartPut(
        uri=str(upload.uri),
        upload_id=upload.upload_id,
        part_urls=tuple(sign("upload_part", PartNumber=number, **which) for number in range(1, parts + 1)),
        first_part_bytes=_FIRST_PART_BYTES,
        growth=_GROWTH,
        complete_url=sign("complete_multipart_upload", **which),
        abort_url=sign("abort_multipart_upload", **which),
        read_back_url=sign("get_object"),
        expires_at=sign.expires_at,
    )


class _Signing:
    """Addresses for one object, all with one end. `expires_at` is in our own clock, as it was asked for."""

    def __init__(self, bucket: Bucket, uri: Uri, key: str, expires_at: float) -> None:
        now = bucket.clock.now()
        self._bucket = bucket
        self._uri = uri
        self._key = key
        self._lifetime_s = max(1, min(MAX_GRANT_S, int(expires_at - now)))
        self.expires_at = now + self._lifetime_s

    def __call__(self, operation: str, **params: Any) -> SecretStr:
        address = self._bucket.presigned(operation, self._uri, self._lifetime_s, Key=self._key, **params)
        return SecretStr(_with_dots_kept(address))


def _with_dots_kept(address: str) -> str:
    """Quote `.` and `..` between slashes: an HTTP client would walk up the path, to another object."""
    parts = urlsplit(address)
    path = _DOTS.sub(lambda found: "%2E" * len(found[0]), parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
