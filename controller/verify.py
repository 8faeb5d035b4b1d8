"""Hold a receipt against the store itself, never against a log."""

from __future__ import annotations

import hashlib
import random
from enum import StrEnum

from controller.errors import ProofFailed
from framehaul.contract.receipt import ChunkHasher, OutputReceipt
from framehaul.contract.uris import Uri
from framehaul.errors import DigestMismatch, NoSuchBucket, NotFound
from framehaul.storage.base import Store

_SAMPLED_CHUNKS = 8


class VerifyMode(StrEnum):
    """How much of an output is read back."""

    HEAD = "head"
    SAMPLE = "sample"
    FULL = "full"


def prove(store: Store, uri: Uri, entry: OutputReceipt, mode: VerifyMode, rng: random.Random | None = None) -> None:
    """Read back what the mode asks for; ProofFailed names the first difference. Blocks.

    `sample` reads up to 8 random chunks, always the last among them; a smaller object is read whole. One that is
    replaced while it is read was not proven either.
    """
    try:
        _prove(store, uri, entry, mode, rng or random.Random())
    except DigestMismatch as exc:
        raise ProofFailed(exc.message) from exc


def _prove(store: Store, uri: Uri, entry: OutputReceipt, mode: VerifyMode, rng: random.Random) -> None:
    try:
        size = store.stat(uri).size
    except NoSuchBucket:
        raise
    except NotFound as exc:
        raise ProofFailed(f"Nothing lies at {uri} any more.") from exc
    if size != entry.size:
        raise ProofFailed(f"{uri} holds {size} bytes, the receipt says {entry.size}.")
    if mode is VerifyMode.HEAD:
        return
    if mode is VerifyMode.FULL or len(entry.chunks) <= _SAMPLED_CHUNKS:
        _prove_whole(store, uri, entry)
        return
    last = len(entry.chunks) - 1
    chosen = {last, *rng.sample(range(last), _SAMPLED_CHUNKS - 1)}
    for index in sorted(chosen):
        _prove_chunk(store, uri, entry, index)


def _prove_chunk(store: Store, uri: Uri, entry: OutputReceipt, index: int) -> None:
    start = index * entry.chunk_bytes
    digest = hashlib.sha256()
    for piece in store.get(uri, start, min(entry.size, start + entry.chunk_bytes)):
        digest.update(piece)
    if digest.hexdigest() != entry.chunks[index]:
        raise _damaged(uri, entry, index)


def _prove_whole(store: Store, uri: Uri, entry: OutputReceipt) -> None:
    hasher = ChunkHasher(entry.chunk_bytes)
    for piece in store.get(uri):
        hasher.update(piece)
    found = hasher.receipt(entry.slot, entry.name, entry.uri)
    for index, (held, told) in enumerate(zip(found.chunks, entry.chunks, strict=False)):
        if held != told:
            raise _damaged(uri, entry, index)
    if found.sha256 != entry.sha256:
        raise ProofFailed(f"{uri} is not what the receipt says.")


def _damaged(uri: Uri, entry: OutputReceipt, index: int) -> ProofFailed:
    start = index * entry.chunk_bytes
    last = min(entry.size, start + entry.chunk_bytes) - 1
    return ProofFailed(f"{uri}: chunk {index} (bytes {start}-{last}) is not what the receipt says.")
