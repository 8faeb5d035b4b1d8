"""Check AWS Signature Version 4, of headers and of presigned addresses, by a clock that can be set.

Source: AWS, "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote

from tests.emulators.s3_words import Asked, Refusal, denied, expired, malformed, skewed, unknown_key, wrong_signature

_AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=(\S+?), *SignedHeaders=(\S+?), *Signature=([0-9a-f]{64})")


def refusal(asked: Asked, keys: Mapping[str, str], region: str, now: float, vendor: str) -> Refusal | None:
    """Say why a request may not pass, or nothing: who, where, when, and whether the signature fits."""
    claim = _claim(asked)
    if claim is None:
        return denied(vendor)
    credential, signed_headers, signature = claim
    key_id, date, said_region, service, _ = (credential.split("/") + [""] * 5)[:5]
    if key_id not in keys:
        return unknown_key(key_id, vendor)
    if said_region != region:
        return malformed(said_region, region)
    if late := skewed(asked, now) or expired(asked, now, vendor):
        return late
    scope = f"{date}/{said_region}/{service}/aws4_request"
    ours = _signature(keys[key_id], scope, _hour(asked), _canonical(asked, signed_headers))
    return None if hmac.compare_digest(ours, signature) else wrong_signature(key_id, vendor)


def unsigned(asked: Asked) -> tuple[str, set[str]]:
    """Take the signature off: give the target without it, and the headers to leave out.

    Even a store that asks nobody for a key refuses a signature's hour when it differs from its own.
    """
    words = [word for word in asked.query.split("&") if not word.lower().startswith("x-amz-")]
    query = "&".join(word for word in words if word)
    return f"{asked.path}?{query}" if query else asked.path, {"authorization", "x-amz-date", "x-amz-security-token"}


def _claim(asked: Asked) -> tuple[str, str, str] | None:
    """Find credential, signed headers and signature, in the query or in the head."""
    if asked.presigned:
        words = asked.words
        return words.get("X-Amz-Credential", ""), words.get("X-Amz-SignedHeaders", ""), words["X-Amz-Signature"]
    found = _AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
    return (found[1], found[2], found[3]) if found else None


def _hour(asked: Asked) -> str:
    return asked.words.get("X-Amz-Date") or asked.headers.get("x-amz-date", "")


def _canonical(asked: Asked, signed_headers: str) -> str:
    """Write the request as its signer did; S3 quotes a key once."""
    words = [
        (name, value) for name, value in parse_qsl(asked.query, keep_blank_values=True) if name != "X-Amz-Signature"
    ]
    query = "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in words))
    heads = [f"{name}:{' '.join(asked.headers.get(name, '').split())}\n" for name in signed_headers.split(";")]
    payload = asked.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    path = quote(unquote(asked.path), safe="/-_.~")
    return "\n".join([asked.method, path, query, "".join(heads), signed_headers, payload])


def _signature(secret: str, scope: str, hour: str, canonical: str) -> str:
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    said = "\n".join(["AWS4-HMAC-SHA256", hour, scope, digest])
    return hmac.new(key, said.encode(), "sha256").hexdigest()
