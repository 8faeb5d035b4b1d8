"""Readers that leave, streams that a shell closed, a Ctrl-C before we are awake: the exit code stays the command's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.ledger import Ledger
from controller.state import StateFolder
from tests.controller.desks import a_batch, a_job_row
from tests.controller.hours import Hours

ROOT = Path(__file__).resolve().parents[2]

# Somebody presses Ctrl-C while the first of the heavy modules is read.
_EARLY = """
import sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
from controller.cli import main
main(["--version"])
"""


# What number the first file gets that is opened after a shell closed stdin and stdout.
_NEXT_FILE = """
import os, sys
from controller.terminal.streams import outlast_readers
outlast_readers()
print(os.open(os.devnull, os.O_RDONLY), file=sys.stderr)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A laptop with a job that waits, and an input that is none."""
    (tmp_path / "state").mkdir()
    ledger = Ledger(StateFolder(tmp_path / "state").ledger, Hours())
    ledger.add_batch(a_batch(provider="local"), [a_job_row()])
    ledger.close()
    (tmp_path / "no.mp4").write_text("no video")
    return tmp_path


def gone() -> int:
    """Open a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def typed(
    home: Path, *words: str, stdout: int = subprocess.PIPE, closing: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Type words to Python, into a stdout that is told; a shell closes what `closing` says, as `>&-` does."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closing}', sys.executable, *words],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FRAMEHAUL_STATE": str(home / "state")},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
    )


PRINTING = [
    (["ps", "--json"], 0),
    (["ps"], 0),
    (["--help"], 0),
    (["run", "--help"], 0),
    (["--version"], 0),
    (["pipelines", "--json"], 0),
    (["completion", "bash"], 0),
    (["plan", "no.mp4", "--json"], 1),
    (["plan", "none.mp4", "--json"], 2),
]


@pytest.mark.parametrize(("words", "code"), PRINTING, ids=lambda value: "_".join(value) if type(value) is list else "")
def test_a_reader_who_leaves_changes_no_exit_code(home: Path, words: list[str], code: int) -> None:
    """`framehaul … | true`: what the command itself ends with, and not a word about pipes."""
    writing = gone()
    try:
        done = typed(home, "-m", "controller", *words, stdout=writing)
    finally:
        os.close(writing)

    assert done.returncode == code, done.stderr.decode()
    assert b"Broken" not in done.stderr
    assert b"unforeseen" not in done.stderr


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [(["ps"], 0), (["plan", "no.mp4", "--json"], 1)])
def test_a_closed_stdout_changes_no_exit_code(home: Path, words: list[str], code: int, closing: str) -> None:
    """`framehaul … >&-`: it prints to nobody."""
    done = typed(home, "-m", "controller", *words, closing=closing)

    assert done.returncode == code, done.stderr.decode()
    assert b"fault" not in done.stderr


def test_no_file_takes_the_place_of_a_closed_stdout(home: Path) -> None:
    """The next that is opened, the ledger say, would else be stdout to every child, who writes into it."""
    done = typed(home, "-c", _NEXT_FILE, closing="<&- >&-")

    assert done.stderr == b"3\n"


def test_what_could_not_be_written_is_told(home: Path) -> None:
    """The reader is still there, and would take half of a document for all of it: a full disk, a file not to write."""
    with (home / "no.mp4").open("rb") as unwritable:
        done = typed(home, "-m", "controller", "pipelines", "--json", stdout=unwritable.fileno())

    assert done.returncode == 0
    assert done.stderr == b"framehaul: not all of stdout could be written: Bad file descriptor.\n"


def test_ctrl_c_while_modules_are_read_is_a_ctrl_c(home: Path) -> None:
    """A sentence and 130; no traceback."""
    done = typed(home, "-c", _EARLY)

    assert done.returncode == 130
    assert done.stderr == b"framehaul: interrupted before anything was begun.\n"


def test_the_program_is_light_until_it_is_called(home: Path) -> None:
    """What takes long to load is loaded where a Ctrl-C is heeded."""
    heavy = "{'typer', 'rich', 'sqlalchemy', 'pydantic', 'av', 'asyncio'}"
    done = typed(home, "-c", f"import sys; import controller.cli; print({heavy} & set(sys.modules))")

    assert done.stdout == b"set()\n", done.stderr.decode()
