"""Patterns: what the shell would have listed, and names that only look like one."""

from __future__ import annotations

import pytest

from controller.demo import SAMPLE
from controller.inputs.patterns import fits, is_whole, is_within
from framehaul.errors import InputError
from tests.controller.folders import Folder, names, outputs, refusals

# -- what fits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a.mp4", "*.mp4", True),
        ("x/y/a.mp4", "*.mp4", True),
        ("a.mkv", "*.mp4", False),
        ("drafts/a.mp4", "drafts", True),
        ("x/drafts/a.mp4", "drafts/", True),
        ("draftsman/a.mp4", "drafts", False),
        ("x/a.mp4", "x/*.mp4", True),
        ("x/y/a.mp4", "x/*.mp4", False),
        ("x/y/a.mp4", "x/*", True),
        ("x/y/a.mp4", "x/**/*.mp4", True),
        ("x/a.mp4", "x/**/*.mp4", True),
        ("z/x/a.mp4", "x/*.mp4", False),
        ("z/x/a.mp4", "**/x/*.mp4", True),
        ("x/a.mp4", "/a.mp4", False),
        ("a.mp4", "/a.mp4", True),
        ("x/y/a.mp4", "**", True),
        ("clip1.mp4", "clip[0-9].mp4", True),
        ("clip1.mp4", "clip?.mp4", True),
        ("A.MP4", "*.mp4", False),
        ("cafe\u0301.mp4", "caf\u00e9.*", True),
        ("a.mp4", "[", False),
    ],
)
def test_a_pattern_fits_a_path_or_a_folder_above_it(path: str, pattern: str, expected: bool) -> None:
    """Without a slash it is held against every name on the way; `*` does not cross a slash, `**` does."""
    assert fits(path, pattern) is expected


def test_a_whole_path_is_more_than_a_folder_above_it() -> None:
    """What a shell lists is one or the other."""
    assert (is_whole("x/a", "x/*"), is_within("x/a", "x/*")) == (True, True)
    assert (is_whole("x/y/a", "x/*"), is_within("x/y/a", "x/*")) == (False, True)


def test_a_pattern_made_to_take_forever_does_not() -> None:
    """Every way of fitting it is counted once."""
    assert not is_whole("a/" * 500 + "b", "**/a/" * 100 + "c")


# -- inputs ----------------------------------------------------------------------------------------------------------


def some(folder: Folder) -> None:
    """Lay files of several kinds, two folders deep."""
    for name in ("a.mp4", "b.mkv", "x/c.mp4", "x/y/d.mp4", "x/.hidden/e.mp4", "notes.txt"):
        folder.write(name, name.encode())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["a.mp4"]),
        ("**/*.mp4", ["a.mp4", "x/c.mp4", "x/y/d.mp4"]),
        ("x/*.mp4", ["c.mp4"]),
        ("*/y", ["x/y/d.mp4"]),
        ("?.m[kp][4v]", ["a.mp4", "b.mkv"]),
        ("**", ["a.mp4", "b.mkv", "notes.txt", "x/c.mp4", "x/y/d.mp4"]),
    ],
)
def test_a_pattern_is_taken_without_the_shell(folder: Folder, pattern: str, expected: list[str]) -> None:
    """Results keep the folders below the part that is no pattern; hidden files are left out as a shell leaves them."""
    some(folder)

    assert names(folder.plan(f"{folder.inputs}/{pattern}")) == expected


def test_a_pattern_of_videos_takes_videos_and_what_it_spells_out(folder: Folder) -> None:
    """`*` leaves the notes beside a video alone; `*.txt` means them, and they are judged."""
    folder.write("a.mp4", SAMPLE)
    folder.write("notes.txt")

    assert names(folder.plan_videos(f"{folder.inputs}/*")) == ["a.mp4"]
    assert list(refusals(folder.plan_videos(f"{folder.inputs}/*.txt"))) == ["notes.txt"]


def test_a_name_that_looks_like_a_pattern_is_taken_as_it_is(folder: Folder) -> None:
    """When a file or folder is really called so, also within a longer pattern."""
    for name in ("clip [1].mp4", "clip 1.mp4", "what*.mp4", "whatever.mp4", "[2024]/a.mp4", "2/b.mp4"):
        folder.write(name, name.encode())

    assert names(folder.plan(folder.inputs / "clip [1].mp4")) == ["clip [1].mp4"]
    assert names(folder.plan(folder.inputs / "what*.mp4")) == ["what*.mp4"]
    assert names(folder.plan(folder.inputs / "[2024]")) == ["a.mp4"]
    assert names(folder.plan(f"{folder.inputs}/[2024]/*.mp4")) == ["a.mp4"]
    assert names(folder.plan(f"{folder.inputs}/[2]/*.mp4")) == ["2/b.mp4"]


def test_a_pattern_that_nothing_fits_is_an_error_of_the_request(folder: Folder) -> None:
    """As a name that leads nowhere is."""
    some(folder)

    with pytest.raises(InputError, match=r"Nothing fits the pattern '.*/\*\.mov'"):
        folder.plan(f"{folder.inputs}/*.mov")


def test_patterns_folders_and_files_may_be_mixed(folder: Folder) -> None:
    """In the order in which they were named, each file once, results of one name numbered."""
    some(folder)

    plan = folder.plan(folder.inputs / "x", f"{folder.inputs}/**/*.mp4", folder.inputs / "b.mkv", folder.inputs)

    assert names(plan) == ["c.mp4", "y/d.mp4", "a.mp4", "b.mkv", "notes.txt"]
    assert len(set(outputs(plan))) == 5


def test_the_same_order_every_time(folder: Folder) -> None:
    """By the bytes of the names, whatever the order in which the disk has them."""
    for name in ("b.mp4", "Z.mp4", "a/2.mp4", "a/10.mp4", "a.mp4", "é.mp4"):
        folder.write(name, name.encode())

    assert names(folder.plan()) == ["Z.mp4", "a.mp4", "a/10.mp4", "a/2.mp4", "b.mp4", "é.mp4"]
