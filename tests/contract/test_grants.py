"""Grants keep their addresses to themselves, and parts that grow cover what nobody could size beforehand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from framehaul.contract.grants import MAX_PART_BYTES, GrantSet, part_sizes
from tests.contract.letters import example, example_text

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize("name", ["GrantSet.bucket", "GrantSet.relay"])
def test_addresses_print_as_stars_and_travel_in_clear(name: str) -> None:
    """No log of a grant set shows an address that could be used; its JSON holds all of them."""
    grants = GrantSet.model_validate_json(example_text(name))

    for shown in (repr(grants), str(grants), f"{grants}", str(grants.model_dump())):
        assert "https://" not in shown
        assert "***" in shown
    assert grants.model_dump_json().count("https://") == example_text(name).count("https://")
    assert json.loads(grants.canonical()) == example(name)


def test_refusal_does_not_quote_an_address() -> None:
    """The error about a broken grant set, which ends up in logs, names the field and not what was in it."""
    content = example("GrantSet.bucket")
    del content["outputs"]["video"]["upload_id"]
    content["inputs"]["source"]["surprise"] = 1

    with pytest.raises(ValidationError) as refusal:
        GrantSet.model_validate(content)

    assert "upload_id" in str(refusal.value)
    assert "surprise" in str(refusal.value)
    assert "store.example" not in str(refusal.value)
    assert "Signature" not in repr(refusal.value)


@pytest.mark.parametrize("field", ["generation", "attempt"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_generation_and_attempt_are_counted_from_one(field: str, value: float) -> None:
    """The first generation is 1, so that 0 can say that there is none yet; attempts likewise."""
    with pytest.raises(ValidationError, match=field):
        GrantSet.model_validate(example("GrantSet.relay") | {field: value})


def test_empty_grant_set_is_refused() -> None:
    """A set that grants nothing would silently take everything away."""
    with pytest.raises(ValidationError, match="grants nothing"):
        GrantSet.model_validate(example("GrantSet.relay") | {"inputs": {}, "outputs": {}})


def test_unknown_kind_is_refused() -> None:
    """An input grant is no output grant, and a kind from a later version is not guessed at."""
    for field, grant in (
        ("inputs", {"kind": "relay-out"}),
        ("outputs", {"kind": "relay-in"}),
        ("outputs", {"kind": "x"}),
    ):
        with pytest.raises(ValidationError, match=field):
            GrantSet.model_validate(example("GrantSet.relay") | {field: {"video": grant}})


def test_only_paths_on_disk_count_as_files() -> None:
    """A remote provider can tell a set that names paths from one that does not."""
    assert GrantSet.model_validate(example("GrantSet.files")).uses_files()
    assert not GrantSet.model_validate(example("GrantSet.bucket")).uses_files()
    assert not GrantSet.model_validate(example("GrantSet.relay")).uses_files()


@given(st.integers(0, 1 << 45), st.integers(64 << 10, 1 << 34), st.floats(1.0, 2.0))
def test_parts_sum_to_the_total_and_grow(total: int, first: int, growth: float) -> None:
    """No part is empty but that of an empty object; each is at least as big as the one before, but for the last."""
    first = max(first, total >> 12)
    sizes = part_sizes(total, first, growth)

    assert sum(sizes) == total
    assert all(sizes) or sizes == [0]
    assert sizes[:-1] == sorted(sizes[:-1])
    assert max(sizes) <= MAX_PART_BYTES
    assert sizes[0] == min(total, first, MAX_PART_BYTES)


@given(st.integers(0, 4 * GIB), st.integers(0, 4 * GIB))
def test_part_borders_do_not_depend_on_the_total(one: int, other: int) -> None:
    """An agent can upload part after part before it knows how long the output will be."""
    shorter, longer = sorted((part_sizes(one, 16 * MIB, 1.05), part_sizes(other, 16 * MIB, 1.05)), key=sum)

    assert shorter[:-1] == longer[: len(shorter) - 1]


def test_150_parts_cover_258_gib() -> None:
    """150 addresses of 16 MiB × 1.05ⁿ, none above the 5 GiB that S3 takes, are enough for 258 GiB."""
    sizes = part_sizes(258 * GIB, 16 * MIB, 1.05)

    assert len(sizes) <= 150
    assert len(part_sizes(259 * GIB, 16 * MIB, 1.05)) > 150
    assert min(sizes[:-1]) == 16 * MIB
    assert max(sizes) == 5 * GIB


@pytest.mark.parametrize(("growth", "first"), [(0.99, 1), (2.01, 1), (1.05, 0)])
def test_parts_that_would_never_end_are_refused(growth: float, first: int) -> None:
    """Parts do not shrink, do not explode, and are not empty."""
    content = example("GrantSet.bucket")
    content["outputs"]["video"] |= {"growth": growth, "first_part_bytes": first}

    with pytest.raises(ValidationError, match=r"growth|first_part_bytes"):
        GrantSet.model_validate(content)
