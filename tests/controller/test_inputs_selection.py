"""The selection: include, exclude, newer than, at most; what it leaves out is counted and told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from controller.errors import ConfigError
from controller.inputs import Refusal, Selection, SetAside, find_sources
from controller.planning import plan_as_json
from framehaul.contract.pipeline import Takes
from framehaul.contract.uris import parse_uri
from framehaul.storage.base import Stores
from tests.controller.desks import HOUR
from tests.controller.folders import Folder, names
from tests.emulators.files import FileServer


def some(folder: Folder) -> None:
    """Lay five files, two folders deep."""
    for name in ("a.mp4", "b.mkv", "drafts/c.mp4", "x/d.mp4", "x/drafts/e.mp4"):
        folder.write(name, name.encode())


@pytest.mark.parametrize(
    ("chosen", "expected", "told"),
    [
        ({"include": ["*.mkv"]}, ["b.mkv"], "Set aside: 4 by --include."),
        ({"include": ["*.mkv", "x"]}, ["b.mkv", "x/d.mp4", "x/drafts/e.mp4"], "Set aside: 2 by --include."),
        ({"exclude": ["drafts"]}, ["a.mp4", "b.mkv", "x/d.mp4"], "Set aside: 2 by --exclude."),
        (
            {"include": ["*.mp4"], "exclude": ["x/**"]},
            ["a.mp4", "drafts/c.mp4"],
            "Set aside: 1 by --include, 2 by --ex",
        ),
        ({"exclude": ["*"]}, [], "Set aside: 5 by --exclude."),
    ],
)
def test_what_was_left_out_is_counted(folder: Folder, chosen: dict[str, Any], expected: list[str], told: str) -> None:
    """Patterns are held against the path below the folder that was named; nothing left is no error."""
    some(folder)

    plan = folder.plan(**chosen)

    assert names(plan) == expected
    assert plan.set_aside.sentences()[0].startswith(told)
    assert plan.set_aside.count == 5 - len(expected)


def test_a_file_that_was_named_outright_is_held_against_its_name(folder: Folder) -> None:
    """The shell may have listed it: who says --exclude means these too."""
    some(folder)

    assert names(folder.plan(folder.inputs / "a.mp4", folder.inputs / "b.mkv", exclude=("*.mkv",))) == ["a.mp4"]


def test_a_file_that_is_named_in_two_ways_is_counted_once(folder: Folder) -> None:
    """And taken when one of the ways fits."""
    some(folder)

    plan = folder.plan(folder.inputs, folder.inputs, folder.inputs / "x", include=("d.mp4",))
    other = folder.plan(folder.inputs, folder.inputs / "x", include=("/d.mp4",))

    assert (names(plan), plan.set_aside.not_included) == (["x/d.mp4"], 5)
    assert names(other) == ["d.mp4"]


@pytest.mark.parametrize("newer_than", ["2d", "2027-01-13T08:00:00+00:00", "@old"])
def test_older_files_are_left_out(folder: Folder, newer_than: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an age, a date, or the date of a file, which is not newer than itself."""
    monkeypatch.chdir(folder.inputs)
    for name, days in (("old", 2), ("a.mp4", 3), ("b.mp4", 2), ("c.mp4", 1)):
        when = HOUR - days * 86400
        os.utime(folder.write(name, name.encode()), (when, when))

    plan = folder.plan(newer_than=newer_than, include=("*.mp4",))

    assert names(plan) == ["c.mp4"]
    assert plan.set_aside.older == 2
    assert "2 not newer than 2027-01-1" in plan.set_aside.sentences()[0]


def test_a_file_without_a_date_is_taken_and_told(tmp_path: Path) -> None:
    """Nobody knows how old it is; leaving it out could lose it for good."""
    (tmp_path / "a.mp4").write_bytes(b"x")
    with FileServer(tmp_path) as server, Stores() as stores:
        server.fault("headers", set={"Last-Modified": None})
        aside = SetAside()
        selection = Selection(newer_than=HOUR)

        found = list(
            find_sources([f"{server.url}/a.mp4"], Takes(kind="any"), parse_uri("/out"), stores, selection, aside)
        )

    assert len(found) == 1
    assert not isinstance(found[0], Refusal)
    assert aside.sentences() == ["Taken without a date to judge by: 1."]


def test_the_date_of_a_web_file_is_its_server_s(tmp_path: Path) -> None:
    """From Last-Modified."""
    (tmp_path / "a.mp4").write_bytes(b"x")
    os.utime(tmp_path / "a.mp4", (HOUR, HOUR))
    with FileServer(tmp_path) as server, Stores() as stores:
        aside = SetAside()
        selection = Selection(newer_than=HOUR + 1)

        found = list(
            find_sources([f"{server.url}/a.mp4"], Takes(kind="any"), parse_uri("/out"), stores, selection, aside)
        )

    assert (found, aside.older) == ([], 1)


def test_a_file_for_its_date_must_be_there(folder: Folder) -> None:
    """A mistyped name must not mean: everything."""
    some(folder)

    with pytest.raises(ConfigError, match="newer_than: the date of 'gone' cannot be read"):
        folder.plan(newer_than="@gone")


def test_at_most_so_many_are_planned_and_the_next_run_goes_on(folder: Folder) -> None:
    """What is done uses none of the number up, so that a large folder can be worked through in portions."""
    some(folder)

    first = folder.plan(max_files=2)
    folder.finish(first)
    second = folder.plan(max_files=2)

    assert (names(first), names(second)) == (["a.mp4", "b.mkv"], ["drafts/c.mp4", "x/d.mp4"])
    assert first.set_aside.sentences() == ["Stopped at --max-files 2; there may be more."]
    assert folder.plan(max_files=9).set_aside.sentences() == []


def test_the_listing_stops_when_there_is_enough(folder: Folder) -> None:
    """A folder that cannot be listed to its end is no trouble to whoever wants its first file."""
    folder.write("a.mp4")

    plan = folder.plan(folder.inputs, folder.inputs / "missing.mp4", max_files=1)

    assert names(plan) == ["a.mp4"]


def test_machines_learn_what_was_left_out(folder: Folder) -> None:
    """As numbers."""
    some(folder)

    told = plan_as_json(folder.plan(exclude=("drafts",), max_files=1))["set_aside"]

    assert (told["excluded"], told["not_included"], told["older"], told["stopped_at"]) == (0, 0, 0, 1)
    assert plan_as_json(folder.plan(exclude=("drafts",)))["set_aside"]["excluded"] == 2
