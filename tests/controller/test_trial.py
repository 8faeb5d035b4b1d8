"""Tries: the part that is done, and what it tells of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.errors import ConfigError
from controller.jobsheet import PlannedJobs
from controller.ledger import Job
from controller.trial import trial_settings, whole_from
from tests.controller.folders import Folder
from tests.controller.test_overview import job

SAMPLE = Path(__file__).parents[2] / "samples" / "clip.mp4"


def tried(**figures: object) -> Job:
    """Write a job that did a tenth of a clip: a second of loading, five of work."""
    return job(figures={"seconds": 6.0, "frames": 10, "fps": 2.0, "output_bytes": 1000, "work": 1.0} | figures)


@pytest.mark.parametrize(
    ("start_s", "part"),
    [(None, {"sample": 5.0}), (0.0, {"start": 0.0, "end": 5.0}), (60.0, {"start": 60.0, "end": 65.0})],
)
def test_a_try_takes_a_part_of_the_first_input(folder: Folder, start_s: float | None, part: dict[str, float]) -> None:
    """From the middle, or from where it is told; with a picture, into a folder of its own, whatever was done before."""
    folder.write("a.mp4", SAMPLE)
    folder.write("b.mp4", SAMPLE)
    settings = folder.settings(pipeline="enhance", params={"crf": 20, "sample": 1}, max_instances=9, exclude=("z*",))

    found = trial_settings(settings, folder.plan_videos(), to="/try/", seconds=5.0, start_s=start_s)

    assert [Path(text).name for text in found.inputs] == ["a.mp4"]
    assert found.params == {"crf": 20, **part}
    assert (found.to, found.preview, found.redo, found.max_instances, found.exclude) == ("/try/", True, True, 1, ())


def test_a_pipeline_without_parts_cannot_be_tried(folder: Folder) -> None:
    """It says what to do instead."""
    folder.write("a.bin")

    with pytest.raises(ConfigError, match="copy works on whole inputs only") as told:
        trial_settings(folder.settings(), folder.plan(), to="/try/", seconds=5.0, start_s=None)

    assert "--max-files 1" in told.value.advice


def test_work_scales_and_loading_does_not(folder: Folder) -> None:
    """A tenth took five seconds of work and one of loading: the whole takes 51, and ten times the bytes."""
    folder.write("a.mp4", SAMPLE)
    whole = folder.plan_videos()
    work = whole.jobs[0].work

    found = whole_from(tried(work=work / 10), whole, dollars_per_hour=3.6, machines=1)

    assert found is not None
    assert found.seconds == pytest.approx(51.0)
    assert (found.bytes, found.jobs) == (10_000, 1)
    assert found.dollars == pytest.approx(0.051)


def test_more_machines_take_less_time_and_no_less_money(folder: Folder) -> None:
    """Each loads once; a machine that would have no job is not counted."""
    folder.write("a.mp4", SAMPLE)
    whole = folder.plan_videos()
    whole = replace(whole, jobs=PlannedJobs.of([*whole.jobs] * 2))
    work = whole.jobs[0].work

    one = whole_from(tried(work=work / 10), whole, dollars_per_hour=3.6, machines=1)
    many = whole_from(tried(work=work / 10), whole, dollars_per_hour=3.6, machines=50)

    assert one is not None
    assert many is not None
    assert one.seconds == pytest.approx(101.0)
    assert many.seconds == pytest.approx(51.0)
    assert one.dollars == pytest.approx(0.101)
    assert many.dollars == pytest.approx(0.102)


def test_what_cannot_be_measured_is_not_guessed(folder: Folder) -> None:
    """No time, no work: no word about the whole. An unknown price leaves the time."""
    folder.write("a.mp4", SAMPLE)
    whole = folder.plan_videos()

    assert whole_from(tried(seconds=None), whole, dollars_per_hour=1.0, machines=1) is None
    assert whole_from(tried(work=0.0), whole, dollars_per_hour=1.0, machines=1) is None
    found = whole_from(tried(fps=None), whole, dollars_per_hour=None, machines=1)
    assert found is not None
    assert found.dollars is None
    assert found.seconds == pytest.approx(6.0 * whole.jobs[0].work)
