"""Read what an S3 request asks for, and say no in the words of the real stores.

A refusal's words are those that AWS and B2 were seen to answer in public reports. B2's code and sentence for an expired
address were seen there too; that its status is 401 is read from the code's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

VENDORS = ("aws", "b2")

# (method, on a key?, a word of the query): the first that fits names the operation.
_OPERATIONS = (
    ("GET", True, "uploadId", "ListParts"),
    ("GET", True, "", "GetObject"),
    ("HEAD", True, "", "HeadObject"),
    ("PUT", True, "partNumber", "UploadPart"),
    ("PUT", True, "", "PutObject"),
    ("POST", True, "uploads", "CreateMultipartUpload"),
    ("POST", True, "uploadId", "CompleteMultipartUpload"),
    ("DELETE", True, "uploadId", "AbortMultipartUpload"),
    ("DELETE", True, "", "DeleteObject"),
    ("GET", False, "uploads", "ListMultipartUploads"),
    ("GET", False, "list-type", "ListObjectsV2"),
    ("GET", False, "location", "GetBucketLocation"),
    ("GET", False, "", "ListObjects"),
    ("HEAD", False, "", "HeadBucket"),
    ("PUT", False, "", "CreateBucket"),
    ("POST", False, "delete", "DeleteObjects"),
    ("DELETE", False, "", "DeleteBucket"),
)


@dataclass(frozen=True)
class Asked:
    """The head of a request, path style."""

    method: str
    target: str  # the request line's, as it came
    headers: Mapping[str, str]  # names in lower case

    @cached_property
    def path(self) -> str:
        """Give the path as it came, still quoted."""
        return urlsplit(self.target).path

    @cached_property
    def query(self) -> str:
        """Give the query as it came, still quoted."""
        return urlsplit(self.target).query

    @cached_property
    def words(self) -> dict[str, str]:
        """Give the query's words, unquoted."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def bucket(self) -> str:
        """Give the bucket's name, or nothing for the store itself."""
        return unquote(self.path.removeprefix("/").partition("/")[0])

    @cached_property
    def key(self) -> str:
        """Give the object's key, or nothing."""
        return unquote(self.path.removeprefix("/").partition("/")[2])

    @cached_property
    def presigned(self) -> bool:
        """Say whether the address itself is the permission."""
        return "X-Amz-Signature" in self.words

    @cached_property
    def operation(self) -> str:
        """Name it as S3's reference does."""
        if not self.bucket:
            return "ListBuckets"
        for method, on_key, word, name in _OPERATIONS:
            if method == self.method and on_key == bool(self.key) and (not word or word in self.words):
                return name
        return self.method

    def signed_at(self) -> float | None:
        """Give the hour of its signature, seconds since 1970."""
        return amz_epoch(self.words.get("X-Amz-Date") or self.headers.get("x-amz-date", ""))


@dataclass(frozen=True)
class Refusal:
    """An answer that is no: status, code, sentence, and what else stands in the XML and the head."""

    status: int
    code: str
    message: str
    more: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def xml(self, number: int) -> bytes:
        """Write the body."""
        said = {
            "Code": self.code,
            "Message": self.message,
            **self.more,
            "RequestId": f"{number:016X}",
            "HostId": "aG9zdA==",
        }
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in said.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


_PLAIN: Mapping[int, tuple[str, str]] = {
    401: ("UnauthorizedAccess", "Unauthorized"),
    403: ("AccessDenied", "Access Denied"),
    404: ("NoSuchKey", "The specified key does not exist."),
    500: ("InternalError", "We encountered an internal error. Please try again."),
    503: ("SlowDown", "Please reduce your request rate."),
}
_PLAIN_B2: Mapping[int, tuple[str, str]] = {
    403: ("AccessDenied", "not entitled"),
    404: ("NoSuchKey", "Key not found"),
    500: ("InternalError", "An internal error occurred.  Please retry your upload."),
    503: ("ServiceUnavailable", "no tomes available"),
}


def of_status(words: Mapping[str, Any], asked: Asked, vendor: str) -> Refusal:
    """Compose what the fault `status` answers: {"code", "error", "message", "retry_after", "region", "endpoint"}."""
    status = int(words["code"])
    region, endpoint = (
        str(words.get("region", "eu-central-1")),
        str(words.get("endpoint", "s3.eu-central-1.amazonaws.com")),
    )
    after = words.get("retry_after")
    headers = {} if after is None else {"Retry-After": str(after)}
    if status == 400 and "error" not in words:
        return malformed("us-east-1", region)
    if status in {301, 307} and "error" not in words:
        return _elsewhere(status, asked, region, endpoint)
    table = {**_PLAIN, **(_PLAIN_B2 if vendor == "b2" else {})}
    code, message = table.get(status, ("InternalError", "We encountered an internal error. Please try again."))
    return Refusal(status, str(words.get("error", code)), str(words.get("message", message)), headers=headers)


def malformed(said: str, region: str) -> Refusal:
    """Refuse another region in the signature, as AWS does: with the right one."""
    sentence = f"The authorization header is malformed; the region '{said}' is wrong; expecting '{region}'"
    headers = {"x-amz-bucket-region": region}
    return Refusal(400, "AuthorizationHeaderMalformed", sentence, {"Region": region}, headers)


def _elsewhere(status: int, asked: Asked, region: str, endpoint: str) -> Refusal:
    sentence = "The bucket you are attempting to access must be addressed using the specified endpoint. "
    sentence += "Please send all future requests to this endpoint."
    code = "PermanentRedirect" if status == 301 else "TemporaryRedirect"
    headers = {"x-amz-bucket-region": region}
    return Refusal(status, code, sentence, {"Endpoint": endpoint, "Bucket": asked.bucket}, headers)


def in_200(words: Mapping[str, Any]) -> Refusal:
    """Compose the error that comes as a success, which `complete` of real S3 does after it began to answer."""
    sentence = "We encountered an internal error. Please try again."
    return Refusal(200, str(words.get("error", "InternalError")), str(words.get("message", sentence)))


def denied(vendor: str) -> Refusal:
    """Refuse for want of a right."""
    return Refusal(403, "AccessDenied", "not entitled" if vendor == "b2" else "Access Denied")


def unknown_key(key_id: str, vendor: str) -> Refusal:
    """Refuse an account that is not there; B2 answers so for the endpoint of another region too."""
    if vendor == "b2":
        return Refusal(403, "InvalidAccessKeyId", f"The key '{key_id}' is not valid")
    sentence = "The AWS Access Key Id you provided does not exist in our records."
    return Refusal(403, "InvalidAccessKeyId", sentence, {"AWSAccessKeyId": key_id})


def wrong_signature(key_id: str, vendor: str) -> Refusal:
    """Refuse what another secret signed."""
    if vendor == "b2":
        return Refusal(403, "SignatureDoesNotMatch", "Signature validation failed")
    sentence = "The request signature we calculated does not match the signature you provided. "
    sentence += "Check your key and signing method."
    return Refusal(403, "SignatureDoesNotMatch", sentence, {"AWSAccessKeyId": key_id})


def expired(asked: Asked, now: float, vendor: str) -> Refusal | None:
    """Refuse a presigned address whose time is over."""
    signed, lasts = asked.signed_at(), int(asked.words.get("X-Amz-Expires", "0"))
    if not asked.presigned or signed is None or now <= signed + lasts:
        return None
    if vendor == "b2":
        sentence = f"Request has expired given timestamp: '{asked.words['X-Amz-Date']}' and expiration: {lasts}"
        return Refusal(401, "UnauthorizedAccess", sentence)
    more = {"X-Amz-Expires": str(lasts), "Expires": iso(signed + lasts), "ServerTime": iso(now)}
    return Refusal(403, "AccessDenied", "Request has expired", more)


def skewed(asked: Asked, now: float) -> Refusal | None:
    """Refuse what was signed more than 15 minutes from now; a presigned address only for the future."""
    signed = asked.signed_at()
    if signed is None or (abs(signed - now) if not asked.presigned else signed - now) <= 900:
        return None
    if asked.presigned:
        more = {"X-Amz-Date": str(int(signed * 1000)), "ServerTime": iso(now)}
        return Refusal(403, "AccessDenied", "Request is not yet valid", more)
    sentence = "The difference between the request time and the current time is too large."
    more = {"RequestTime": amz_date(signed), "ServerTime": iso(now), "MaxAllowedSkewMilliseconds": "900000"}
    return Refusal(403, "RequestTimeTooSkewed", sentence, more)


def iso(epoch: float) -> str:
    """Write an hour as S3's XML does."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def amz_date(epoch: float) -> str:
    """Write an hour as a signature does."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%dT%H%M%SZ")


def amz_epoch(word: str) -> float | None:
    """Read an hour as a signature writes it."""
    try:
        return datetime.strptime(word, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
