"""Inputs: what counts as one, and why another one is refused without stopping the rest."""

from __future__ import annotations

import os

import pytest

from controller.demo import SAMPLE
from controller.terminal.words import plain
from framehaul.errors import BadParams, InputError
from tests.controller.folders import Folder, names, outputs, refusals

# -- what is no input ------------------------------------------------------------------------------------------------


def test_hidden_files_are_no_inputs(folder: Folder) -> None:
    """Nor is what lies in hidden folders, such as those that file managers make."""
    for name in (".hidden.mp4", "._a.mp4", ".cache/a.mp4", "x/.thumbs/b.mp4", "shown.mp4"):
        folder.write(name, name.encode())

    assert names(folder.plan()) == ["shown.mp4"]


def test_a_hidden_file_that_is_named_outright_is_an_input(folder: Folder) -> None:
    """Who names it means it; and a hidden folder that is named is walked."""
    path = folder.write(".hidden.mp4", b"one")
    folder.write(".cache/a.mp4", b"two")

    assert names(folder.plan(path, folder.inputs / ".cache")) == [".hidden.mp4", "a.mp4"]


@pytest.mark.parametrize("out", ["in/out", "in/x/y", "in/.results"])
def test_what_lies_in_the_output_folder_is_no_input(folder: Folder, out: str) -> None:
    """Else a second run would work on the results of the first."""
    folder.write("a.mp4")
    folder.write(f"{out}/a_result.mp4".removeprefix("in/"), b"a result")

    assert names(folder.plan(to=str(folder.root / out))) == ["a.mp4"]


def test_a_folder_beside_the_output_folder_is_not_taken_for_it(folder: Folder) -> None:
    """`in/out2` does not lie in `in/out`."""
    folder.write("out2/a.mp4")

    assert names(folder.plan(to=str(folder.inputs / "out"))) == ["out2/a.mp4"]


def test_of_a_folder_only_videos_are_taken(folder: Folder) -> None:
    """For a pipeline that takes videos; a file that is named outright is judged by what it holds."""
    folder.write("a.mp4", SAMPLE)
    folder.write("notes.txt")
    folder.write("cover.jpg")

    assert names(folder.plan_videos()) == ["a.mp4"]
    assert list(refusals(folder.plan_videos(folder.inputs / "notes.txt"))) == ["notes.txt"]


# -- refused ---------------------------------------------------------------------------------------------------------


def test_an_input_that_cannot_be_worked_on_is_refused_with_a_sentence(folder: Folder) -> None:
    """Each says what is wrong with which file; the good one among them is planned."""
    folder.write("good.mp4", SAMPLE)
    folder.write("empty.mp4", b"")
    folder.write("text.mp4", b"This is no video, whatever it is called. " * 100)
    folder.write("cut.mp4", SAMPLE.read_bytes()[:5000])
    folder.write("odd.avi", SAMPLE)
    folder.write("noise.mkv", os.urandom(4096))

    plan = folder.plan_videos()

    assert names(plan) == ["good.mp4"]
    told = refusals(plan)
    assert told["empty.mp4"] == "empty.mp4 is empty (0 bytes)."
    assert told["text.mp4"].startswith("text.mp4 is not a")
    assert "breaks off" in told["cut.mp4"]
    assert told["odd.avi"].startswith("odd.avi: this version reads .mp4, ")
    assert "noise.mkv" in told["noise.mkv"]
    assert all(sentence.endswith(".") and str(folder.root) not in sentence for sentence in told.values())


HOSTILE = ["two\nlines.mp4", "\x1b[31mred\x1b[0m.mp4", "bell\x07.mp4", os.fsdecode(b"not-utf8-\xff.mp4")]


@pytest.mark.parametrize("name", HOSTILE, ids=["newline", "ansi", "bell", "not-utf8"])
def test_a_name_that_could_lie_to_a_terminal_is_refused(folder: Folder, name: str) -> None:
    """The others are planned; the sentence shows the name without obeying it."""
    folder.write(name)
    folder.write("good.mp4", b"good bytes")

    plan = folder.plan()

    assert names(plan) == ["good.mp4"]
    (refusal,) = plan.refused
    assert refusal.why
    assert refusal.why.isprintable()
    assert refusal.uri.isprintable()


@pytest.mark.parametrize("name", HOSTILE, ids=["newline", "ansi", "bell", "not-utf8"])
def test_a_folder_whose_name_could_lie_is_refused_with_what_lies_in_it(folder: Folder, name: str) -> None:
    """Its name would become a folder of the results."""
    folder.write(f"{name}/a.mp4")
    folder.write("good.mp4", b"good bytes")

    plan = folder.plan()

    assert names(plan) == ["good.mp4"]
    assert all(refusal.why.isprintable() and refusal.uri.isprintable() for refusal in plan.refused)


@pytest.mark.parametrize("name", HOSTILE, ids=["newline", "ansi", "bell", "not-utf8"])
def test_a_wrong_name_is_told_without_obeying_it(folder: Folder, name: str) -> None:
    """What ends on a terminal has passed through `plain`."""
    folder.write("a.mp4")

    with pytest.raises(InputError, match=r"Nothing (lies at|fits the pattern)") as told:
        folder.plan(folder.inputs / name)

    assert plain(str(told.value)).isprintable()


FRIENDLY = [
    "with space.mp4",
    'quote\'s "double".mp4',
    "Кошка на крыше.mp4",
    "100%.mp4",
    "a?#&=.mp4",
    "🎬.mp4",
    "-rf.mp4",
]


def test_names_of_all_kinds_are_planned(folder: Folder) -> None:
    """Found in a folder or named outright; the result is called after them."""
    for name in FRIENDLY:
        folder.write(name, name.encode())

    assert sorted(names(folder.plan())) == sorted(FRIENDLY)
    plan = folder.plan(*(folder.inputs / name for name in FRIENDLY))
    assert names(plan) == FRIENDLY
    assert all(out.startswith(name.removesuffix(".mp4")) for out, name in zip(outputs(plan), FRIENDLY, strict=True))


def test_a_file_that_cannot_be_read_does_not_stop_the_others(folder: Folder) -> None:
    """A link that leads to itself, and one that leads nowhere: refused each, with what the disk said."""
    folder.write("good.mp4")
    (folder.inputs / "loop.mp4").symlink_to("loop.mp4")
    (folder.inputs / "nowhere.mp4").symlink_to("gone.mp4")

    plan = folder.plan()

    assert names(plan) == ["good.mp4"]
    assert sorted(refusals(plan)) == ["loop.mp4", "nowhere.mp4"]
    assert all(refusals(plan).values())


def test_an_input_that_leads_nowhere_is_an_error_of_the_request(folder: Folder) -> None:
    """A mistyped name stops everything: who says three names wants three."""
    folder.write("a.mp4")

    with pytest.raises(InputError, match=r"Nothing lies at .*missing\.mp4"):
        folder.plan(folder.inputs / "a.mp4", folder.inputs / "missing.mp4")


def test_a_folder_without_any_video_says_what_was_looked_for(folder: Folder) -> None:
    """And is no success with nothing to do."""
    folder.write("notes.txt")

    with pytest.raises(InputError, match="There is no video in") as told:
        folder.plan_videos()

    assert ".mkv" in told.value.advice


def test_parameters_are_judged_before_anything_is_read(folder: Folder) -> None:
    """Also where there is no input at all."""
    with pytest.raises(BadParams, match="crf"):
        folder.plan_videos(folder.inputs / "missing.mp4", params={"crf": 99})
