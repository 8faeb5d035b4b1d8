"""Which inputs are done at a bucket: remembered for a while, listed anew when it matters, never guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.desk import Desk
from controller.markers import REMEMBERED_S, remember_done
from controller.planning import Plan, make_plan
from controller.remote_index import RemoteIndex
from controller.settings import Settings
from framehaul.contract.naming import done_marker
from framehaul.contract.uris import parse_uri
from framehaul.errors import StoreUnavailable
from tests.controller.buckets import Bucket, BucketStores
from tests.controller.desks import HOUR
from tests.controller.folders import names
from tests.controller.hours import Hours

OUT = parse_uri("b2://clips/out/")
MINUTE = 60.0


class Memory:
    """A laptop with an index, and a bucket with two inputs."""

    def __init__(self, desk: Desk, clock: Hours, path: Path) -> None:
        self.desk, self.path = desk, path
        self.stores = BucketStores(clock)
        self.bucket: Bucket = self.stores.bucket("clips")
        for name in ("a.mp4", "b.mp4"):
            self.bucket.objects[f"in/{name}"] = name.encode()

    @property
    def index(self) -> RemoteIndex:
        """The index, as one more process opens it."""
        return RemoteIndex(self.path)

    def plan(self, after_s: float = 0.0, **more: Any) -> Plan:
        """Plan copies of what lies there."""
        settings = Settings(inputs=("b2://clips/in/",), to=str(OUT), pipeline="copy", **more)
        self.bucket.asked.clear()
        return make_plan(settings, self.desk.ledger, self.stores, HOUR + after_s, index=self.index)

    def markers_listed(self) -> int:
        """Count the listings of markers since the last plan began."""
        return sum("/.framehaul/done" in asked for asked in self.bucket.asked)

    def mark(self, plan: Plan, *numbers: int) -> list[str]:
        """Put the markers of jobs into the bucket, as another laptop does."""
        made = [done_marker(plan.jobs[number].source.fingerprint, plan.params_digest) for number in numbers]
        for name in made:
            self.bucket.objects[f"out/{name}"] = b"{}"
        return made

    def publish(self, plan: Plan, number: int) -> None:
        """Put a marker there and note it, as this laptop does."""
        for name in self.mark(plan, number):
            remember_done(self.index, OUT, self.stores, name)


@pytest.fixture
def memory(desk: Desk, clock: Hours, tmp_path: Path) -> Iterator[Memory]:
    """A laptop that has not looked yet."""
    made = Memory(desk, clock, tmp_path / "index.sqlite")
    yield made
    made.stores.close()


def test_a_listing_is_good_for_a_quarter_of_an_hour(memory: Memory) -> None:
    """The plan says how old it is, and how to look anew; then it is listed again."""
    first = memory.plan()
    assert (names(first), first.remarks, memory.markers_listed()) == (["a.mp4", "b.mp4"], [], 1)
    memory.mark(first, 0)  # by another laptop

    remembered = memory.plan(REMEMBERED_S - MINUTE)
    assert (names(remembered), memory.markers_listed()) == (["a.mp4", "b.mp4"], 0)
    assert remembered.remarks == [
        "What is done already is known from a listing 14 minutes ago. To look anew: --refresh-remote-index"
    ]

    assert (names(memory.plan(REMEMBERED_S)), memory.markers_listed()) == (["b.mp4"], 1)


def test_a_listing_of_this_very_minute_is_not_worth_a_word(memory: Memory) -> None:
    """The run that follows its own plan says nothing of it; a minute later it does."""
    memory.plan()

    assert (memory.plan(MINUTE - 1).remarks, memory.markers_listed()) == ([], 0)
    assert "from a listing a minute ago" in memory.plan(MINUTE).remarks[0]


def test_whoever_asks_has_it_listed_anew(memory: Memory) -> None:
    """However fresh the last listing is; and the next plan has that one."""
    memory.mark(memory.plan(), 0)

    assert names(memory.plan(MINUTE, refresh_remote_index=True)) == ["b.mp4"]
    assert (names(memory.plan(2 * MINUTE)), memory.markers_listed()) == (["b.mp4"], 0)


def test_what_this_laptop_publishes_is_remembered_at_once(memory: Memory) -> None:
    """Or the next plan would do, and pay for, the same work again."""
    memory.publish(memory.plan(), 0)

    assert (names(memory.plan(MINUTE)), memory.markers_listed()) == (["b.mp4"], 0)


def test_nothing_left_to_do_is_never_said_from_memory(memory: Memory) -> None:
    """Somebody may have deleted the results: before that is said, the markers are listed."""
    plan = memory.plan()
    for number in (0, 1):
        memory.publish(plan, number)

    done = memory.plan(MINUTE)
    assert (names(done), len(done.done), memory.markers_listed(), done.remarks) == ([], 2, 1, [])

    for key in [key for key in memory.bucket.objects if key.startswith("out/")]:
        del memory.bucket.objects[key]
    assert names(memory.plan(2 * MINUTE)) == ["a.mp4", "b.mp4"]


def test_a_listing_that_fails_ends_the_plan_and_spares_the_last_one(memory: Memory) -> None:
    """A store that is down says nothing of what is done."""
    memory.publish(memory.plan(), 0)
    memory.bucket.fault("down")

    with pytest.raises(StoreUnavailable):
        memory.plan(REMEMBERED_S + MINUTE)

    memory.bucket.mend()
    assert names(memory.plan(MINUTE)) == ["b.mp4"]


@pytest.mark.parametrize("after", ["before", "since"])
def test_a_damaged_index_is_thrown_away_and_made_anew(memory: Memory, after: str) -> None:
    """With a sentence, and the right answer: it is only a copy."""
    memory.mark(memory.plan(), 0)
    memory.path.write_bytes(b"This is no database. " * 500 if after == "before" else b"")
    for suffix in ("-wal", "-shm"):
        memory.path.with_name(memory.path.name + suffix).unlink(missing_ok=True)

    plan = memory.plan(MINUTE)

    assert names(plan) == ["b.mp4"]
    said = ["The remote index was damaged; it was thrown away, and is made anew."]
    assert plan.remarks == (said if after == "before" else [])
    assert (names(memory.plan(2 * MINUTE)), memory.markers_listed()) == (["b.mp4"], 0)


def test_an_index_that_cannot_be_used_is_done_without(memory: Memory) -> None:
    """Such as where a folder lies in its place: the bucket is listed, each time."""
    memory.path.mkdir()

    plan = memory.plan()
    memory.mark(plan, 0)

    assert names(memory.plan(MINUTE)) == ["b.mp4"]
    assert plan.remarks[0].startswith("The remote index could not be used (")


def test_an_index_that_misses_a_marker_is_forgotten(memory: Memory) -> None:
    """Where a marker cannot be noted, rather everything is listed again than something done again."""
    memory.publish(memory.plan(), 0)
    with sqlite3.connect(memory.path) as db:
        db.execute("DROP TABLE markers")
    db.close()

    memory.publish(memory.plan(MINUTE, redo=True), 1)

    assert not memory.path.exists()


def test_folders_on_this_disk_are_always_looked_at(desk: Desk, tmp_path: Path) -> None:
    """To list them costs nothing: no index is made for them."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"a")
    index = RemoteIndex(tmp_path / "index.sqlite")
    settings = Settings(inputs=(str(tmp_path / "in"),), to=str(tmp_path / "out"), pipeline="copy")

    plan = make_plan(settings, desk.ledger, desk.stores, HOUR, index=index)
    remember_done(index, plan.target, desk.stores, done_marker("any", plan.params_digest))

    assert names(plan) == ["a.mp4"]
    assert not index.path.exists()
