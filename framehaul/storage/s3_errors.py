"""What an S3 service refuses, in our words; the one gate between botocore's errors and the store's callers.

A service's own message is never passed on: it may quote the key id, or what was signed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.exceptions as boto
import urllib3.exceptions

from framehaul.contract.uris import Uri
from framehaul.errors import (
    AccessDenied,
    BadAccount,
    BadUri,
    FramehaulError,
    NoSuchBucket,
    NotFound,
    NotSupported,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from framehaul.storage.http_replies import Busy, seconds_of
from framehaul.storage.s3_site import Site

_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignature"})
_STALE_KEY = frozenset({"ExpiredToken", "TokenRefreshRequired", "RequestExpired"})
_WRONG_KEY = frozenset(
    {"InvalidAccessKeyId", "InvalidToken", "InvalidSecurity", "MalformedSecurity", "InvalidClientTokenId"}
)
_WRONG_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})
_WRONG_HOUR = frozenset({"RequestTimeTooSkewed", "AuthorizationQueryParametersError"})
# B2 has caps on storage, downloads and transactions; it says which one only in the message.
_FULL_CODES = frozenset(
    {"QuotaExceeded", "StorageCapExceeded", "CapExceeded", "ServiceQuotaExceeded", "InsufficientStorage"}
)
_FULL = re.compile(r"cap[ _]exceeded|quota|transaction[ _]cap|not enough (?:space|storage)", re.IGNORECASE)
_TRY_LATER_CODES = frozenset(
    {
        *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException", "Busy"),
        *("Throttling", "ThrottlingException", "TooManyRequests", "OperationAborted", "ConditionalRequestConflict"),
        *("BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "503 SlowDown", "BandwidthLimitExceeded"),
    }
)
_TRY_LATER = frozenset({408, 409, 425, 429})
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InvalidConfigError,
    boto.NoAuthTokenError,
    boto.NoRegionError,
)


class UploadGone(NotFound):
    """Raised when nobody knows the upload any more: it was completed, aborted, or swept away by the store."""


class Occupied(StoreError):
    """Raised when a write that must not replace anything found something."""


class RangeRefused(StoreError):
    """Raised when an object has no byte where a range begins."""


@dataclass(frozen=True)
class Verb:
    """What was asked, in words, and the right that it takes: B2's capability, and Amazon's."""

    words: str
    b2_right: str
    s3_right: str


VERBS: Mapping[str, Verb] = {
    "list_objects_v2": Verb("list", "listFiles", "s3:ListBucket"),
    "head_object": Verb("look at", "readFiles", "s3:GetObject"),
    "get_object": Verb("read", "readFiles", "s3:GetObject"),
    "put_object": Verb("write", "writeFiles", "s3:PutObject"),
    "create_multipart_upload": Verb("begin an upload of", "writeFiles", "s3:PutObject"),
    "upload_part": Verb("upload a part of", "writeFiles", "s3:PutObject"),
    "complete_multipart_upload": Verb("complete the upload of", "writeFiles", "s3:PutObject"),
    "abort_multipart_upload": Verb("abort the upload of", "writeFiles", "s3:AbortMultipartUpload"),
    "list_parts": Verb("look at an upload of", "writeFiles", "s3:ListMultipartUploadParts"),
    "list_multipart_uploads": Verb("list the uploads of", "listFiles", "s3:ListBucketMultipartUploads"),
}


@contextlib.contextmanager
def wire_errors(site: Site, operation: str, uri: Uri) -> Iterator[None]:
    """Translate every error of botocore, and of urllib3 where botocore lets one through."""
    try:
        yield
    except boto.ClientError as exc:
        raise refusal(site, operation, uri, exc.response) from exc
    except _NO_CREDENTIALS as exc:
        raise no_credentials(site, exc) from exc
    except boto.ParamValidationError as exc:
        raise BadUri(f"No S3 store has an object at {str(uri)!r}.") from exc
    except (boto.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as exc:
        raise _unanswered(site, uri, exc) from exc


def no_credentials(site: Site, exc: Exception | None = None) -> BadAccount:
    """Say that boto3's own search for a key came to nothing, or on what it stumbled."""
    if isinstance(exc, boto.ProfileNotFound):
        said = "AWS_PROFILE names a profile that is not in ~/.aws"
    else:
        said = "there is none" if exc is None else f"the search ended with {type(exc).__name__}"
    return BadAccount(
        f"No key for {site.scheme}:// addresses was found: {said}.",
        advice="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run: aws configure",
    )


def refusal(site: Site, operation: str, uri: Uri, response: Mapping[str, Any]) -> FramehaulError:
    """Say what an answer means that is no success."""
    reply = _Reply(site, VERBS[operation], uri, response)
    for judge in (_account, _room, _missing, _later):
        if (found := judge(reply)) is not None:
            return found
    if reply.status in {401, 403}:
        return _denied(reply)
    if reply.status == 416:
        return RangeRefused(f"{uri} has no byte there.")
    if reply.status == 412:
        return Occupied(f"Something lies at {uri} already.")
    if reply.status == 501 or reply.code == "NotImplemented":
        return NotSupported(f"{site.place} cannot {reply.verb.words} {uri} in this way.")
    if reply.code == "KeyTooLongError":
        return BadUri(f"{site.place} takes no key as long as that of {uri}.")
    if reply.code == "InvalidObjectState":
        return StoreError(f"{uri} is archived and cannot be read.", advice="Restore it first.")
    return StoreError(f"{site.place} refused to {reply.verb.words} {uri}: {reply.code} (HTTP {reply.status}).")


class _Reply:
    def __init__(self, site: Site, verb: Verb, uri: Uri, response: Mapping[str, Any]) -> None:
        error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
        self.site = site
        self.verb = verb
        self.uri = uri
        self.status = int(metadata.get("HTTPStatusCode", 0))
        self.code = str(error.get("Code", ""))
        self.message = str(error.get("Message", ""))
        self.headers: Mapping[str, str] = metadata.get("HTTPHeaders", {})
        told = error.get("Region") or self.headers.get("x-amz-bucket-region") or ""
        endpoint = re.search(r"\bs3[.-]([a-z]{2}-[a-z0-9-]+)\.", str(error.get("Endpoint", "")))
        self.region = str(told or (endpoint[1] if endpoint else ""))


def _account(reply: _Reply) -> BadAccount | None:
    place, code = reply.site.place, reply.code
    key, secret = (
        ("B2_KEY", "B2_SECRET") if reply.site.scheme == "b2" else ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    if code in _WRONG_KEY:
        return BadAccount(
            f"{place} does not know this key id.", advice=f"Check {key}, and that the key is of this endpoint."
        )
    if code in _WRONG_SECRET:
        return BadAccount(f"The secret does not belong to this key id, says {place}.", advice=f"Check {secret}.")
    if code in _STALE_KEY:
        return BadAccount(f"The key for {place} has expired.", advice="Log in again, or set a new one.")
    if code in _WRONG_HOUR:
        return BadAccount(f"{place} finds our clock wrong even after it told us the hour.", advice="Set the clock.")
    if code in _WRONG_REGION or reply.status in {301, 307}:
        mine = reply.site.region or "us-east-1"
        right = f"it is in {reply.region}" if reply.region else "it did not say which one is right"
        return BadAccount(
            f"The bucket {reply.uri.authority} is not in the region {mine} that we asked {place} for: {right}.",
            advice=_where_to_say(reply),
        )
    return None


def _where_to_say(reply: _Reply) -> str:
    """Say which setting names the region."""
    if reply.site.scheme == "b2":
        return "Set B2_ENDPOINT to what the bucket's page shows, and no other region beside it."
    shown = reply.region or "what the bucket's page shows"
    return f"Set the region to {shown} (AWS_REGION, or stores.s3.region in config.yaml)."


def _room(reply: _Reply) -> StoreFull | None:
    if (
        reply.code not in _FULL_CODES
        and reply.status != 507
        and not (reply.status == 403 and _FULL.search(reply.message))
    ):
        return None
    caps = "See Caps & Alerts on Backblaze's pages." if reply.site.scheme == "b2" else "Make room, or raise the quota."
    return StoreFull(
        f"{reply.site.place} has reached its cap: it does not {reply.verb.words} {reply.uri}.", advice=caps
    )


def _missing(reply: _Reply) -> NotFound | None:
    if reply.code == "NoSuchBucket":
        return NoSuchBucket(
            f"There is no bucket {reply.uri.authority} at {reply.site.place}.",
            advice="Check its name and the endpoint.",
        )
    if reply.code == "NoSuchUpload":
        return UploadGone(f"The upload of {reply.uri} is not open any more.")
    if reply.status in {404, 410}:
        return NotFound(f"Nothing lies at {reply.uri}.")
    return None


def _later(reply: _Reply) -> StoreUnavailable | None:
    if reply.status == 501 or not (reply.status >= 500 or reply.status in _TRY_LATER or reply.code in _TRY_LATER_CODES):
        return None
    after_s = seconds_of(reply.headers.get("retry-after", ""))
    said = f"{reply.code}, HTTP {reply.status}" if reply.code != str(reply.status) else f"HTTP {reply.status}"
    return Busy(
        f"{reply.site.place} cannot {reply.verb.words} {reply.uri} now ({said}).",
        after_s,
    )


def _denied(reply: _Reply) -> AccessDenied:
    right = f"the capability {reply.verb.b2_right}" if reply.site.scheme == "b2" else f"the right {reply.verb.s3_right}"
    return AccessDenied(
        f"The key may not {reply.verb.words} {reply.uri} (HTTP {reply.status}).",
        advice=f"It needs {right} for this bucket and place.",
    )


def _unanswered(site: Site, uri: Uri, exc: BaseException) -> FramehaulError:
    """Say why there was no answer, or not all of it."""
    causes = list(_chain(exc))
    for cause in causes:
        if isinstance(cause, FramehaulError):  # of our own source, which was read while it was sent
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return StoreError(f"The certificate of {site.place} is not valid.", advice="Check the endpoint.")
    if any(isinstance(cause, socket.gaierror | urllib3.exceptions.NameResolutionError) for cause in causes):
        return StoreUnavailable(
            f"The name of {site.place} does not resolve.", advice="Check the endpoint, and this machine's network."
        )
    if isinstance(exc, boto.EndpointConnectionError | boto.ConnectTimeoutError | boto.ProxyConnectionError):
        return StoreUnavailable(f"{site.place} cannot be reached.", advice="Check the endpoint, and the network.")
    return StoreUnavailable(f"{site.place} does not answer in full: {uri} ({type(exc).__name__}).")


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what lies below it; botocore keeps the cause in `kwargs`, urllib3 in `reason`."""
    for _ in range(8):
        if exc is None:
            return
        yield exc
        inner = getattr(exc, "kwargs", {}).get("error") if isinstance(exc, boto.BotoCoreError) else None
        reason = getattr(exc, "reason", None)
        if inner is None and isinstance(reason, BaseException):
            inner = reason
        exc = inner if isinstance(inner, BaseException) else exc.__cause__ or exc.__context__
