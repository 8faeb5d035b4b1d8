"""Times are read as people write them."""

from __future__ import annotations

import pytest

from framehaul.pipelines.enhance.moments import seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90.0),
        (90.5, 90.5),
        ("90", 90.0),
        (" 0.25 ", 0.25),
        (".5", 0.5),
        ("1:30", 90.0),
        ("90:00", 5400.0),
        ("0:01:30.5", 90.5),
        ("10:00:00", 36000.0),
        ("10s", 10.0),
        ("2m", 120.0),
        ("2 M", 120.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("1h2m3s4ms", 3723.004),
        ("0", 0.0),
    ],
)
def test_a_time_has_many_spellings(written: object, seconds: float) -> None:
    """Seconds, clocks and units, with fractions."""
    assert seconds_of(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        *("", "soon", "1:75", "1:60:00", "1:2:3:4", "10x", "s", "1.2.3s", "1s2m", "1e9", "nan", "inf", "-", "1:30x"),
        *(float("nan"), float("inf"), True, None, [90]),
    ],
)
def test_what_is_no_time_is_a_sentence(written: object) -> None:
    """It says how a time is written."""
    with pytest.raises(ValueError, match=r"is no time; write seconds \(90 or 90.5\), a clock \(1:30"):
        seconds_of(written)


@pytest.mark.parametrize("written", [-1, -0.5, "-5"])
def test_a_time_before_the_video_is_a_sentence(written: object) -> None:
    """A time is not negative."""
    with pytest.raises(ValueError, match="lies before the video"):
        seconds_of(written)
