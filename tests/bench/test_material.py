"""The clips that are measured are made of the sample, and are what they are asked to be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bench.material import SAMPLE, make_clip, make_long_clip
from bench.page import Goal
from framehaul.media.decode import Decoder
from framehaul.media.probe import probe


def test_the_sample_itself_is_taken_where_it_fits() -> None:
    """Nothing is coded twice for the shipped network's case."""
    assert make_clip(Path("never-written.mp4"), (320, 180), 108) == SAMPLE


def test_a_clip_of_another_size_keeps_the_sound(tmp_path: Path) -> None:
    """320×240 as asked, five pictures, with the sample's sound track."""
    made = probe(make_clip(tmp_path / "clip.mp4", (320, 240), 5))

    assert (made.video.width, made.video.height, made.video.frames) == (320, 240, 5)
    assert [sound.codec for sound in made.audio] == ["aac"]


def test_a_long_clip_is_whole_repetitions(tmp_path: Path) -> None:
    """Our own decoder, which counts pictures against packets, finds each of them, evenly spaced."""
    path = make_long_clip(tmp_path / "long.mp4", (64, 36), 250)

    with Decoder(path) as decoder:
        ticks = [frame.pts for frame in decoder]

    assert len(ticks) == 324  # three times 108
    assert {later - earlier for earlier, later in pairwise(ticks)} == {512}
    assert decoder.nudged == 0


@pytest.mark.parametrize(("value", "at_most", "met"), [(1.14, True, True), (1.16, True, False), (0.9, False, True)])
def test_goals_know_their_side(value: float, at_most: bool, met: bool) -> None:
    """A ratio of costs must stay below its limit, an efficiency above."""
    assert Goal("some", value, 1.15 if at_most else 0.87, at_most).met is met
