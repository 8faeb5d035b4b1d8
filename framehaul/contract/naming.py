"""Names that both sides must agree on: outputs, markers, digests of params."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from framehaul.contract.wire import canonical_json

DONE_PREFIX = ".framehaul/done/"
RECEIPTS_PREFIX = ".framehaul/receipts/"
MAX_NAME_BYTES = 255
_MAX_SUFFIX_BYTES = 32
# Fingerprints that are an entity tag: "s3:etag:<etag>", "http:etag:<etag>". The size stands beside them in the order.
_ETAG_KINDS = ("s3:etag:", "http:etag:")

# What a file name says of the work, by the pipeline's mode.
MODE_WORDS: Mapping[str, str] = {"upscale": "upscaled", "interpolate": "interpolated", "both": "both"}


def check_file_name(name: str) -> str:
    """Refuse a name that could leave its folder or confuse a terminal; give it back unchanged otherwise."""
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise ValueError(f"not a plain file name: {name!r}")
    kinds = set() if name.isprintable() else {unicodedata.category(char) for char in name}
    if "Cs" in kinds:  # how Python carries bytes of a name that it could not decode
        raise ValueError(f"the file name {name!r} is not UTF-8 (or this locale is not); rename it")
    if "Cc" in kinds:
        raise ValueError(f"a file name may not hold control characters: {name!r}")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"a file name may be {MAX_NAME_BYTES} bytes long, this one has {len(name.encode())}")
    return name


@lru_cache(16)  # of a batch every job asks for the same
def timestamp(epoch: float) -> str:
    """Write an hour as it stands in output names: YYYYmmdd_HHMMSS, UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d_%H%M%S")


def output_name(original: str, word: str, created_at: float, suffix: str, *, number: int = 1) -> str:
    """Compose `<original>_<word>_<time>[_<number>]<suffix>`; a long stem is cut so that the name still fits.

    Control characters and backslashes of the original become `_`, since output names are shown and typed.
    """
    ending = _cut(_plain(suffix), _MAX_SUFFIX_BYTES)
    tail = f"_{word}_{timestamp(created_at)}" + (f"_{number}" if number > 1 else "") + ending
    room = MAX_NAME_BYTES - len(tail.encode()) - len(".manifest.json")
    return _cut(_plain(stem_and_suffix(original.rpartition("/")[2])[0]), room) + tail


def stem_and_suffix(name: str) -> tuple[str, str]:
    """Cut a plain file name before its last dot, as pathlib does: `.mp4` and `clip.` have no suffix."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and suffix else (name, "")


def manifest_name(first_output: str) -> str:
    """Name the manifest that lies beside an output."""
    return f"{first_output}.manifest.json"


def params_digest(pipeline: str, params: Mapping[str, Any], model_sha256: str | None) -> str:
    """Hash everything that decides what the output shows; not the code's version."""
    return hashlib.sha256(
        canonical_json({"pipeline": pipeline, "params": dict(params), "model": model_sha256})
    ).hexdigest()


def fingerprint_key(fingerprint: str) -> str:
    """Shorten a fingerprint of any store to a word that can stand in a key: 32 hex characters."""
    if not fingerprint:
        raise ValueError("an input that was never pinned has no key: it would pass for every other one")
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:32]


def done_marker(fingerprint: str, digest: str) -> str:
    """Name the key, under the output prefix, that says: this input with these params is done."""
    return f"{DONE_PREFIX}{fingerprint_key(fingerprint)}.{digest[:32]}"


def receipt_name(job_id: str, attempt: int) -> str:
    """Name the key, under the output prefix, where an agent leaves the receipt of an attempt."""
    return f"{RECEIPTS_PREFIX}{job_id}.{attempt}.json"


def etag_of(fingerprint: str) -> str:
    """Give the entity tag, without quotes, that a store's fingerprint pins; "" where it pins by something else."""
    for kind in _ETAG_KINDS:
        if fingerprint.startswith(kind):
            return fingerprint.removeprefix(kind)
    return ""


def _plain(text: str) -> str:
    if text.isprintable() and "/" not in text and "\\" not in text:
        return text
    return "".join("_" if char in "/\\" or unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)


def _cut(text: str, most_bytes: int) -> str:
    if len(text) <= most_bytes and text.isascii():
        return text
    return text.encode()[:most_bytes].decode(errors="ignore")
