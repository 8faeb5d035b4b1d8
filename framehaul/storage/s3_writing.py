"""One object written as a whole: in one request where it is small, else in parts that are completed together.

Of several writers without `replace` one wins, as far as a store can tell them apart. Threads of one process are told
apart by a lock, and stores that know `If-None-Match: *` tell processes apart too. On others (rclone, and perhaps B2)
two machines that write one key in the same second may both think that they were first; the later one is what stays.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framehaul.contract.uris import Uri
from framehaul.errors import AlreadyExists, FramehaulError, NotFound, NotSupported, StoreError, StoreUnavailable
from framehaul.storage.s3_errors import Occupied, UploadGone
from framehaul.storage.s3_parts import Part

if TYPE_CHECKING:
    from framehaul.storage.s3_client import Bucket

_log = logging.getLogger(__name__)


class _KeyLocks:
    """A lock for each key that is being written in this process, whichever store object writes it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: weakref.WeakValueDictionary[tuple[str, str], Any] = weakref.WeakValueDictionary()

    def of(self, place: str, uri: Uri) -> Any:
        with self._guard:
            return self._locks.setdefault((place, str(uri)), threading.Lock())


_locks = _KeyLocks()


@dataclass(frozen=True)
class _Seen:
    """What tells one object in a place from a later one: bytes, entity tag, and the store's hour of writing."""

    size: int
    etag: str
    modified: float


class Writing:
    """One put: `write` sends the parts of a source and gives how many bytes they were."""

    def __init__(self, bucket: Bucket, uri: Uri, *, replace: bool) -> None:
        self._bucket = bucket
        self._uri = uri
        self._replace = replace

    def write(self, parts: Iterator[Part]) -> int:
        """Send everything; whatever is raised on the way, no unfinished upload stays behind."""
        first = next(parts)
        return self._whole(first) if first.is_last else self._in_parts(first, parts)

    def _whole(self, part: Part) -> int:
        with self._turn():
            self._settled("put_object", lambda: self._same_bytes(part), Body=part.body, ContentLength=part.size)
        return part.size

    def _in_parts(self, first: Part, others: Iterator[Part]) -> int:
        before = self._lies_there()
        if before is not None and not self._replace:
            raise self._exists()  # early: before gigabytes are sent for nothing
        upload_id: str = self._call("create_multipart_upload")["UploadId"]
        try:
            sent, sizes = [self._sent(upload_id, 1, first)], [first.size]
            for part in others:
                sent.append(self._sent(upload_id, len(sent) + 1, part))
                sizes.append(part.size)
            self._complete(upload_id, sent, sum(sizes), before)
        except BaseException:  # KeyboardInterrupt and GeneratorExit too: what is left behind costs money
            self._abort(upload_id)
            raise
        return sum(sizes)

    def _sent(self, upload_id: str, number: int, part: Part) -> dict[str, Any]:
        reply = self._call(
            "upload_part", UploadId=upload_id, PartNumber=number, Body=part.body, ContentLength=part.size
        )
        return {"PartNumber": number, "ETag": reply["ETag"]}

    def _complete(self, upload_id: str, sent: list[dict[str, Any]], size: int, before: _Seen | None) -> None:
        with self._turn():
            self._settled(
                "complete_multipart_upload",
                lambda: self._is_new(size, before),
                UploadId=upload_id,
                MultipartUpload={"Parts": sent},
            )

    def _settled(self, operation: str, is_ours: Callable[[], bool], **params: Any) -> None:
        """Make the write happen once: after a lost reply, what lies there may be our own."""
        unsure = False
        for attempt in self._bucket.patience().retrying:
            with attempt:
                try:
                    self._conditionally(operation, params)
                except StoreUnavailable:
                    unsure = True
                    raise
                except (Occupied, UploadGone) as exc:
                    if unsure and is_ours():
                        return
                    raise self._exists() if isinstance(exc, Occupied) else exc from None

    def _conditionally(self, operation: str, params: dict[str, Any]) -> None:
        """Ask the store to replace nothing, where it understands that."""
        if not self._replace and self._bucket.knows_conditions:
            try:
                self._bucket.once(operation, self._uri, Key=self._uri.key, IfNoneMatch="*", **params)
                return
            except NotSupported:
                self._bucket.knows_conditions = False
        self._bucket.once(operation, self._uri, Key=self._uri.key, **params)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one thread at a time look and write."""
        if self._replace:
            yield
            return
        with _locks.of(self._bucket.site.place, self._uri):
            if self._lies_there() is not None:
                raise self._exists()
            yield

    def _lies_there(self) -> _Seen | None:
        try:
            found = self._call("head_object")
        except NotFound:
            return None
        return _Seen(found["ContentLength"], found["ETag"], found["LastModified"].timestamp())

    def _exists(self) -> AlreadyExists:
        return AlreadyExists(f"Something lies at {self._uri} already.")

    def _is_new(self, size: int, before: _Seen | None) -> bool:
        """Say whether an object of this size came to lie there since we began; nobody else knew the upload."""
        found = self._lies_there()
        return found is not None and found.size == size and found != before

    def _same_bytes(self, part: Part) -> bool:
        """Compare what lies there with what we sent: few bytes, and then it matters little who sent them."""
        body = self._call("get_object")["Body"]
        with contextlib.closing(body):
            found: bytes = body.read(part.size + 1)
        part.body.seek(0)
        return found == part.body.read()

    def _abort(self, upload_id: str) -> None:
        try:
            self._call("abort_multipart_upload", UploadId=upload_id)
        except UploadGone:
            pass  # it was completed after all, or swept
        except FramehaulError as exc:
            _log.warning("An unfinished upload of %s stays until it is swept: %s", self._uri, exc)

    def _call(self, operation: str, **params: Any) -> Any:
        return self._bucket.call(operation, self._uri, Key=self._uri.key, **params)


def check_arrived(uri: Uri, sent: int, found: int | None) -> None:
    """Hold what lies there against what was sent."""
    if sent != found:
        raise StoreError(f"{sent} bytes were sent to {uri}, and {found} lie there.", advice="Try again.")
