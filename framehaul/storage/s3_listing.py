"""Pages of keys as a stream of entries, read at the price of a few microseconds a key.

botocore reads a page's XML by the service's model, which for a million keys takes minutes of CPU time. Its event
`before-parse` lets us read the page in its place; requests, signatures and errors stay botocore's.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from framehaul.contract.uris import Uri
from framehaul.errors import StoreError, StoreUnavailable
from framehaul.storage.base import Entry, Upload

if TYPE_CHECKING:
    from framehaul.storage.s3_client import Bucket

_PAGE = "framehaul_page"
_NOTHING = b"<ListBucketResult/>"
_QUOTE = '"'


def fingerprint_of(etag: str) -> str:
    """Name a content by the store's entity tag: `s3:etag:<without quotes>`; "" where there is no tag."""
    tag = etag.removeprefix("W/").strip(_QUOTE)
    return f"s3:etag:{tag}" if tag else ""


class _Page:
    """One reply to ListObjectsV2. Its objects are cut out of the text as they are asked for: a tree of a thousand of
    them costs more to make and to forget than to read. Tags have no attributes here, and no prefix.
    """

    def __init__(self, body: bytes) -> None:
        self._text = body.decode()
        self.more = _word(self._text, "<IsTruncated>") == "true"
        self.token = _word(self._text, "<NextContinuationToken>")

    def objects(self, scheme: str, bucket: str) -> Iterator[Entry]:
        """Give what lies there; the empty objects ending in a slash that stand for folders are left out."""
        is_quoted = _word(self._text, "<EncodingType>") == "url"
        for item in self._items():
            key = _word(item, "<Key>")
            if is_quoted:
                key = unquote_plus(key) if "%" in key or "+" in key else key
            size = int(_word(item, "<Size>"))
            if size or not key.endswith("/"):
                etag, modified = (
                    fingerprint_of(_word(item.replace("&quot;", ""), "<ETag>")),
                    _epoch(_word(item, "<LastModified>")),
                )
                yield Entry(Uri(scheme, bucket, key), size, etag, modified)

    def _items(self) -> Iterator[str]:
        at = self._text.find("<Contents>")
        while at >= 0:
            end = self._text.find("</Contents>", at)
            yield self._text[at:end]
            at = self._text.find("<Contents>", end)


def _word(text: str, tag: str) -> str:
    """Give what stands behind the first such tag, "" where there is none."""
    found = text.partition(tag)[2].partition("<")[0]
    return html.unescape(found) if "&" in found else found


def read_page(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Read a page before botocore does, and leave it an empty one (botocore's event `before-parse`)."""
    if operation_model.name != "ListObjectsV2" or response_dict["status_code"] != 200:
        return
    body = response_dict["body"]
    if b"<ListBucketResult" not in body[:1024]:  # an error, which comes with 200 too, or no S3
        return
    if not body.rstrip().endswith(b"</ListBucketResult>"):
        raise StoreUnavailable("A page of a listing came only in part.")
    customized_response_dict[_PAGE] = _Page(body)
    response_dict["body"] = _NOTHING


def list_objects(bucket: Bucket, prefix: Uri) -> Iterator[Entry]:
    """Stream the object at the address, then what lies below it: a place, not the beginning of a text."""
    if prefix.key and not prefix.is_folder:
        page = _page(bucket, prefix, MaxKeys=1)
        yield from (entry for entry in page.objects(prefix.scheme, bucket.name) if entry.uri.key == prefix.key)
        prefix = Uri(prefix.scheme, prefix.authority, prefix.key + "/")
    yield from _below(bucket, prefix)


def _below(bucket: Bucket, prefix: Uri) -> Iterator[Entry]:
    token: dict[str, str] = {}
    last = ""
    while True:
        page = _page(bucket, prefix, **token)
        for entry in page.objects(prefix.scheme, bucket.name):
            if entry.uri.key <= last:  # the order of code points is the order of UTF-8's bytes
                raise StoreError(f"{bucket.site.place} lists {prefix} out of order, so that it cannot be relied on.")
            last = entry.uri.key
            yield entry
        if not page.more:
            return
        if not page.token or page.token == token.get("ContinuationToken"):
            raise StoreError(f"{bucket.site.place} says that there is more at {prefix}, but not where.")
        token = {"ContinuationToken": page.token}


def _page(bucket: Bucket, uri: Uri, **params: Any) -> _Page:
    reply = bucket.call("list_objects_v2", uri, Prefix=uri.key, EncodingType="url", **params)
    if _PAGE not in reply:
        raise StoreError(f"{bucket.site.place} does not answer as S3 does.", advice="Check the endpoint.")
    page: _Page = reply[_PAGE]
    return page


def list_uploads(bucket: Bucket, prefix: Uri) -> Iterator[Upload]:
    """Stream the uploads at or below the address that were begun and neither completed nor aborted."""
    marker: dict[str, str] = {}
    while True:
        reply = bucket.call("list_multipart_uploads", prefix, Prefix=prefix.key, EncodingType="url", **marker)
        plain = unquote_plus if reply.get("EncodingType") == "url" else str
        for found in reply.get("Uploads", ()):
            uri, begun = Uri(prefix.scheme, bucket.name, plain(found["Key"])), found.get("Initiated")
            if _lies_at(uri.key, prefix):
                yield Upload(uri, found["UploadId"], begun.timestamp() if begun else None)
        if not reply.get("IsTruncated"):
            return
        following = {
            "KeyMarker": plain(reply.get("NextKeyMarker", "")),
            "UploadIdMarker": reply.get("NextUploadIdMarker", ""),
        }
        if following == marker:
            raise StoreError(f"{bucket.site.place} says that there are more uploads at {prefix}, but not where.")
        marker = following


def _lies_at(key: str, prefix: Uri) -> bool:
    return prefix.is_folder or key == prefix.key or key.startswith(f"{prefix.key}/")


def _epoch(text: str) -> float | None:
    """Read `2026-01-02T03:04:05.678Z` as whole seconds, which is all that a reply to HEAD tells of the same object."""
    if not text:
        return None
    return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()
