"""The proof: a receipt is held against the store itself, and each mode catches what it says that it catches."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ProofFailed
from controller.verify import VerifyMode, prove
from framehaul.contract.receipt import OutputReceipt
from framehaul.contract.uris import Uri, parse_uri
from tests.controller.agents import entry_of
from tests.controller.shelves import CountingShelf, HugeShelf

CHUNK = 1000
DATA = bytes(range(256)) * 40
HUGE = parse_uri("https://nowhere.invalid/huge.mp4")
HEAD, SAMPLE, FULL = VerifyMode.HEAD, VerifyMode.SAMPLE, VerifyMode.FULL


@pytest.fixture
def shelf() -> CountingShelf:
    """The disk, with its reads counted."""
    return CountingShelf()


def put(folder: Path, data: bytes, chunk_bytes: int = CHUNK) -> tuple[Uri, OutputReceipt]:
    """Put an object, and write the receipt that fits it."""
    path = folder / "out.mp4"
    path.write_bytes(data)
    return parse_uri(str(path)), entry_of("result", "out.mp4", data, chunk_bytes)


def flip(uri: Uri, offset: int) -> None:
    """Change one bit of what lies in the store."""
    path = Path(uri.key)
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("mode", VerifyMode)
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(DATA)])
def test_what_was_promised_is_proven(tmp_path: Path, shelf: CountingShelf, mode: VerifyMode, size: int) -> None:
    """Empty, one chunk, one byte more: every mode lets it pass."""
    uri, receipt = put(tmp_path, DATA[:size])

    prove(shelf, uri, receipt, mode)


@pytest.mark.parametrize("mode", VerifyMode)
@pytest.mark.parametrize("change", [-1, 1])
def test_every_mode_catches_a_wrong_size(tmp_path: Path, shelf: CountingShelf, mode: VerifyMode, change: int) -> None:
    """A byte too few or too many; the sentence names both numbers."""
    uri, receipt = put(tmp_path, DATA)
    Path(uri.key).write_bytes((DATA + b"x")[: len(DATA) + change])

    with pytest.raises(ProofFailed, match=f"holds {len(DATA) + change} bytes, the receipt says {len(DATA)}"):
        prove(shelf, uri, receipt, mode)


@pytest.mark.parametrize("mode", VerifyMode)
def test_every_mode_catches_that_nothing_is_there(tmp_path: Path, shelf: CountingShelf, mode: VerifyMode) -> None:
    """What is missing is no proof, and no trouble of the store that would pass."""
    uri, receipt = put(tmp_path, DATA)
    Path(uri.key).unlink()

    with pytest.raises(ProofFailed, match="Nothing lies at"):
        prove(shelf, uri, receipt, mode)


def test_head_reads_nothing(tmp_path: Path, shelf: CountingShelf) -> None:
    """It compares the size, and takes the rest on trust: a changed byte passes."""
    uri, receipt = put(tmp_path, DATA)
    flip(uri, 5)

    prove(shelf, uri, receipt, HEAD)

    assert shelf.reads == []


@given(offset=st.integers(0, len(DATA) - 1))
def test_full_catches_every_byte(tmp_path_factory: pytest.TempPathFactory, offset: int) -> None:
    """Wherever it lies, one flipped bit is found, and its chunk is named."""
    uri, receipt = put(tmp_path_factory.mktemp("full"), DATA)
    flip(uri, offset)

    with pytest.raises(ProofFailed, match=f"chunk {offset // CHUNK} "):
        prove(CountingShelf(), uri, receipt, FULL)


def test_full_catches_a_receipt_that_contradicts_itself(tmp_path: Path, shelf: CountingShelf) -> None:
    """Where each chunk is right and the whole is not."""
    uri, receipt = put(tmp_path, DATA)
    lying = receipt.model_copy(update={"sha256": "0" * 64})

    with pytest.raises(ProofFailed, match="is not what the receipt says"):
        prove(shelf, uri, lying, FULL)


@given(offset=st.integers(0, 8 * CHUNK - 1))
def test_a_sample_of_a_small_object_is_the_whole(tmp_path_factory: pytest.TempPathFactory, offset: int) -> None:
    """Up to eight chunks, every byte is looked at."""
    uri, receipt = put(tmp_path_factory.mktemp("sample"), DATA[: 8 * CHUNK])
    flip(uri, offset)

    with pytest.raises(ProofFailed, match=f"chunk {offset // CHUNK} "):
        prove(CountingShelf(), uri, receipt, SAMPLE)


@given(seed=st.integers(), chunks=st.integers(9, 400), rest=st.integers(1, 64))
def test_a_sample_reads_eight_chunks_and_the_last_among_them(seed: int, chunks: int, rest: int) -> None:
    """Whatever is drawn: the last one, where truncation and padding show, is always read."""
    shelf = HugeShelf((chunks - 1) * 64 + rest, 64)

    prove(shelf, HUGE, shelf.receipt(), SAMPLE, random.Random(seed))

    assert len(shelf.chunks_read()) == len(shelf.reads) == 8
    assert shelf.chunks_read()[-1] == chunks - 1
    assert all((end or 0) - start <= 64 for start, end in shelf.reads)


def test_a_sample_of_a_huge_object_reads_little_of_it() -> None:
    """Of 800 GB, eight chunks of 8 MiB at most; here with chunks that are small, so that the test is."""
    shelf = HugeShelf(100_000 * 512, 512)

    prove(shelf, HUGE, shelf.receipt(), SAMPLE)

    assert sum((end or 0) - start for start, end in shelf.reads) <= 8 * 512


def test_a_sample_catches_a_flipped_byte_in_a_chunk_that_it_reads() -> None:
    """In the last chunk always; the sentence tells where."""
    shelf = HugeShelf(20 * 64, 64, damaged=frozenset({19}))

    with pytest.raises(ProofFailed, match=r"chunk 19 \(bytes 1216-1279\)"):
        prove(shelf, HUGE, shelf.receipt(), SAMPLE)


def test_samples_differ_from_time_to_time() -> None:
    """Damage that one sample misses, the next may find: after some, every chunk has been read."""
    shelf, rng = HugeShelf(20 * 64, 64), random.Random(1)

    for _ in range(40):
        prove(shelf, HUGE, shelf.receipt(), SAMPLE, rng)

    assert shelf.chunks_read() == list(range(20))


def test_full_reads_everything_once(tmp_path: Path, shelf: CountingShelf) -> None:
    """In one go, not chunk by chunk."""
    uri, receipt = put(tmp_path, DATA)

    prove(shelf, uri, receipt, FULL)

    assert shelf.reads == [(0, None)]
