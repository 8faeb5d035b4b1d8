"""A receipt's digests are those of the bytes, and a sentinel vouches for one receipt only."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from framehaul.contract.receipt import CHUNK_BYTES, ChunkHasher, OutputReceipt, Receipt, Sentinel
from framehaul.errors import ContractError
from tests.contract.letters import example


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_hasher_equals_hashlib_for_any_chunking(pieces: list[bytes], chunk_bytes: int) -> None:
    """However the stream was cut, the digests are those of the whole and of its fixed pieces."""
    hasher = ChunkHasher(chunk_bytes)
    for piece in pieces:
        hasher.update(piece)
    found = hasher.receipt("video", "x.mp4", "b2://clips/x.mp4")

    whole = b"".join(pieces)
    cut = [whole[at : at + chunk_bytes] for at in range(0, len(whole), chunk_bytes)]
    assert found.size == len(whole)
    assert found.sha256 == hashlib.sha256(whole).hexdigest()
    assert found.chunks == tuple(hashlib.sha256(piece).hexdigest() for piece in cut)


def test_chunks_are_8_mib_by_default() -> None:
    """The verifier asks the store for ranges of this size."""
    hasher = ChunkHasher()
    hasher.update(bytes(CHUNK_BYTES + 1))

    assert CHUNK_BYTES == 8 * 1024 * 1024
    assert len(hasher.receipt("video", "x", "file:///x").chunks) == 2


def test_hasher_counts_bytes_not_items() -> None:
    """A view of wider items, such as 16-bit samples, is hashed as the bytes that it is."""
    hasher = ChunkHasher(3)
    hasher.update(memoryview(b"abcdefgh").cast("H"))

    found = hasher.receipt("video", "x", "file:///x")
    assert (found.size, found.sha256) == (8, hashlib.sha256(b"abcdefgh").hexdigest())


def test_receipt_may_be_asked_for_twice() -> None:
    """Asking is not closing: the second answer equals the first, and more bytes may follow."""
    hasher = ChunkHasher(4)
    hasher.update(b"abcdef")
    assert hasher.receipt("v", "x", "file:///x") == hasher.receipt("v", "x", "file:///x")

    hasher.update(b"gh")
    assert hasher.receipt("v", "x", "file:///x").chunks[1] == hashlib.sha256(b"efgh").hexdigest()


@pytest.mark.parametrize("change", [{"chunks": []}, {"size": 20971521 + (4 << 20)}, {"size": -1}, {"chunk_bytes": 0}])
def test_receipt_whose_chunks_do_not_cover_it_is_refused(change: dict[str, object]) -> None:
    """A gap in the digests would be bytes that nobody can verify."""
    with pytest.raises(ValidationError):
        OutputReceipt.model_validate(example("Receipt")["outputs"][0] | change)


@pytest.mark.parametrize(
    "change", [{"attempt": 1}, {"job_id": "yesterday"}, {"finished_at": 1.0}, {"spec_digest": "0" * 64}]
)
def test_sentinel_of_another_receipt_proves_nothing(change: dict[str, object]) -> None:
    """Job, attempt and every byte of the receipt must match: yesterday's marker does not count."""
    sentinel = Sentinel.model_validate(example("Sentinel"))

    assert sentinel.vouches_for(Receipt.model_validate(example("Receipt")))
    assert not sentinel.vouches_for(Receipt.model_validate(example("Receipt") | change))


def test_unknown_slot_is_a_breach_of_contract() -> None:
    """A receipt without the slot that was ordered says so by name."""
    receipt = Receipt.model_validate(example("Receipt"))

    assert receipt.output("manifest").slot == "manifest"
    with pytest.raises(ContractError, match="no output slot 'audio'"):
        receipt.output("audio")
