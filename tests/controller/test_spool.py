"""Lists and tables on disk: what goes in comes out, in order, and little of it lies in memory."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest

from controller.spool import Register, Spool

MANY = 5_500  # five pages on disk, and a rest in memory


def numbers(count: int) -> Spool[tuple[int, str]]:
    """Write a list of pairs."""
    spool: Spool[tuple[int, str]] = Spool(list, lambda told: (told[0], told[1]))
    for number in range(count):
        spool.append((number, f"clip {number}"))
    return spool


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, MANY])
def test_a_list_gives_back_what_it_was_given(count: int) -> None:
    """In order, whole, and again: on either side of what lies in memory."""
    spool = numbers(count)

    assert len(spool) == count
    assert [number for number, _ in spool] == list(range(count))
    assert [number for number, _ in spool] == list(range(count)), "a second time"
    assert bool(spool) == (count > 0)


def test_a_list_is_read_at_any_place() -> None:
    """From the front, from the end, in slices; what is not there is an IndexError."""
    spool = numbers(MANY)

    assert (spool[0], spool[1234], spool[-1]) == ((0, "clip 0"), (1234, "clip 1234"), (MANY - 1, f"clip {MANY - 1}"))
    assert [number for number, _ in spool[998:1003]] == [998, 999, 1000, 1001, 1002]
    assert spool[MANY:] == []
    with pytest.raises(IndexError):
        spool[MANY]


def test_a_list_may_grow_while_somebody_reads_it_or_stops_reading() -> None:
    """Whoever reads sees what was there at the beginning of a page; nothing is left open."""
    spool = numbers(2_500)
    begun = iter(spool)
    first = list(islice(begun, 10))

    for number in range(2_500, 4_000):
        spool.append((number, "later"))

    assert [number for number, _ in first] == list(range(10))
    assert len(list(spool)) == 4_000


def test_a_name_that_is_no_unicode_comes_back_as_it_was() -> None:
    """Half a character, as Python carries the bytes of an old disk."""
    spool: Spool[str] = Spool(lambda text: [text], lambda told: str(told[0]))
    register = Register()
    for number in range(1_500):
        spool.append(f"odd-\udcff-{number}")
        register.add(f"odd-\udcff-{number}")

    assert (spool[0], spool[1_499]) == ("odd-\udcff-0", "odd-\udcff-1499")
    assert "odd-\udcff-7" in register


def test_a_long_list_takes_the_memory_of_a_short_one() -> None:
    """Python's own memory; SQLite's is bounded by its cache."""
    numbers(2_000)  # whatever is loaded once
    tracemalloc.start()
    kept = numbers(20_000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(kept) == 20_000
    assert held < 400_000, "a thousand pairs, and not twenty thousand"


@pytest.mark.parametrize("count", [10, 1_000, MANY])
def test_a_table_takes_each_key_once(count: int) -> None:
    """The first entry stands, in memory and on disk."""
    register = Register()

    assert all(register.add(f"key {number}", str(number)) for number in range(count))
    assert not any(register.add(f"key {number}", "again") for number in range(count))
    assert all(register.get(f"key {number}") == str(number) for number in range(count))
    assert register.get("another") is None
    assert "another" not in register
