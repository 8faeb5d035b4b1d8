"""The copy of a target's markers: taken over whole or not at all, shared by processes, thrown away when broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.remote_index import Copy, Place, RemoteIndex, marker_keys
from framehaul.contract.naming import done_marker, fingerprint_key
from framehaul.errors import StoreUnavailable
from tests.controller.desks import HOUR

OUT = Place("s3://clips/out/", "http://one")
DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def index(tmp_path: Path) -> RemoteIndex:
    """An index without a file yet."""
    return RemoteIndex(tmp_path / "index.sqlite")


def markers(*fingerprints: str, digest: str = DIGEST) -> list[str]:
    """Name the markers of inputs that are done."""
    return [done_marker(fingerprint, digest) for fingerprint in fingerprints]


def held(index: RemoteIndex, copy: Copy, *fingerprints: str, digest: str = DIGEST) -> list[bool]:
    """Ask of each input whether it is done."""
    with index.reading(copy, bytes.fromhex(digest[:32])) as ask:
        return [ask(bytes.fromhex(fingerprint_key(fingerprint))) for fingerprint in fingerprints]


def test_a_listing_answers_for_inputs_and_parameters_together(index: RemoteIndex) -> None:
    """Names that are no markers of ours are passed over."""
    names = [*markers("one", "two"), *markers("three", digest=OTHER), ".framehaul/done/readme.txt", "x" * 32 + "." * 33]

    copy = index.take_over(OUT, names, HOUR)

    assert index.latest(OUT) == copy
    assert held(index, copy, "one", "two", "three", "four") == [True, True, False, False]
    assert held(index, copy, "one", "three", digest=OTHER) == [False, True]


def test_a_listing_that_breaks_off_leaves_the_last_one(index: RemoteIndex) -> None:
    """What the store says comes through; nothing of the broken listing stays."""

    def broken() -> Iterator[str]:
        yield from markers("two", *map(str, range(6_000)))
        raise StoreUnavailable("It is down.")

    whole = index.take_over(OUT, markers("one"), HOUR)
    with pytest.raises(StoreUnavailable):
        index.take_over(OUT, broken(), HOUR + 60)

    assert index.latest(OUT) == whole
    assert held(index, whole, "one", "two") == [True, False]


def test_a_listing_takes_the_place_of_the_last_one(index: RemoteIndex, tmp_path: Path) -> None:
    """What is no longer there is no longer done, and takes no room."""
    index.take_over(OUT, markers("gone", "here"), HOUR)

    copy = index.take_over(OUT, markers("here"), HOUR + 60)

    assert held(index, copy, "gone", "here") == [False, True]
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        assert db.execute("SELECT count(*) FROM markers").fetchone() == (1,)
    db.close()


def test_a_listing_of_an_hour_to_come_gives_way(index: RemoteIndex) -> None:
    """The clock was ahead when it was made: once that hour has come, it would pass for fresh."""
    index.take_over(OUT, markers("gone"), HOUR + 3600)

    copy = index.take_over(OUT, markers("here"), HOUR)

    assert index.latest(OUT) == copy
    with sqlite3.connect(index.path) as db:
        assert db.execute("SELECT count(*) FROM listings").fetchone() == (1,)
    db.close()


def test_a_slower_listing_leaves_one_that_was_begun_after_it(index: RemoteIndex) -> None:
    """Another process was quicker: what it saw is newer."""
    newer: list[Copy] = []

    def slow() -> Iterator[str]:
        newer.append(RemoteIndex(index.path).take_over(OUT, markers("new"), HOUR + 5))
        yield from markers("old")

    copy = index.take_over(OUT, slow(), HOUR)

    assert [index.latest(OUT)] == newer
    assert (held(index, newer[0], "new"), held(index, copy, "old")) == ([True], [True])


def test_each_place_has_a_copy_of_its_own(index: RemoteIndex) -> None:
    """A bucket of the same name at another store, and another folder, are other places."""
    index.take_over(OUT, markers("one"), HOUR)

    assert index.latest(Place(OUT.target, "http://two")) is None
    assert index.latest(Place("s3://clips/other/", OUT.endpoint)) is None


def test_what_is_published_while_somebody_lists_is_in_both_copies(index: RemoteIndex) -> None:
    """The listing had passed its place already: it would be missing, and the work done twice."""
    last = index.take_over(OUT, markers("one"), HOUR)

    def listing() -> Iterator[str]:
        yield from markers("one")
        another_process = RemoteIndex(index.path)
        another_process.add(OUT, markers("published")[0])
        assert held(another_process, last, "published") == [True]

    copy = index.take_over(OUT, listing(), HOUR + 60)

    assert held(index, copy, "one", "published") == [True, True]


def test_whoever_reads_sees_one_copy_to_the_end(index: RemoteIndex) -> None:
    """Also when another process lists anew in the middle of a plan."""
    copy = index.take_over(OUT, markers("one"), HOUR)
    with index.reading(copy, bytes.fromhex(DIGEST[:32])) as ask:
        assert ask(bytes.fromhex(fingerprint_key("one")))
        RemoteIndex(index.path).take_over(OUT, [], HOUR + 60)
        assert ask(bytes.fromhex(fingerprint_key("one")))


def test_nothing_is_noted_where_nothing_was_listed(index: RemoteIndex) -> None:
    """A single marker is no listing: a plan that took it for one would do all the others again."""
    index.add(OUT, markers("one")[0])

    assert not index.path.exists()
    assert index.latest(OUT) is None


def test_the_file_of_another_version_is_begun_anew(index: RemoteIndex) -> None:
    """It is a copy: nobody has to be asked."""
    index.take_over(OUT, markers("one"), HOUR)
    with sqlite3.connect(index.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    assert index.latest(OUT) is None


def test_a_marker_s_name_is_taken_apart() -> None:
    """32 and 32 hex characters; anything else is none."""
    keys = marker_keys(done_marker("one", DIGEST))

    assert keys == (bytes.fromhex(fingerprint_key("one")), bytes.fromhex(DIGEST[:32]))
    for odd in ("", "x.y", f"{'g' * 32}.{'0' * 32}", f"{'0' * 32}.{'0' * 31}", "0" * 65):
        assert marker_keys(odd) is None
