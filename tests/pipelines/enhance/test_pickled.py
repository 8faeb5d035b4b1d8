"""A pickle is followed, never done: whatever it holds, the answer is a table, a refusal or "damaged"."""

from __future__ import annotations

import io
import pickle
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framehaul.pipelines.enhance.announced import DamagedError, Odd
from framehaul.pipelines.enhance.pickled import RefusedError, read_pickle
from tests.pipelines.enhance.networks import random_weights, saved

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN, st.sampled_from([2, 3, 4]))
def test_plain_values_come_out_as_they_went_in(value: object, protocol: int) -> None:
    """Numbers, words, lists and tables are read as pickle itself reads them, and the stream stops behind them."""
    stream = io.BytesIO(pickle.dumps(value, protocol=protocol) + b"more")

    assert read_pickle(stream) == (value, {})
    assert stream.read() == b"more"


@given(st.binary(max_size=200))
def test_any_bytes_end_well(data: bytes) -> None:
    """Noise is a value, a refusal or damage; nothing else is raised."""
    try:
        read_pickle(io.BytesIO(data))
    except (DamagedError, RefusedError):
        return


@given(st.data())
def test_a_damaged_table_ends_well(data: st.DataObject) -> None:
    """A real table with some bytes exchanged is read, refused or damaged."""
    good = bytearray(pickle.dumps({"params": {"a": [1.5, (2, "x")]}}, protocol=2))
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=4)):
        good[place] = data.draw(st.integers(0, 255))
    try:
        read_pickle(io.BytesIO(bytes(good)))
    except (DamagedError, RefusedError):
        return


@pytest.mark.parametrize(
    "data",
    [
        b"cposix\nsystem\n(S'true'\ntR.",
        b"(S'true'\niposix\nsystem\n.",
        b"cbuiltins\neval\n.",
        b"c__builtin__\nexec\n.",
        b"ctorch\nload\n.",
        b"ctorch.hub\nload\n.",
        b"ctorch.storage\n_load_from_bytes\n.",
        b"\x8c\x05posix\x8c\x06system\x93.",
        b"ccollections\nOrderedDict\n\x94ccollections\nOrderedDict\n}b.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"\x82\x01.",
    ],
    ids=["GLOBAL", "INST", "eval", "exec", "torch.load", "hub", "storage", "STACK_GLOBAL", "BUILD", "NEWOBJ", "EXT1"],
)
def test_whatever_would_call_something_is_refused(data: bytes) -> None:
    """By every instruction that can name, make or set up an object."""
    with pytest.raises(RefusedError):
        read_pickle(io.BytesIO(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b".",
        b"t.",
        b"h\x05.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fxx.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fxx.",
        b"(((" + b")" * 50 + b"u.",
        b"}" + b")\x85" + b"\x85" * 200_000 + b"Ns.",
        b"Na.",
        b"(K\x01u.",
        b"}(K\x01u.",
        b"K\x05Q.",
    ],
)
def test_what_breaks_the_rules_is_damage(data: bytes) -> None:
    """An empty stack, a claim of 2**63 bytes, a key a hundred thousand tuples deep: none of it harms the reader."""
    with pytest.raises(DamagedError):
        read_pickle(io.BytesIO(data))


PAIRS = b"]q\x01(" + b"K\x01K\x02\x86" * 20_000 + b"e"


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02" + b"(" * (1 << 20),
        b"\x80\x02" + b"}" * (1 << 20),
        PAIRS + b"ccollections\nOrderedDict\nq\x02" + b"h\x02h\x01\x85R0" * 20_000 + b".",
    ],
    ids=["marks", "tables", "one list for many calls"],
)
def test_a_short_word_is_no_long_work(data: bytes) -> None:
    """A megabyte that would become a hundred, or seconds, is damage after a bounded share of it."""
    tracemalloc.start()
    before = time.process_time()
    try:
        with pytest.raises(DamagedError, match="than any table of weights"):
            read_pickle(io.BytesIO(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 32 << 20
    assert time.process_time() - before < 10


def test_a_place_far_away_costs_nothing() -> None:
    """The memo's largest number is taken as a name: pickle's own reader would reserve 32 GiB for it."""
    assert read_pickle(io.BytesIO(b"Nr\xff\xff\xff\xff."))[0] is None


def test_an_ordered_table_and_its_version_numbers_are_a_table() -> None:
    """What state_dict() gives has attributes; they are dropped."""
    table = OrderedDict(a=1)
    vars(table)["_metadata"] = OrderedDict(version=1)

    assert read_pickle(io.BytesIO(pickle.dumps(table, protocol=2)))[0] == {"a": 1}


@pytest.mark.parametrize(
    ("numbers", "offset", "shape", "stride"),
    [(8, 0, (3, 3), (3, 1)), (9, 1, (3, 3), (3, 1)), (9, 0, (3, 3), (3,)), (9, -1, (3,), (1,)), (9, 0, (-3,), (1,))],
    ids=["too large", "behind the end", "strides lacking", "before the start", "negative"],
)
def test_a_tensor_stays_within_its_numbers(
    numbers: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    """A tensor that claims what its storage does not hold is damage."""
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpu" + _int(numbers) + b"tQ"
    sizes = b"".join(b"(" + b"".join(map(_int, values)) + b"t" for values in (shape, stride))
    data = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _int(offset) + sizes + b"\x89NtR."

    with pytest.raises(DamagedError):
        read_pickle(io.BytesIO(data))


def test_torch_writes_what_is_read_here(tmp_path: Path) -> None:
    """A tensor's shape and numbers come out of torch's own pickle, and what is no such tensor is odd."""
    weights = {**random_weights(), "step": torch.Size([3])}
    path = saved(tmp_path, weights)
    with zipfile.ZipFile(path) as archive:
        stored, storages = read_pickle(io.BytesIO(archive.read("some/data.pkl")))

    assert isinstance(stored, dict)
    assert stored.pop("step") == Odd()
    assert {key: value.shape for key, value in stored.items()} == {
        key: tuple(value.shape) for key, value in random_weights().items()
    }
    assert sum(storage.numbers for storage in storages.values()) == sum(v.numel() for v in random_weights().values())


def _int(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)
