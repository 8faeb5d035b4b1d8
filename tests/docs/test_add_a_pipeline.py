"""docs/add-a-pipeline.md: its folder, laid into a copy of the tree, is found, planned, run and judged."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from tests.docs.checkouts import Checkout
from tests.docs.pages import DOCS, Page
from tests.media.clips import Picture
from tests.media.judge import Judge, sound_packets

pytestmark = pytest.mark.slow

PAGE = Page(DOCS / "add-a-pipeline.md")
GRADED = "clip_graded_*.mp4"


@dataclass(frozen=True)
class Typed:
    """The developer's tree after all commands of the page, and how each of them ended."""

    checkout: Checkout
    ended: dict[str, subprocess.CompletedProcess[str]]

    @property
    def sample(self) -> Path:
        """The video that was worked on."""
        return self.checkout.root / "samples" / "clip.mp4"

    def result(self, folder: str) -> Path:
        """Give the only result in a folder."""
        (found,) = (self.checkout.root / folder).glob(GRADED)
        return found


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """Write the page's files and type its commands, once for all claims."""
    checkout = Checkout.make(tmp_path_factory.mktemp("developer") / "framehaul")
    checkout.write(PAGE.files())
    yield Typed(checkout, {line: checkout.types(line) for line in PAGE.commands()})
    checkout.leave()


def _mean(path: Path) -> Picture:
    """Give the mean colour of a video's first picture, (3,) RGB."""
    with av.open(path) as opened:
        picture = next(opened.decode(video=0)).to_ndarray(format="rgb24")
    mean: Picture = np.rint(picture.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return mean


def test_every_command_of_the_page_ends_well(typed: Typed) -> None:
    """Plan, run, the short way and the tests: exit code 0, each of them."""
    assert len(typed.ended) == 4
    for line, done in typed.ended.items():
        assert done.returncode == 0, f"{line}\n{done.stdout}"


def test_without_saturation_every_picture_is_grey(typed: Typed, judge: Judge) -> None:
    """`agent run` with the preset `mono`: the colours are gone; pictures, their times and the sound are all there."""
    result = typed.result("grey")

    with av.open(result) as opened:
        spread = [int(np.ptp(frame.to_ndarray(format="rgb24"), axis=-1).max()) for frame in opened.decode(video=0)]
    assert len(spread) > 50
    assert max(spread) <= 8, "red, green and blue are one, up to what the encoder adds"
    assert judge.picture_times(result) == judge.picture_times(typed.sample)
    assert sound_packets(result) == sound_packets(typed.sample)


def test_the_curve_travels_and_bends_each_channel(typed: Typed) -> None:
    """The whole path with an asset: red is darkened most, blue least, as night.cube says; a picture lies beside."""
    result = typed.result("night")

    before, after = _mean(typed.sample).astype(float), _mean(result).astype(float)
    kept = after / before
    assert kept[0] < kept[1] < kept[2] < 1
    assert result.with_name(f"{result.name}.preview.jpg").stat().st_size > 0


def test_the_machine_learns_a_digest_and_no_path(typed: Typed) -> None:
    """The manifest names the curve by its sha256, and nothing of the laptop's folders."""
    result = typed.result("night")
    curve = typed.checkout.root / "night.cube"

    text = result.with_name(f"{result.name}.manifest.json").read_text()

    digest = hashlib.sha256(curve.read_bytes()).hexdigest()
    assert json.loads(text)["params"] == {"saturation": 1.0, "lut": f"sha256:{digest}"}
    assert {entry["slot"] for entry in json.loads(text)["inputs"]} == {"source", "lut"}
    assert str(typed.checkout.root) not in text


def test_the_same_curve_is_done_and_another_one_is_new_work(typed: Typed) -> None:
    """The marker is keyed by the curve's content, wherever the file lies."""
    again = "framehaul plan samples/clip.mp4 --pipeline grade --to night --json --param lut="
    root = typed.checkout.root
    (root / "moved.cube").write_bytes((root / "night.cube").read_bytes())
    (root / "dusk.cube").write_text((root / "night.cube").read_text().replace("0.5 0.7 0.9", "0.9 0.8 0.9"))

    same, other = (typed.checkout.types(f"{again}{name}") for name in ("moved.cube", "dusk.cube"))

    assert _planned(same) == (0, 1)
    assert _planned(other) == (1, 0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "curve.cube cannot be read: No such file or directory."),
        ("LUT_3D_SIZE 2\n0 0 0\n", "curve.cube is no one-dimensional .cube file."),
        ("LUT_1D_SIZE 3\n0 0 0\n1 1 1\n", "curve.cube announces 3 rows and has 2."),
    ],
    ids=["missing", "another kind", "cut off"],
)
def test_a_curve_that_is_none_is_refused_before_anything_is_rented(
    typed: Typed, content: str | None, sentence: str
) -> None:
    """A sentence and exit code 2, from the plan already."""
    curve = typed.checkout.root / "curve.cube"
    curve.unlink(missing_ok=True)
    if content is not None:
        curve.write_text(content)

    done = typed.checkout.types("framehaul plan samples/clip.mp4 --pipeline grade --param lut=curve.cube")

    assert done.returncode == 2
    assert sentence in done.stdout


def test_nothing_is_left_running(typed: Typed) -> None:
    """The last word of the run is true of the process table too."""
    (run,) = (done for line, done in typed.ended.items() if line.startswith("framehaul run"))

    assert "Nothing is running, nothing is billing." in run.stdout
    assert typed.checkout.processes() == []


def test_the_files_are_written_as_the_project_s_own(typed: Typed) -> None:
    """Style and format: what is copied from the page passes `make lint`."""
    assert typed.checkout.complaints_about(PAGE.files()) == ""


def _planned(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """Count the jobs that a plan would do, and those that are done."""
    assert done.returncode == 0, done.stdout
    plan = json.loads(done.stdout[done.stdout.index("{\n") :])
    return len(plan["jobs"]), len(plan["done"])
