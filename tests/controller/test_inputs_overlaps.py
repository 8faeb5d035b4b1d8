"""Inputs that overlap, and results that lie among inputs: each file once, and no result again."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import pytest

from controller.inputs.choice import may_meet, meeting
from controller.inputs.results import without_results
from framehaul.contract.uris import Uri, parse_uri
from framehaul.storage.base import Entry


def kept(*keys: str) -> set[str]:
    """Give what is left of a listing."""
    entries = [Entry(Uri("s3", "clips", key), 1, "x") for key in sorted(keys)]
    return {entry.uri.key for entry in without_results(entries)}


def test_a_result_is_told_by_the_manifest_beside_it() -> None:
    """Both are left out, and reports and previews; what merely begins alike stays."""
    result = "clip_result.mp4"

    found = kept("clip.mp4", result, f"{result}.manifest.json", f"{result}.preview.jpg", "results.json", f"{result}x")

    assert found == {"clip.mp4", f"{result}x"}


def test_names_between_a_result_and_its_manifest_change_nothing() -> None:
    """In byte order many names may come between them: all of them begin with the result's."""
    between = [f"clip!{number}" for number in range(50)] + [f"clip-{number}.mp4" for number in range(50)]

    assert kept("clip", *between, "clip.manifest.json") == set(between)
    assert kept("clip", *between) == {"clip", *between}


def test_results_whose_names_contain_each_other_are_all_found() -> None:
    """Also where one's manifest comes after the other's."""
    assert kept("a", "a.manifest.json", "a.mp4", "a.mp4.manifest.json", "ab") == {"ab"}
    assert kept("a", "a!", "a!.manifest.json", "a.manifest.json") == set()


def test_hardly_anything_is_held_back() -> None:
    """A listing is a stream: a file comes out once the next name is known."""
    read: list[int] = []

    def listing() -> Iterator[Entry]:
        for number in range(10_000):
            read.append(number)
            yield Entry(Uri("s3", "clips", f"{number:05}.mp4"), 1, "x")

    stream = without_results(listing())

    for number in range(100):
        assert next(stream).uri.key == f"{number:05}.mp4"
        assert len(read) <= number + 2


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("s3://clips/in/", "s3://clips/in/sub/", True),
        ("s3://clips/in/sub/a.mp4", "s3://clips/in", True),
        ("s3://clips/in/", "s3://clips/out/", False),
        ("s3://clips/in/", "s3://other/in/", False),
        ("s3://clips/in/", "b2://clips/in/", False),
        ("s3://clips/*/a.mp4", "s3://clips/in/", True),
        ("s3://clips/in/*.mp4", "s3://clips/out/*.mp4", False),
        ("s3://clips/", "s3://clips/in/", True),
    ],
)
def test_inputs_that_may_meet_are_told_by_their_names(one: str, other: str, *, meet: bool) -> None:
    """Only for those does anybody remember which file was taken; both ways round."""
    assert may_meet(parse_uri(one), parse_uri(other)) is meet
    assert may_meet(parse_uri(other), parse_uri(one)) is meet


def test_of_many_inputs_the_same_ones_meet_as_of_two() -> None:
    """Whatever stands between them in order: each is held against every other here."""
    draw = random.Random(1)
    names = ["a", "ab", "a-b", "b", "a*", "\u00e9"]
    for _ in range(300):
        named = [
            Uri(draw.choice(["s3", "b2"]), draw.choice(["clips", "other"]), "/".join(draw.choices(names, k=depth)))
            for depth in draw.choices([0, 1, 2, 3], k=draw.randrange(9))
        ]
        every = list(enumerate(named))

        assert meeting(named) == [any(may_meet(uri, other) for at, other in every if at != n) for n, uri in every]


def test_what_many_inputs_cost_grows_as_they_do() -> None:
    """A retry names each file of a batch by itself: twice as many take little more than twice the steps."""
    few, many = _steps(500), _steps(1000)

    assert many < 3 * few


def _steps(count: int) -> int:
    """Count the calls that it takes to hold so many inputs against each other."""
    named = [Uri("b2", "clips", f"in/clip{number}.mp4") for number in range(count)]
    steps = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "call"

    sys.setprofile(note)
    try:
        meeting(named)
    finally:
        sys.setprofile(None)
    return steps
