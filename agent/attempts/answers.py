"""Read what a store answers: what passes by itself, what only other grants can mend, what has ended the upload.

Codes are S3's: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus

_CODE = re.compile(r"<Code>\s*([A-Za-z0-9._-]{1,64})\s*</Code>")
_ETAG = re.compile(r"<ETag>\s*([^<]{1,256}?)\s*</ETag>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_RESULT = re.compile(r"<(?:\w+:)?CompleteMultipartUploadResult[\s/>]")
_ERROR = re.compile(r"<Error[\s>]")
_EXPIRED = re.compile(r"expired", re.IGNORECASE)
_OTHER_HOUR = re.compile(r"not yet valid|TooSkewed|difference between the request time", re.IGNORECASE)
# B2 answers 403 with "storage cap exceeded", others QuotaExceeded or an administrator's words.
_FULL = re.compile(r"\bcap\b[^<]*exceeded|quota|insufficient ?(storage|space)|no space left|StorageFull", re.IGNORECASE)

_TRY_LATER = frozenset({408, 425, 429})
# Told with a 4xx, or in the body of a 200, and gone with the next try all the same.
_PASSING_CODES = frozenset(
    {
        "RequestTimeout",
        "IncompleteBody",
        "OperationAborted",
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)
_PARTS_CODES = frozenset({"InvalidPart", "InvalidPartOrder"})


class Hiccup(Exception):
    """Raised for what passes: a broken line, an overloaded store. `moved` says that bytes went out before."""

    def __init__(self, message: str, *, pause_s: float = 0.0, moved: bool = False) -> None:
        super().__init__(message)
        self.pause_s = pause_s
        self.moved = moved


class Refused(Exception):
    """Raised when the store does not take it with these grants; later ones may open the door."""


class UploadGone(Refused):
    """Raised when the store knows no such upload: it was completed, or aborted."""


class PartsRefused(Refused):
    """Raised when the store misses parts that it had confirmed."""


@dataclass(frozen=True)
class Answer:
    """A reply, as far as it is read."""

    status: int
    body: str = ""
    pause_s: float = 0.0

    @property
    def code(self) -> str:
        """The store's own word for what is wrong; empty where it gives none."""
        found = _CODE.search(self.body)
        return found[1] if found else ""

    @property
    def etag(self) -> str:
        """What `complete` calls the object that it made, without quotes; empty where it does not say."""
        found = _ETAG.search(self.body)
        return unescape(found[1]).strip('"') if found else ""

    @property
    def made_an_object(self) -> bool:
        """Say whether it is S3's word that an upload was completed, and not some other server's 200."""
        return bool(_RESULT.search(self.body))

    @property
    def told(self) -> str:
        """Code and message, all that is searched for words: the rest repeats keys, which may hold any of them."""
        found = _MESSAGE.search(self.body)
        return f"{self.code} {unescape(found[1]) if found else ''}"

    @property
    def is_full(self) -> bool:
        """Say whether a cap is reached, or the room is used up: somebody may raise it."""
        return bool(_FULL.search(self.told)) or self.status == HTTPStatus.INSUFFICIENT_STORAGE

    @property
    def passes(self) -> bool:
        """Say whether it may work at the next try."""
        return self.code in _PASSING_CODES or self.status in _TRY_LATER or self.status >= 500

    @property
    def is_expired(self) -> bool:
        """Say whether the store finds the address too old."""
        return bool(_EXPIRED.search(self.told))

    @property
    def words(self) -> str:
        """Name status and code. Nothing else of the body: it may repeat the signed address."""
        return f"HTTP {self.status}" + (f" ({self.code})" if self.code else "")


def judge(answer: Answer, *, past: bool = False) -> None:
    """Return when the store has done it; raise what it is otherwise. `past` says that the grant's hour is over."""
    if 200 <= answer.status < 300 and not _ERROR.search(answer.body):
        return
    if answer.code == "NoSuchUpload":
        raise UploadGone(f"The store knows no such upload any more: {answer.words}.")
    if answer.code in _PARTS_CODES:
        raise PartsRefused(f"The store misses parts that it had taken: {answer.words}.")
    check_passing(answer)
    if past or answer.is_expired:
        raise Refused(f"The grants have expired: {answer.words}.")
    if _OTHER_HOUR.search(answer.told):
        raise Refused(f"The grants do not fit the store's clock: {answer.words}.")
    raise Refused(f"The store refuses the upload: {answer.words}.")


def check_passing(answer: Answer) -> None:
    """Raise Hiccup for what passes by itself, or once somebody raises a cap."""
    if answer.is_full:
        raise Hiccup(f"the store is full, or its cap is reached: {answer.words}", pause_s=answer.pause_s)
    if answer.passes:
        raise Hiccup(f"the store answered {answer.words}", pause_s=answer.pause_s)
