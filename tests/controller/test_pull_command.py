"""The command that brings results home, as a person types it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from controller.errors import ExitCode
from controller.ledger import Ledger
from controller.pulling import Found
from controller.terminal.pulled import progress
from framehaul.clock import SystemClock
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri
from tests.controller.desks import HOUR, a_batch, a_job_row
from tests.controller.trophies import Trophies, entry_for, files_in, noise
from tests.controller.typist import Typist
from tests.emulators.s3_faults import S3Faults
from tests.rclone import KEY_ID, SECRET, Rclone


@pytest.fixture
def trophies(typist: Typist) -> Trophies:
    """An output folder beside the person."""
    return Trophies(typist.home / "out")


def remember(typist: Typist, batch_id: str, target: str, *receipts: Receipt, at: float = HOUR) -> None:
    """Write a batch whose jobs are published, but for a last one that still runs."""
    typist.state.mkdir(exist_ok=True)
    ledger = Ledger(typist.state / "ledger.sqlite", SystemClock())
    rows = [
        a_job_row(
            batch_id,
            number,
            state=JobState.PUBLISHED,
            folder="deep/",
            attempt=1,
            receipt=receipt.model_dump(mode="json"),
        )
        for number, receipt in enumerate(receipts, 1)
    ]
    ledger.add_batch(
        a_batch(batch_id, target=target, created_at=at), [*rows, a_job_row(batch_id, len(rows) + 1, receipt=None)]
    )
    ledger.close()


def test_the_latest_batch_comes_home_with_its_folders(typist: Typist, trophies: Trophies) -> None:
    """A second time nothing is fetched; what is not done yet is said."""
    receipt = trophies.leaves("deep/", {"a.mp4": noise(2500), "a.mp4.manifest.json": b"{}"})
    remember(typist, "b-old", "file:///nowhere/")
    remember(typist, "b-new", f"{trophies.root}/", receipt, at=HOUR + 5)

    first, second = typist.types("pull", "--into", "home"), typist.types("pull", "--into", "home")

    assert (first.code, second.code) == (0, 0)
    assert files_in(typist.home / "home") == {"deep/a.mp4": noise(2500), "deep/a.mp4.manifest.json": b"{}"}
    assert f"{typist.home}/home/deep/a.mp4: fetched (2.5 kB)" in first.out
    assert "1 job of b-new not done yet" in first.out
    assert f"2 files: 2 fetched (2.5 kB); into {typist.home}/home." in first.out
    assert "2 files: 2 here already (0 B)" in second.out


def test_a_batch_is_named_by_the_end_of_its_id(typist: Typist, trophies: Trophies) -> None:
    """One that nobody knows is a mistake with the nearest names; one without results is told."""
    remember(typist, "b-20260101-ab12", f"{trophies.root}/")

    told, wrong = typist.types("pull", "ab12"), typist.types("pull", "zz")

    assert (told.code, "Nothing is published there yet: b-20260101-ab12." in told.out) == (0, True)
    assert (wrong.code, "b-20260101-ab12" in wrong.err) == (ExitCode.USAGE, True)


def test_an_address_needs_no_ledger(typist: Typist, trophies: Trophies) -> None:
    """Another laptop's results, by the markers alone; for machines as one document, and rehearsed."""
    trophies.leaves("x/", {"a.mp4": noise(2500), "m.json": b"{}"})

    rehearsed = typist.types("pull", "out/", "--into", "home", "--dry-run", "--json")
    told = typist.types("pull", "out/", "--into", "home", "--no-manifests", "--json")

    assert [file["state"] for file in rehearsed.document["files"]] == ["wanted", "wanted"]
    (file,) = told.document["files"]
    assert (file["state"], file["size"], file["path"]) == ("fetched", 2500, f"{typist.home}/home/x/a.mp4")
    assert files_in(typist.home / "home") == {"x/a.mp4": noise(2500)}


def test_a_file_in_the_way_is_exit_code_1_and_the_rest_comes_home(typist: Typist, trophies: Trophies) -> None:
    """Only --replace replaces it."""
    trophies.leaves("", {"a.mp4": b"film", "m.json": b"{}"})
    (typist.home / "home").mkdir()
    (typist.home / "home" / "a.mp4").write_bytes(b"mine")

    told = typist.types("pull", "./out", "--into", "home", "-q")

    assert told.code == ExitCode.SOME_FAILED
    assert "a.mp4: FAILED: Something else lies at" in told.out
    assert files_in(typist.home / "home") == {"a.mp4": b"mine", "m.json": b"{}"}
    assert typist.types("pull", "./out", "--into", "home", "--replace").code == 0
    assert (typist.home / "home" / "a.mp4").read_bytes() == b"film"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["pull"], "The ledger holds no batch. Say where the results are"),
        (["pull", "out/", "--into", "b2://clips/"], "Results are pulled into a folder here"),
        (["pull", "https://example.com/out/"], "on a web server"),
        (["pull", "b3://clips/out/"], "Did you mean b2://?"),
    ],
)
def test_a_slip_is_told(typist: Typist, words: list[str], hint: str) -> None:
    """With what to say instead."""
    told = typist.types(*words)

    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert hint in told.err


def test_a_place_without_markers_is_told(typist: Typist) -> None:
    """It may be the wrong folder."""
    (typist.home / "videos").mkdir()

    told = typist.types("pull", "videos/")

    assert told.code == 0
    assert "There is no done-marker below file://" in told.out


def test_a_long_way_is_told_now_and_then() -> None:
    """A line every ten seconds of the clock, and none for what is quick."""
    written, hours = io.StringIO(), iter([0.0, 4.0, 11.0, 12.0, 30.0])
    found = Found(entry_for("result", "a.mp4", noise(2500)), "x/", Uri("b2", "clips", "out/x/a.mp4"))

    with progress(Console(file=written, width=100), lambda: next(hours), talks=True) as hearer:
        hear = hearer(found)
        for done in (100, 1000, 1100, 2400):
            hear(done)

    assert written.getvalue().splitlines() == ["x/a.mp4: 1.0 kB of 2.5 kB", "x/a.mp4: 2.4 kB of 2.5 kB"]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Trophies, S3Faults]]:
    """A bucket of a real server, and what can be broken before it; .env has the account."""
    with (
        Rclone(tmp_path / "store", keys=None) as server,
        S3Faults(server.endpoint, keys={KEY_ID: SECRET}, region="us-east-1") as proxy,
    ):
        account = {"B2_KEY": KEY_ID, "B2_SECRET": SECRET, "B2_ENDPOINT": proxy.endpoint}
        for name, value in account.items():
            monkeypatch.setenv(name, value)
        yield Trophies(server.bucket("clips") / "out"), proxy


def test_results_come_home_from_a_bucket_whatever_breaks_on_the_way(
    typist: Typist, bucket: tuple[Trophies, S3Faults]
) -> None:
    """Connections cut in the middle of a body: no byte is lost, none is fetched by the laptop's own guess."""
    trophies, proxy = bucket
    trophies.leaves("x y/", {"ä b.mp4": noise(3 << 20), "m.json": b"{}"})
    proxy.fault("cut", bytes=1_000_003, operation="GetObject", key="mp4", times=2)

    told = typist.types("pull", "b2://clips/out/", "--into", "home")

    assert told.code == 0, told.out + told.err
    assert files_in(typist.home / "home") == {"x y/ä b.mp4": noise(3 << 20), "x y/m.json": b"{}"}
    assert len(proxy.log(operation="GetObject", key="out/x y/ä b.mp4")) == 3


def test_an_account_that_may_not_read_is_told_in_a_sentence(typist: Typist, bucket: tuple[Trophies, S3Faults]) -> None:
    """Nothing is placed; a wrong key is a mistake of the settings."""
    trophies, proxy = bucket
    trophies.leaves("", {"a.mp4": b"film"})
    proxy.fault("deny", operation="GetObject")

    told = typist.types("pull", "b2://clips/out/", "--into", "home")
    assert (told.code, "readFiles" in told.out + told.err) == (ExitCode.SOME_FAILED, True)
    assert not (typist.home / "home").exists()

    proxy.fault("deny", operation="ListObjectsV2")
    assert typist.types("pull", "b2://clips/out/").code == ExitCode.USAGE


@pytest.mark.slow
def test_ctrl_c_leaves_a_half_that_the_same_command_goes_on_with(
    typist: Typist, bucket: tuple[Trophies, S3Faults]
) -> None:
    """In the middle of a body, in a process of its own: exit code 130, a sentence, and no byte fetched twice."""
    trophies, proxy = bucket
    trophies.leaves("", {"a.mp4": noise(3 << 20)})
    held = proxy.fault("stall", bytes=2_000_000, operation="GetObject", key="mp4")
    assert held is not None
    words = ["pull", "b2://clips/out/", "--into", "home", "--state", str(typist.state)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    process = subprocess.Popen(
        [sys.executable, "-m", "controller", *words],
        cwd=typist.home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert held.struck.wait(60)
        (part,) = _when_it_holds(typist.home / "home" / ".framehaul" / "parts", 1 << 20)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)

    assert (process.returncode, "Interrupted; the same command goes on with the rest." in told) == (130, True), told
    assert not (typist.home / "home" / "a.mp4").exists()
    had = part.stat().st_size
    proxy.mend()
    proxy.forget()
    assert typist.types(*words[:-2]).code == 0
    assert [entry["range"] for entry in proxy.log(key="out/a.mp4", operation="GetObject")] == [
        f"bytes={had}-{(3 << 20) - 1}"
    ]
    assert files_in(typist.home / "home") == {"a.mp4": noise(3 << 20)}


def _when_it_holds(folder: Path, size: int) -> list[Path]:
    """Wait until another process has written so much of a half."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if parts := [path for path in folder.glob("*.part") if path.stat().st_size >= size]:
            return parts
        threading.Event().wait(0.02)
    raise AssertionError(f"no half of {size} bytes in {folder}")
