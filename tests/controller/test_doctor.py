"""The doctor: each check finds what is wrong, and says what to do; the whole says so in an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import doctor
from controller.desk import Desk
from controller.doctor import Finding, Level
from controller.errors import ProviderUnavailable
from controller.providers.base import Offer
from controller.settings import Settings
from controller.state import StateFolder
from framehaul.contract.states import LeaseState
from tests.controller.desks import HOUR, a_batch, a_job_row, a_lease
from tests.controller.typist import Typist


def no_answer() -> list[Offer]:
    """Be a cloud that does not answer."""
    raise ProviderUnavailable("The market does not answer.", advice="Try later.")


def assert_finds(finding: Finding, level: Level, words: str) -> None:
    """Hold a finding against what it should be; what is not well comes with advice."""
    assert finding.level is level, finding
    assert words in finding.told
    assert bool(finding.advice) == (level is not Level.OK)


def test_an_old_python_is_found() -> None:
    """Ours is not."""
    assert_finds(doctor.check_python((3, 10, 2)), Level.FAIL, "3.10.2")
    assert_finds(doctor.check_python((3, 14, 0)), Level.OK, "3.14.0")


def test_a_video_library_without_encoders_is_found() -> None:
    """Without x264 nothing can be written; without a decoder, some inputs are refused."""
    assert_finds(doctor.check_codecs(), Level.OK, "libx264")
    assert_finds(doctor.check_codecs(lambda name, mode: name != "libx264"), Level.FAIL, "cannot write libx264")
    assert_finds(doctor.check_codecs(lambda name, mode: name != "av1"), Level.WARN, "lacks av1")
    assert_finds(doctor.check_codecs(lambda name, mode: name != "libx265"), Level.WARN, "lacks libx265")


def test_a_state_folder_that_takes_no_file_is_found(tmp_path: Path) -> None:
    """And nothing is left behind in one that does."""
    assert_finds(doctor.check_state(StateFolder(tmp_path)), Level.OK, str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert_finds(doctor.check_state(StateFolder(tmp_path / "none")), Level.FAIL, "cannot be written")


def test_a_rehearsed_look_writes_nothing(tmp_path: Path) -> None:
    """The folder is judged by its rights alone: not even for a moment does a file appear."""
    before = tmp_path.stat().st_mtime_ns

    assert_finds(doctor.check_state(StateFolder(tmp_path), writes=False), Level.OK, str(tmp_path))
    assert_finds(doctor.check_state(StateFolder(tmp_path / "none"), writes=False), Level.FAIL, "cannot be written")

    assert tmp_path.stat().st_mtime_ns == before


def test_a_ledger_is_read(desk: Desk) -> None:
    """It tells what waits in it."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])

    assert_finds(doctor.check_ledger(desk.ledger), Level.OK, "batches: 1; jobs with work left: 1")


@pytest.mark.parametrize(
    ("alive", "strays", "at_work", "level"),
    [
        (False, [], False, Level.OK),
        (True, [], True, Level.OK),
        (True, [], False, Level.FAIL),
        (False, ["fh-x"], False, Level.FAIL),
    ],
)
def test_a_machine_that_nobody_looks_after_is_found(
    desk: Desk, alive: bool, strays: list[str], at_work: bool, level: Level
) -> None:
    """One of the ledger, or one that the ledger does not know."""
    if alive:
        desk.ledger.intend_lease(a_lease(state=LeaseState.READY, ref="i-7", rented_at=HOUR))

    found = doctor.check_running(desk.ledger, strays, at_work=at_work)

    assert_finds(found, level, "")
    assert level is Level.OK or ("i-7" if alive else "fh-x") in found.told


def test_a_clock_that_was_set_back_is_found(desk: Desk) -> None:
    """Before the last batch, or before this program was there."""
    assert_finds(doctor.check_clock(HOUR, desk.ledger), Level.OK, "")
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    assert_finds(doctor.check_clock(HOUR - 60, desk.ledger), Level.WARN, "before the last batch")
    assert_finds(doctor.check_clock(0.0, desk.ledger), Level.WARN, "before")


def test_an_output_folder_is_judged_without_being_made(tmp_path: Path) -> None:
    """A file in the way is found; a web server takes no results."""
    (tmp_path / "file").write_text("in the way")

    assert_finds(doctor.check_output(Settings(to=str(tmp_path / "out"))), Level.OK, "out")
    assert not (tmp_path / "out").exists()
    assert_finds(doctor.check_output(Settings(to=str(tmp_path / "file" / "out"))), Level.FAIL, "a file lies at")
    assert_finds(doctor.check_output(Settings(to="https://x/out")), Level.FAIL, "web server")


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    """At the place itself, or at the lowest folder above it that is there."""
    place = tmp_path / "not" / "yet"

    assert_finds(doctor.check_disk(place, lambda path: 50_000_000_000), Level.OK, f"50.0 GB free at {tmp_path}")
    assert_finds(doctor.check_disk(place, lambda path: 1_000_000_000), Level.WARN, "1.0 GB free")


def test_a_cloud_that_does_not_answer_is_found() -> None:
    """One that has nothing now is no failure."""
    offer = Offer("o", "m", "RTX 4090", 0.36)

    assert_finds(doctor.check_offers("vast", lambda: [offer, offer]), Level.OK, "RTX 4090, $0.36 per hour; offers: 2")
    assert_finds(doctor.check_offers("vast", list), Level.WARN, "offers nothing")
    assert_finds(doctor.check_offers("vast", no_answer), Level.FAIL, "does not answer")


def test_an_interpreter_that_cannot_be_an_agent_is_found(tmp_path: Path) -> None:
    """By its last words, or because it is none."""
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\necho 'Traceback' >&2; echo 'ModuleNotFoundError: No module named torch' >&2; exit 1\n"
    )
    program.chmod(0o700)

    assert_finds(doctor.check_agent(str(program)), Level.FAIL, "No module named torch")
    assert_finds(doctor.check_agent(str(tmp_path / "none")), Level.FAIL, "cannot be run")
    assert_finds(doctor.check_port(), Level.OK, "connections within this machine work")


@pytest.mark.slow
def test_all_is_well_here(typist: Typist) -> None:
    """On a machine that runs these tests an agent can start: every line is ok or a warning; one document."""
    told = typist.types("doctor", "--json")

    assert told.code == 0, told.out
    findings = {finding["what"]: finding for finding in told.document["findings"]}
    assert {"Python", "video library", "settings", "output folder", "ledger", "clock", "machines", "agent"} <= set(
        findings
    )
    assert findings["agent"]["told"].startswith("torch ")
    assert not (typist.home / "framehaul-out").exists()


def test_a_slip_in_the_settings_is_exit_code_2_and_the_rest_is_still_looked_at(typist: Typist) -> None:
    """The settings are told as every command tells them; the other checks go on with the defaults."""
    (typist.home / "config.yaml").write_text("provder: local\n")

    told = typist.types("doctor", "--quiet")

    assert told.code == 2
    assert "fail  settings: config.yaml" in told.out
    assert "did you mean provider" in told.out
    assert "ok " not in told.out


@pytest.mark.slow
def test_what_fails_is_exit_code_1(typist: Typist) -> None:
    """A results folder that cannot be."""
    (typist.home / "file").write_text("in the way")

    told = typist.types("doctor", "--to", "file/out", "--quiet")

    assert told.code == 1
    assert "fail  output folder:" in told.out
