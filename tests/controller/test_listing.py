"""The listing: what a run would look at, how long and how large it is, one file at a time."""

from __future__ import annotations

import pytest

from controller.demo import SAMPLE
from controller.inputs import SetAside
from controller.listing import Listed, Totals, list_videos
from framehaul.errors import InputError
from framehaul.storage.base import Stores
from tests.controller.desks import HOUR
from tests.controller.folders import Folder
from tests.emulators.files import FileServer


def listed(folder: Folder, *, probe: bool = True, **more: object) -> list[Listed]:
    """List the folder's videos."""
    return list(list_videos(folder.settings(**more), Stores(), HOUR, probe=probe))


def totals(found: list[Listed]) -> Totals:
    """Add up."""
    sums = Totals()
    for one in found:
        sums.add(one)
    return sums


def test_videos_are_listed_with_what_their_headers_say(folder: Folder) -> None:
    """And added up: how many, how long, how large, of which kinds; one that is no video says why."""
    for name in ("a.mp4", "x/b.mp4"):
        folder.write(name, SAMPLE)
    folder.write("text.mp4", b"This is no video. " * 100)
    folder.write("notes.txt")

    found = listed(folder)
    sums = totals(found)

    assert [one.name for one in found] == ["a.mp4", "text.mp4", "x/b.mp4"]
    assert "not a" in found[1].refused
    media = found[0].media
    assert media is not None
    assert (sums.files, sums.refused, sums.bytes) == (2, 1, 2 * SAMPLE.stat().st_size)
    assert sums.seconds == pytest.approx(2 * (media.duration_s or 0))
    assert sums.kinds == {("mp4", "h264"): 2}
    assert sums.as_json()["kinds"] == [{"container": "mp4", "codec": "h264", "files": 2}]
    assert (found[0].as_json()["video"]["codec"], found[1].as_json()["refused"]) == ("h264", found[1].refused)


def test_without_probing_nothing_of_the_files_is_read(folder: Folder) -> None:
    """Names and sizes are all; a file that is no video is not found out."""
    with FileServer(folder.inputs) as server, Stores() as stores:
        folder.write("a.mp4", b"no video")

        found = list(list_videos(folder.settings(f"{server.url}/a.mp4"), stores, HOUR, probe=False))

        assert {asked["method"] for asked in server.log()} == {"HEAD"}
    assert [(one.name, one.size, one.media, one.refused) for one in found] == [("a.mp4", 8, None, "")]
    assert "video" not in found[0].as_json()


def test_a_listing_is_a_stream(folder: Folder) -> None:
    """The first file is there before the last input was looked for."""
    folder.write("a.mp4", SAMPLE)

    found = list_videos(folder.settings(folder.inputs, folder.inputs / "missing.mp4"), Stores(), HOUR)

    assert next(found).name == "a.mp4"
    with pytest.raises(InputError, match="Nothing lies at"):
        next(found)


def test_the_selection_holds_for_a_listing_too(folder: Folder) -> None:
    """With the same words."""
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        folder.write(name, SAMPLE)
    aside = SetAside()

    found = list(list_videos(folder.settings(exclude=("a.*",), max_files=1), Stores(), HOUR, probe=False, aside=aside))

    assert [one.name for one in found] == ["b.mp4"]
    assert aside.sentences() == ["Set aside: 1 by --exclude.", "Stopped at --max-files 1; there may be more."]


def test_whoever_looks_into_the_output_folder_sees_the_results(folder: Folder) -> None:
    """Beside the inputs they are left out, as in a run."""
    folder.write("a.mp4", SAMPLE)
    folder.write("out/b.mp4", SAMPLE)
    folder.write("out/b.mp4.manifest.json")

    beside = listed(folder, to=str(folder.inputs / "out"), probe=False)
    inside = list(
        list_videos(folder.settings(folder.inputs / "out", to=str(folder.inputs / "out")), Stores(), HOUR, probe=False)
    )

    assert [one.name for one in beside] == ["a.mp4"]
    assert [one.name for one in inside] == ["b.mp4"]


@pytest.mark.parametrize("probe", [True, False])
def test_a_link_that_leads_nowhere_is_told_as_such(folder: Folder, probe: bool) -> None:
    """With what the disk says of it."""
    (folder.inputs / "nowhere.mp4").symlink_to("gone.mp4")

    (found,) = listed(folder, probe=probe)

    assert found.refused == "nothing is there: a broken link, or gone since the folder was read"


def test_a_name_that_could_lie_to_a_terminal_is_listed_as_refused(folder: Folder) -> None:
    """With a sentence that does not obey it."""
    folder.write("\x1b[31mred.mp4", SAMPLE)

    (found,) = listed(folder)

    assert found.refused.isprintable()
    assert found.uri.isprintable()
