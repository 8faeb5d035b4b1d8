"""The job folder cannot be left, its log keeps one event a line, and a bare Python can read it over SSH."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framehaul.contract import jobdir
from framehaul.contract.jobdir import SENTINEL, JobDir, LogLine

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 12, 2, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        "a\\b",
        "abc\n",
        "\nabc",
        "a b",
        "A",
        "-a",
        "a_b",
        "é",
        "a\x00",
        "a" * 65,
        "%2e%2e",
    ],
)
def test_hostile_job_id_is_refused(tmp_path: Path, job_id: str) -> None:
    """No id leaves the home folder or looks like another one."""
    with pytest.raises(ValueError, match="not a job id"):
        JobDir.under(tmp_path, job_id)


def test_every_name_lies_in_the_jobs_own_folder(tmp_path: Path) -> None:
    """All paths are below jobs/<id>/ and differ from each other; the sentinel keeps the predecessor's name."""
    job = JobDir.under(tmp_path, "a-1")
    names = [name for name in vars(JobDir) if isinstance(vars(JobDir)[name], property)]
    paths = [getattr(job, name) for name in names]

    assert job.root == tmp_path / "jobs" / "a-1"
    assert all(path.is_relative_to(job.root) and path != job.root for path in paths)
    assert len(set(paths)) == len(names) == 13
    assert job.sentinel.name == SENTINEL == "VASTAI_PIPELINE_COMPLETED_SUCCESSFULLY"


def test_folders_hold_every_file(tmp_path: Path) -> None:
    """Once the listed folders are made, in their order, each file can be written."""
    job = JobDir.under(tmp_path, "a-1")
    job.root.parent.mkdir()
    for folder in job.folders():
        folder.mkdir()

    for path in (job.spec, job.grants, job.status, job.progress_log, job.stdout_log, job.preview, job.journal):
        path.touch()
    for path in (job.manifest, job.receipt, job.sentinel, job.inputs / "x", job.parts / "x", job.outputs / "x"):
        path.touch()


def test_docstring_draws_every_name() -> None:
    """The picture of the folder, which people read, holds each name that the code uses."""
    job = JobDir(Path("jobs/x"))
    drawn = str(jobdir.__doc__)

    for path in (job.spec, job.grants, job.status, job.progress_log, job.stdout_log, job.preview, job.journal):
        assert path.name in drawn
    for path in (job.inputs, job.parts, job.outputs, job.manifest, job.receipt, job.sentinel):
        assert path.name in drawn


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("12 of 80 segments", "12 of 80 segments"),
        ("", ""),
        ("two\nlines\r\nand a\ttab", "two lines and a tab"),
        ("a | msg=b | clip=3", "a | msg=b | clip=3"),
        ("wiped \x1b[2J screen", "wiped [2J screen"),
        ("caf\udce9.mp4", "caf .mp4"),
        ("\u2028день\x85 1", "день 1"),
    ],
)
def test_one_event_is_one_line(message: str, written: str) -> None:
    """Line breaks and escape codes of a message, whoever put them there, do not reach the log or a terminal."""
    line = str(LogLine(NOON, "encode", 3, message))

    assert line == f"2026-12-02T12:00:00Z | encode | clip=3 | msg={written}"
    assert LogLine.parse(line + "\n") == LogLine(NOON, "encode", 3, written)


seconds = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))
clips = st.none() | st.integers(0)


@given(seconds, st.text(st.characters()), clips, st.text(st.characters()))
def test_written_line_reads_back(at: datetime, stage: str, clip: int | None, message: str) -> None:
    """Whatever was written is one printable line, reads back with its time and clip, and is stable from then on."""
    line = str(LogLine(at, stage, clip, message))
    found = LogLine.parse(line)

    assert len(line.splitlines()) == 1
    assert line.encode()
    assert (found.at, found.clip) == (at, clip)
    assert LogLine.parse(str(found)) == found


def test_times_are_utc() -> None:
    """A time from another zone is written as the same instant."""
    local = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert LogLine.parse(str(LogLine(local, "fetch", None, "x"))).at == NOON


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "2026-12-02T12:00:00Z | encode | clip=3",
        "yesterday | encode | clip=3 | msg=x",
        "2026-12-02T12:00:00Z | encode | 3 | msg=x",
        "2026-12-02T12:00:00Z | encode | clip=x | msg=x",
        "2026-12-02T12:00:00Z | encode | clip=3 | x",
    ],
)
def test_other_lines_are_refused(line: str) -> None:
    """A line that no LogLine wrote is a ValueError, so that a reader can skip it."""
    with pytest.raises(ValueError):
        LogLine.parse(line)


def test_needs_the_standard_library_alone() -> None:
    """A Python without any package imports it: that is what a rented machine has before anything is installed."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import framehaul.contract.jobdir as found; print(found.JOBS)"
    )

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("jobs\n", "")
