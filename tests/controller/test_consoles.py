"""Consoles of all kinds: old encodings, no colours, little room, and a platform that lacks half of what we know."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from controller.errors import ConfigError
from controller.ledger import Ledger
from controller.providers.local import open_provider
from controller.state import StateFolder
from controller.terminal.console import show_what_can_be_shown
from controller.terminal.rows import show_rows
from framehaul.clock import SystemClock
from tests.controller.desks import a_batch, a_job_row
from tests.controller.hours import Hours

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "clip.mp4"
HEADERS = ("input", "state", "result")

# A machine without what only Unix has: neither the modules, nor the signal, nor a loop that takes signals.
_ELSEWHERE = """
import asyncio, signal, sys
import psutil  # has another half for such platforms, which is not ours to try

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "pwd", "grp", "resource", "termios", "tty"}:
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
for name in ("SIGHUP", "SIGKILL"):
    delattr(signal, name)
def refuse(self, *args):
    raise NotImplementedError
for kind in (asyncio.SelectorEventLoop, asyncio.get_event_loop_policy()._loop_factory):
    kind.add_signal_handler = refuse
    kind.remove_signal_handler = refuse
import warnings
warnings.simplefilter("ignore")  # of filelock, which takes softer locks there
from controller.cli.program import main
main(sys.argv[1:])
"""


class Laptop:
    """A folder in which commands are typed, with an environment that a test chooses."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "clips").mkdir()
        (home / "clips" / "Fête × 日本 │ “x”.mp4").write_bytes(SAMPLE.read_bytes())
        ledger = Ledger(StateFolder(home / "state").ledger, Hours())
        name = "über–clip \udcff.mp4"
        ledger.add_batch(a_batch(provider="local"), [a_job_row(name=name.encode(errors="replace").decode())])
        ledger.close()

    def types(self, *words: str, program: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Type a command."""
        start = ["-c", program] if program else ["-m", "controller"]
        inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
        return subprocess.run(
            [sys.executable, *start, *words],
            cwd=self.home,
            env={**inherited, "PYTHONPATH": str(ROOT), "FRAMEHAUL_STATE": str(self.home / "state"), **environment},
            capture_output=True,
            timeout=120,
        )


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """A laptop with a clip whose name no old console can show."""
    return Laptop(tmp_path)


PLAN = ["plan", "clips"]
LOOKING = [PLAN, ["ps"], ["status"], ["ls", "clips"], ["run", "--help"], ["plan", "clips", "--json"]]


@pytest.mark.parametrize(
    ("words", "encoding"), [*((words, "ascii") for words in LOOKING), (PLAN, "cp1252"), (PLAN, "cp437")]
)
def test_no_console_is_too_old(laptop: Laptop, words: list[str], encoding: str) -> None:
    """What its encoding lacks is replaced by the nearest sign, on stdout and on stderr; nothing ends in an error."""
    done = laptop.types(*words, PYTHONIOENCODING=encoding, COLUMNS="100")

    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert b"Traceback" not in done.stderr
    assert b"unforeseen" not in done.stderr
    if words == ["plan", "clips"]:
        assert ("320×180" if encoding == "cp1252" else "320x180") in text
        assert "becomes" in text


def test_errors_are_shown_on_an_old_console_too(laptop: Laptop) -> None:
    """Also where a name holds what cannot be said."""
    done = laptop.types("plan", "nö×.mp4", PYTHONIOENCODING="ascii")

    assert done.returncode == 2
    assert b"Nothing lies at" in done.stderr
    assert b"n?x.mp4" in done.stderr


def test_signs_are_replaced_by_their_nearest() -> None:
    """A × is an x, a – is a -; what has no nearest is a question mark; what can be shown stays."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show_what_can_be_shown(stream)

    stream.write("320×180 – a · b │ “c” … é 日")
    stream.flush()

    assert raw.getvalue() == b'320x180 - a - b | "c" ... ? ?'


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_colours_are_left_out_where_they_are_not_wanted(laptop: Laptop, environment: dict[str, str]) -> None:
    """No escape sequence for a colour, whoever else asks for one."""
    done = laptop.types("plan", "clips", **environment)

    assert done.returncode == 0, done.stderr
    assert b"\x1b[3" not in done.stdout
    assert b"\x1b[9" not in done.stdout


# -- little room -----------------------------------------------------------------------------------------------------


def shown(width: int, rows: list[list[str]]) -> list[str]:
    """Print rows on a console of a width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show_rows(console, HEADERS, rows)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_narrow_terminal_gets_a_line_a_cell() -> None:
    """Where a table would fold its cells letter by letter; empty cells are left out, brackets are no markup."""
    rows = [["a[bold].mp4", "done", "/a/very/long/way/to/the/result.mp4"], ["b.mp4", "waiting", ""]]

    assert shown(40, rows) == [
        "input: a[bold].mp4",
        "  state: done",
        "  result: /a/very/long/way/to/the/result.mp4",
        "input: b.mp4",
        "  state: waiting",
    ]
    assert shown(100, rows)[0].split() == list(HEADERS)


def test_a_table_that_fits_stays_one_even_where_there_is_little_room() -> None:
    """Forty columns are enough for short cells."""
    assert [line.split() for line in shown(40, [["a", "done", "b"]])] == [list(HEADERS), ["a", "done", "b"]]


# -- another platform ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["--version"], ["plan", "clips", "--pipeline", "copy"], ["ps"], ["status"], ["ls", "clips"], ["pipelines"]],
)
def test_looking_works_where_unix_is_not(laptop: Laptop, words: list[str]) -> None:
    """Without fcntl, pwd, resource, termios, SIGHUP, and loops that take signals."""
    done = laptop.types(*words, program=_ELSEWHERE)

    assert done.returncode == 0, done.stderr.decode()


def test_the_local_cloud_says_where_it_can_be(tmp_path: Path) -> None:
    """A sentence, not an error from deep within."""
    with pytest.raises(ConfigError, match="needs Linux or macOS"):
        open_provider({}, state=tmp_path, clock=SystemClock(), platform="nt")
    assert open_provider({}, state=tmp_path, clock=SystemClock(), platform="posix").runs_here


def test_ctrl_c_is_heeded_where_loops_take_no_signals(laptop: Laptop) -> None:
    """The signal's handler hands it to the loop; afterwards the one before is back."""
    program = _ELSEWHERE.replace("main(sys.argv[1:])", _CTRL_C)

    done = laptop.types(program=program)

    assert done.stdout.decode().split() == ["heeded", "put", "back"], done.stderr.decode()


_CTRL_C = """
import os
from controller.signals import on_signals

async def work():
    heard = asyncio.Event()
    with on_signals(asyncio.get_running_loop(), heard.set):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(heard.wait(), 30)
        print("heeded")

before = signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(work())
print("put back" if signal.getsignal(signal.SIGINT) is signal.default_int_handler else "left")
"""
