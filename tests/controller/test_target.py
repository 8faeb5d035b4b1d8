"""The place where results go: refused in time, and untouched by a plan."""

from __future__ import annotations

import pytest

from controller.errors import ConfigError
from controller.target import check_target, judge_folder
from framehaul.contract.uris import Uri
from framehaul.storage.base import Stores
from tests.controller.folders import Folder


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_file_where_the_output_folder_should_be_is_refused(folder: Folder, below: str) -> None:
    """Before anything is done, and without writing."""
    folder.write("a.mp4")
    path = folder.root / "notes.txt"
    path.write_text("mine")

    with pytest.raises(ConfigError, match=r"a file lies at '.*notes\.txt'\. Name another folder with --to"):
        folder.plan(to=f"{path}{below}")

    assert path.read_text() == "mine"


def test_where_nothing_is_to_be_done_nothing_need_be_writable(folder: Folder) -> None:
    """Then nobody asks for the place."""
    folder.write("a.mp4")
    path = folder.root / "notes.txt"
    path.write_text("mine")

    assert not folder.plan(exclude=("*",), to=str(path)).jobs


def test_results_cannot_be_put_on_a_web_server(folder: Folder) -> None:
    """Said without what may be secret in the address."""
    folder.write("a.mp4")

    with pytest.raises(ConfigError, match=r"on a web server: https://example\.com/out\. Name another") as told:
        folder.plan(to="https://me:hush@example.com/out?token=hush")

    assert "hush" not in str(told.value)


def test_a_plan_does_not_make_the_output_folder(folder: Folder) -> None:
    """It looks at the folder above, in which it would be made; the check before a run writes."""
    folder.write("a.mp4")

    plan = folder.plan(to=str(folder.root / "new" / "out"))
    assert not (folder.root / "new").exists()

    check_target(plan.target, Stores())
    assert (folder.root / "new" / "out").is_dir()


@pytest.mark.parametrize(("scheme", "most"), [("b2", 1024), ("s3", 1024), ("file", 4095)])
def test_a_folder_whose_markers_would_have_too_long_a_name_is_refused_at_once(scheme: str, most: int) -> None:
    """Not after the work, when its marker cannot be written. Umlauts count as they are stored."""
    judge_folder(Uri(scheme, "clips", f"/{'ü' * ((most - 110) // 2)}/"))

    with pytest.raises(ConfigError, match=f"the store would need .* of {most}. Name another folder with --to"):
        judge_folder(Uri(scheme, "clips", f"/{'ü' * ((most - 90) // 2)}/"))
