"""From inputs to jobs: several are looked into at once, in order, no more than asked for; the others are reckoned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.demo import SAMPLE
from controller.likeness import Likeness
from controller.settling import AT_ONCE
from framehaul.contract.pipeline import Estimate, Needs
from framehaul.contract.uris import Uri
from framehaul.storage.base import Stores
from framehaul.storage.local import LocalStore
from tests.controller.folders import Folder, names, refusals
from tests.controller.shelves import CountingShelf


class Waiting(LocalStore):
    """The disk; nobody who reads an object gets it before so many are reading."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(together)
        self._seen: set[str] = set()

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Wait for the others at the first byte, and read."""
        if str(uri) not in self._seen:
            self._seen.add(str(uri))
            self._barrier.wait(60)
        return super().get(uri, start, end)


class OneStore(Stores):
    """Stores of which every address is in one."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__()
        self.store = store

    def open(self, uri: Uri) -> LocalStore:
        """Give it."""
        return self.store


def test_headers_are_read_at_once_and_jobs_stay_in_order(folder: Folder) -> None:
    """All sixteen wait for each other here: read one after another, the first would wait for ever."""
    wanted = [f"{number:02}.mp4" for number in range(AT_ONCE)]
    for name in wanted:
        folder.write(name, SAMPLE)

    plan = folder.plan_videos(stores=OneStore(Waiting(AT_ONCE)))

    assert names(plan) == wanted
    assert all(job.media is not None for job in plan.jobs)


def test_no_more_is_read_than_is_wanted(folder: Folder) -> None:
    """Whoever wants two jobs of thirty has two headers read, and one more for one that was refused."""
    folder.write("00.mp4", b"no video" * 1000)
    for number in range(1, 30):
        folder.write(f"{number:02}.mp4", SAMPLE)
    shelf = CountingShelf()

    plan = folder.plan_videos(stores=OneStore(shelf), max_files=2)

    assert names(plan) == ["01.mp4", "02.mp4"]
    assert list(refusals(plan)) == ["00.mp4"]
    assert {Path(uri).name for uri in shelf.opened} == {"00.mp4", "01.mp4", "02.mp4"}


def test_what_is_not_looked_into_is_reckoned_by_its_size(folder: Folder) -> None:
    """As much work a byte as those that were; judged by its name alone; and the plan says so."""
    for name in ("a.mp4", "b.mp4"):
        folder.write(name, SAMPLE)
    folder.write("c.mp4", SAMPLE.read_bytes() * 3)
    folder.write("d.avi", SAMPLE)
    folder.write("e.mp4", b"")

    plan = folder.plan_videos(probe_files=2)

    assert names(plan) == ["a.mp4", "b.mp4", "c.mp4"]
    seen, unseen = plan.jobs[0], plan.jobs[2]
    assert unseen.media is None
    assert unseen.estimate.frames is None
    assert unseen.estimate.gflop == pytest.approx(3 * seen.estimate.gflop)
    assert unseen.needs.vram_gb == seen.needs.vram_gb
    assert unseen.needs.disk_gb == pytest.approx(3 * seen.needs.disk_gb)
    assert set(refusals(plan)) == {"d.avi", "e.mp4"}
    assert plan.remarks == [
        "1 of the inputs were not looked into (probe_files is 2): what they take is reckoned by their size from the 2"
        " that were, and each is judged at its machine."
    ]


def test_where_nothing_is_looked_into_the_pipeline_s_own_word_stands(folder: Folder) -> None:
    """No work is known then, and no frame's size."""
    folder.write("a.mp4", SAMPLE)

    plan = folder.plan_videos(probe_files=0)

    assert (names(plan), plan.jobs[0].estimate.gflop, plan.needs.vram_gb) == (["a.mp4"], 0.0, 0.0)
    assert plan.needs.gpu
    assert "what their kind takes at most" in plan.remarks[0]


def test_an_input_of_unknown_size_teaches_nothing() -> None:
    """And nothing is reckoned of one."""
    likeness = Likeness()
    likeness.learn(None, Needs(disk_gb=9.0), Estimate(gflop=9.0))
    assert likeness.inputs == 0
    assert likeness.needs(Needs(disk_gb=1.0), 5) == Needs(disk_gb=1.0)

    likeness.learn(10, Needs(disk_gb=2.0, memory_gb=4.0), Estimate(gflop=30.0, output_bytes=20))
    likeness.learn(10, Needs(disk_gb=1.0, vram_gb=3.0), Estimate(gflop=10.0, output_bytes=20))
    assert likeness.needs(Needs(gpu=True), 5) == Needs(gpu=True, vram_gb=3.0, disk_gb=1.0, memory_gb=4.0)
    assert likeness.estimate(Estimate(frames=7), 5) == Estimate(gflop=10.0, output_bytes=10)
    assert likeness.needs(Needs(), None) == Needs()
