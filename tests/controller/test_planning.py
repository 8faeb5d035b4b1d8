"""The plan: what is done, what is under way, what every result will be called; none of it costs a cent."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from controller.demo import SAMPLE
from controller.ledger.rows import WishWord
from controller.planning import plan_as_json, priced, write_batch
from controller.providers.base import Offer
from framehaul.contract.states import JobReason, JobState
from tests.controller.desks import HOUR
from tests.controller.folders import Folder, names, outputs, refusals
from tests.media.clips import ffmpeg

# -- done before -----------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(folder: Folder) -> None:
    """A marker beside the outputs decides, whatever the ledger of this laptop remembers."""
    folder.write("a.mp4")
    folder.write("b.mp4", b"other bytes")
    folder.finish(folder.plan(folder.inputs / "a.mp4"))

    plan = folder.plan()

    assert names(plan) == ["b.mp4"]
    assert [source.name for source in plan.done] == ["a.mp4"]


def test_done_is_decided_by_one_listing(folder: Folder) -> None:
    """By the names of the markers alone: they may be unreadable, and no output need be there."""
    for number in range(20):
        folder.write(f"{number:02}.mp4", f"bytes {number}".encode())
    folder.finish(folder.plan())
    for marker in (folder.outputs / ".framehaul" / "done").iterdir():
        marker.write_bytes(b"\xff no JSON")

    plan = folder.plan()

    assert (len(plan.jobs), len(plan.done)) == (0, 20)


def test_other_parameters_are_new_work(folder: Folder) -> None:
    """The marker stands for input and parameters together."""
    folder.write("a.mp4")
    folder.finish(folder.plan())

    assert names(folder.plan(params={"rate_bytes_s": 5})) == ["a.mp4"]
    assert names(folder.plan(params={})) == []


def test_defaults_spelled_out_are_no_new_work(folder: Folder) -> None:
    """What decides is what the parameters mean, not how they were written."""
    folder.write("a.mp4")
    folder.finish(folder.plan())

    assert names(folder.plan(params={"rate_bytes_s": None})) == []


def test_a_replaced_input_is_new_work(folder: Folder) -> None:
    """The same name with other bytes is another input, also where the size is the same."""
    path = folder.write("a.mp4", b"old bytes.")
    folder.finish(folder.plan())

    path.write_bytes(b"new bytes.")

    assert names(folder.plan()) == ["a.mp4"]


def test_a_renamed_input_is_no_new_work(folder: Folder) -> None:
    """The bytes were done, under whatever name."""
    path = folder.write("a.mp4")
    folder.finish(folder.plan())

    path.rename(folder.inputs / "b.mp4")

    plan = folder.plan()
    assert (names(plan), [source.name for source in plan.done]) == ([], ["b.mp4"])


def test_another_output_folder_is_new_work(folder: Folder) -> None:
    """Markers lie with the outputs that they speak of."""
    folder.write("a.mp4")
    folder.finish(folder.plan())

    assert names(folder.plan(to=str(folder.root / "elsewhere"))) == ["a.mp4"]


def test_redo_does_it_again(folder: Folder) -> None:
    """Whoever asks for it gets it."""
    folder.write("a.mp4")
    folder.finish(folder.plan())

    assert names(folder.plan(redo=True)) == ["a.mp4"]


# -- under way -------------------------------------------------------------------------------------------------------


def test_a_job_under_way_is_joined_and_not_planned_twice(folder: Folder) -> None:
    """A second `run` over the same folder does only what is new in it."""
    folder.write("a.mp4")
    batch_id = folder.write_down(folder.plan())
    folder.write("b.mp4", b"other bytes")

    plan = folder.plan(at=HOUR + 60)

    assert names(plan) == ["b.mp4"]
    assert [(source.name, job.batch_id) for source, job in plan.under_way] == [("a.mp4", batch_id)]


@pytest.mark.parametrize("end", [JobState.EXCLUDED, "closed"])
def test_a_job_that_is_over_is_planned_again(folder: Folder, end: str) -> None:
    """One that was excluded, or whose batch is closed, is not under way."""
    folder.write("a.mp4")
    batch_id = folder.write_down(folder.plan())
    if end == "closed":
        folder.desk.ledger.close_batch(batch_id)
    else:
        folder.desk.ledger.move_job(f"{batch_id}-00001", JobState.EXCLUDED, JobReason.REFUSED)

    assert names(folder.plan(at=HOUR + 60)) == ["a.mp4"]


def test_the_same_input_for_another_place_or_purpose_is_another_job(folder: Folder) -> None:
    """Under way is input, parameters and output folder together."""
    folder.write("a.mp4")
    folder.write_down(folder.plan())

    assert names(folder.plan(params={"rate_bytes_s": 5})) == ["a.mp4"]
    assert names(folder.plan(to=str(folder.root / "elsewhere"))) == ["a.mp4"]
    assert names(folder.plan(to=f"{folder.outputs}/")) == [], "a slash at the end is no other place"


# -- names -----------------------------------------------------------------------------------------------------------


def test_inputs_with_one_stem_get_results_of_different_names(folder: Folder) -> None:
    """clip.mp4 and clip.mkv, and a clip that is called like a numbered one, do not meet."""
    for number, name in enumerate(("clip.mp4", "clip.MP4", "clip_result_20270115_080000.mp4")):
        folder.write(name, f"bytes {number}".encode())
    folder.write("sub/clip.mp4", b"below")

    found = outputs(folder.plan())

    assert len(set(found)) == len(found) == 4


def test_inputs_of_one_name_from_two_folders_do_not_meet(folder: Folder) -> None:
    """Both results land in the output folder itself."""
    folder.write("one/clip.mp4", b"one")
    folder.write("two/clip.mp4", b"two")

    found = outputs(folder.plan(folder.inputs / "one", folder.inputs / "two"))

    assert found == ["clip_result_20270115_080000.mp4", "clip_result_20270115_080000_2.mp4"]


def test_an_input_that_is_named_twice_is_one_job(folder: Folder) -> None:
    """As a file, as part of its folder, in another spelling: nobody wants to pay for it twice."""
    path = folder.write("sub/a.mp4")

    plan = folder.plan(folder.inputs, path, path, folder.inputs / "sub", f"{folder.inputs}/./sub/../sub/a.mp4")

    assert names(plan) == ["sub/a.mp4"]


def test_nested_folders_are_kept(folder: Folder) -> None:
    """Results lie below the output folder as their inputs lie below the input folder."""
    for name in ("a.mp4", "x/b.mp4", "x/y/c.mp4"):
        folder.write(name, name.encode())

    plan = folder.plan()

    assert names(plan) == ["a.mp4", "x/b.mp4", "x/y/c.mp4"]
    assert [Path(found).parent.as_posix() for found in outputs(plan)] == [".", "x", "x/y"]


def test_a_retry_would_make_the_same_names(folder: Folder) -> None:
    """The hour in a name is the plan's, written into the ledger with the job."""
    folder.write("a.mp4")
    batch_id = folder.write_down(folder.plan())

    (job,) = folder.desk.ledger.jobs(batch_id=batch_id)

    assert job.outputs[0].name == "a_result_20270115_080000.mp4"
    assert job.manifest_name == "a_result_20270115_080000.mp4.manifest.json"


def test_results_whose_names_differ_in_capitals_alone_are_numbered(folder: Folder) -> None:
    """The disk that they are copied to may not know the difference; nor that of two spellings of an accent."""
    for number, name in enumerate(("clip.mp4", "CLIP.mp4", "caf\u00e9.mp4", "cafe\u0301.mp4")):
        folder.write(name, f"bytes {number}".encode())

    found = [unicodedata.normalize("NFC", name).casefold() for name in outputs(folder.plan())]

    assert len(set(found)) == len(found) == 4


# -- what it takes ---------------------------------------------------------------------------------------------------


def test_a_plan_spends_nothing_and_writes_nothing(folder: Folder) -> None:
    """Neither in the ledger nor where the outputs will go."""
    folder.write("a.mp4", SAMPLE)

    folder.plan_videos()

    assert folder.desk.ledger.batches() == []
    assert folder.desk.ledger.events() == []
    assert not folder.outputs.exists()


def test_the_disk_must_hold_the_two_largest_jobs(folder: Folder) -> None:
    """One runs, one waits with its input; and a gigabyte for the rest."""
    for number, size in enumerate((10, 3000, 2000)):
        folder.write(f"{number}.mp4", b"x" * size)

    assert folder.plan().disk_gb == pytest.approx(1 + 2 * 5000 / 1e9)


def test_time_is_unknown_until_something_was_done_and_then_goes_by_the_work(folder: Folder) -> None:
    """By what this pipeline took per unit of work on this cloud before."""
    folder.write("a.mp4", b"x" * 1000)
    plan = folder.plan()
    assert plan.seconds is None
    batch_id = folder.write_down(plan)
    folder.desk.ledger.note_job(f"{batch_id}-00001", figures={"work": 1e-6, "seconds": 4.0})
    folder.desk.ledger.close_batch(batch_id)
    folder.write("b.mp4", b"y" * 3000)

    assert folder.plan(folder.inputs / "b.mp4").seconds == pytest.approx(12.0)
    assert folder.plan(folder.inputs / "b.mp4", provider="elsewhere").seconds is None


def test_the_price_is_the_time_on_the_cheapest_machine(folder: Folder) -> None:
    """Nothing here; unknown while the time is, or where nothing is offered."""
    folder.write("a.mp4")
    unknown = folder.plan()
    known = replace(unknown, seconds=1800.0)
    here = Offer("this-machine", "this-machine", "this machine", 0.0)
    dear, cheap = (replace(here, dollars_per_hour=price) for price in (0.9, 0.4))

    assert (unknown.dollars, priced(unknown, [here]).dollars, priced(unknown, [cheap]).dollars) == (None, 0.0, None)
    assert priced(known, [dear, cheap]).dollars == pytest.approx(0.2)
    assert priced(known, []).dollars is None
    assert plan_as_json(priced(known, [here]))["dollars"] == 0.0


def test_each_job_s_time_is_known_once_one_was_done(folder: Folder) -> None:
    """In the plan, for machines, and in the ledger."""
    folder.write("a.mp4", b"x" * 1000)
    batch_id = folder.write_down(folder.plan())
    folder.desk.ledger.note_job(f"{batch_id}-00001", figures={"work": 1e-6, "seconds": 4.0})
    folder.desk.ledger.close_batch(batch_id)
    folder.write("b.mp4", b"y" * 3000)

    plan = folder.plan(folder.inputs / "b.mp4")
    again = folder.write_down(plan)

    assert plan.seconds_of(plan.jobs[0]) == pytest.approx(12.0)
    assert plan_as_json(plan)["jobs"][0]["estimate"]["seconds"] == pytest.approx(12.0)
    assert folder.desk.ledger.jobs(batch_id=again)[0].figures["estimate_s"] == pytest.approx(12.0)


def test_a_machine_must_have_what_any_of_the_jobs_needs(folder: Folder) -> None:
    """The most demanding job decides."""
    folder.write("a.mp4", SAMPLE)
    plan = folder.plan_videos()

    assert (plan.needs.gpu, plan.needs.disk_gb) == (plan.jobs[0].needs.gpu, plan.disk_gb)
    assert (plan.needs.vram_gb, plan.needs.memory_gb) == (plan.jobs[0].needs.vram_gb, plan.jobs[0].needs.memory_gb)


def test_a_clip_that_breaks_off_is_planned_where_the_pipeline_takes_it(folder: Folder, ffmpeg_program: str) -> None:
    """And how much of it is there is told; otherwise it is refused."""
    # With its index at the front, as the web likes it, a clip can be read as far as it goes.
    whole = folder.root / "whole.mp4"
    ffmpeg(ffmpeg_program, "-i", SAMPLE, "-c", "copy", "-movflags", "faststart", whole)
    folder.write("cut.mp4", whole.read_bytes()[: whole.stat().st_size * 3 // 4])

    refused, taken = folder.plan_videos(), folder.plan_videos(params={"allow_truncated": True})

    assert "breaks off" in refusals(refused)["cut.mp4"]
    (job,) = taken.jobs
    assert job.media is not None
    assert "breaks off" in job.media.shortfall
    assert plan_as_json(taken)["jobs"][0]["video"]["shortfall"] == job.media.shortfall


def test_a_video_s_frames_and_size_are_known_before_anything_is_rented(folder: Folder) -> None:
    """From its header."""
    folder.write("a.mp4", SAMPLE)

    (job,) = folder.plan_videos().jobs

    assert job.media is not None
    assert (job.media.container, job.media.video.codec) == ("mp4", "h264")
    assert job.estimate.frames == job.media.frames_estimate
    assert job.estimate.gflop > 0
    assert job.needs.gpu


# -- written down ----------------------------------------------------------------------------------------------------


def test_a_plan_that_is_written_down_is_a_wish_with_all_that_a_run_needs(folder: Folder) -> None:
    """Whoever carries it out needs neither the settings nor the command line any more."""
    for name in ("a.mp4", "x/b.mp4"):
        folder.write(name, name.encode())
    plan = folder.plan(max_instances=3)

    batch = write_batch(plan, folder.settings(max_instances=3, lease_hours=2), folder.desk.ledger)

    assert folder.desk.ledger.batches() == [batch]
    assert (batch.wish, batch.target, batch.provider) == (WishWord.RUN, f"file://{folder.outputs}", "local")
    assert (batch.options["max_instances"], batch.options["lease_hours"]) == (3, 2)
    assert batch.options["disk_gb"] == plan.disk_gb
    first, second = folder.desk.ledger.jobs()
    assert (first.state, first.name, first.folder, first.size) == (JobState.PLANNED, "a.mp4", "", 5)
    assert (second.name, second.folder, second.fingerprint[:7]) == ("b.mp4", "x/", "disk:7:")
    assert second.id == f"{batch.id}-00002"


def test_two_batches_of_one_second_do_not_meet(folder: Folder) -> None:
    """In the ledger, at least: their ids differ."""
    folder.write("a.mp4")
    plan = folder.plan()

    assert folder.write_down(plan) != folder.write_down(plan)


def test_a_plan_can_be_read_by_machines(folder: Folder) -> None:
    """Everything that the table shows, as JSON."""
    folder.write("good.mp4", SAMPLE)
    folder.write("empty.mp4", b"")

    told = plan_as_json(folder.plan_videos())

    assert [Path(job["input"]).name for job in told["jobs"]] == ["good.mp4"]
    assert told["jobs"][0]["outputs"] == {"result": "good_upscaled_20270115_080000.mp4"}
    assert told["jobs"][0]["video"]["codec"] == "h264"
    assert told["refused"][0]["why"] == "empty.mp4 is empty (0 bytes)."
    assert (told["pipeline"], told["provider"], told["seconds"]) == ("enhance", "local", None)
