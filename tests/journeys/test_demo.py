"""The demo: what a stranger sees first."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from controller.demo import SAMPLE
from tests.journeys.person import Person
from tests.media.judge import Judge, sound_packets


@pytest.mark.slow
def test_the_demo_upscales_the_sample_verified_and_leaves_nothing_running(person: Person, judge: Judge) -> None:
    """`framehaul demo`, twice: ×2, every frame and sound packet in its place, a picture beside it, nothing left."""
    ended = person.runs("demo")

    assert ended.code == 0, ended.text
    assert "1 of 1 result verified against the store" in ended.text
    assert "Nothing is running, nothing is billing." in ended.text
    assert person.agents() == []
    (folder,) = (person.home / "framehaul-demo").iterdir()
    (result,) = folder.glob("clip_upscaled_*.mp4")
    _is_the_sample_enlarged(judge, result)
    (picture,) = folder.glob("*.preview.jpg")
    assert str(picture) in ended.text
    with av.open(picture) as opened:
        assert opened.streams.video[0].width > judge.video(SAMPLE)["width"]
    (job,) = json.loads((folder / "results.json").read_text())["jobs"]
    assert job["fps"] > 0
    assert job["seconds"] > 0

    again = person.runs("demo")
    assert again.code == 0, again.text
    assert len(list((person.home / "framehaul-demo").iterdir())) == 2, "each run uses a fresh folder"


def _is_the_sample_enlarged(judge: Judge, result: Path) -> None:
    """Frame count, time stamps and sound equal the input's, judged by ffprobe and a full decode."""
    before, after = judge.video(SAMPLE), judge.video(result)
    assert (after["width"], after["height"]) == (2 * before["width"], 2 * before["height"])
    times = judge.picture_times(SAMPLE)
    assert judge.picture_times(result) == times
    assert len(times) > 50
    assert sound_packets(result) == sound_packets(SAMPLE)
    assert judge.colour(result) == judge.colour(SAMPLE)
