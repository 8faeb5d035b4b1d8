"""A part of a video: what can be meant, where the middle is, and how many frames that will be."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import pytest

from framehaul.media.span import UNCUT, Cut, Span

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("start_s", "end_s", "sentence"),
    [
        (-0.1, None, "starts at 0 s or later, not at -0.1 s"),
        (math.nan, None, "starts at 0 s or later"),
        (math.inf, None, "starts at 0 s or later"),
        (2.0, 2.0, "ends after its start at 2 s, not at 2 s"),
        (2.0, 1.0, "ends after its start at 2 s, not at 1 s"),
        (0.0, math.nan, "ends after its start"),
    ],
)
def test_what_is_no_part_is_refused(start_s: float, end_s: float | None, sentence: str) -> None:
    """Before the start, backwards, empty, or no number."""
    with pytest.raises(ValueError, match=sentence):
        Span(start_s, end_s)


@pytest.mark.parametrize(
    ("length_s", "duration_s", "middle"),
    [
        (2, 10.0, Span(4, 6)),
        (10, 10.0, Span()),
        (12, 10.0, Span()),
        (2, None, Span(0, 2)),
    ],
    ids=["inside", "as-long", "longer", "unknown"],
)
def test_the_middle_is_as_far_from_both_ends(length_s: float, duration_s: float | None, middle: Span) -> None:
    """Where there is no room, all of it is meant; where nobody knows, the start."""
    assert Span.middle(length_s, duration_s) == middle


@pytest.mark.parametrize(
    ("span", "frames", "duration_s", "within"),
    [
        (Span(), 96, 4.0, 96),
        (Span(), 96, None, 96),
        (Span(), None, 4.0, None),
        (Span(1, 2), 96, 4.0, 24),
        (Span(1, 2), 96, None, None),
        (Span(1, 2), None, 4.0, None),
        (Span(3), 96, 4.0, 24),
        (Span(3, 9), 96, 4.0, 24),
        (Span(5), 96, 4.0, 0),
        (Span(0.05, 0.1), 96, 4.0, 1),
        (Span(0, 1 / 24), 96, 4.0, 1),
    ],
)
def test_frames_within_are_counted_for_the_plan(
    span: Span, frames: int | None, duration_s: float | None, within: int | None
) -> None:
    """Exactly where they are evenly spread, None where it cannot be told."""
    assert span.frames_within(frames, duration_s) == within


def test_a_cut_lies_on_the_ticks_of_the_file() -> None:
    """Seconds from the first picture become seconds of the file; a picture that mkv rounded down is still meant."""
    cut = Span(2 / 24, 1).cut(23, MS)  # the picture at 2/24 s is stored at 83 ms

    assert cut == Cut(Fraction(106, 1000), Fraction(1023, 1000))
    assert cut.origin_s == Fraction(106, 1000)
    assert [cut.is_before(ms * MS) for ms in (105, 106)] == [True, False]
    assert [cut.is_beyond(ms * MS) for ms in (1022, 1023)] == [False, True]


def test_what_starts_at_the_start_keeps_the_files_own_clock() -> None:
    """Sound before the first picture stays, and nothing is moved."""
    cut = Span(0, 1).cut(500, MS)

    assert (cut.start_s, cut.end_s, cut.origin_s) == (None, Fraction(3, 2), Fraction(0))
    assert Span().cut(500, MS) == UNCUT


def test_a_part_reads_as_one_says_it() -> None:
    """Its text fits into a sentence."""
    assert f"{Span(1.5, 3)}, {Span(2)}" == "from 1.5 s to 3 s, from 2 s to the end"


def test_planning_with_a_part_loads_no_codec() -> None:
    """The module needs nothing but the standard library."""
    check = "import sys, framehaul.media.span; assert not {'av', 'numpy', 'torch'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", check], check=True)
