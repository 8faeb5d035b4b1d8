"""The program `framehaul`: its commands, and the one place where errors become sentences."""

from __future__ import annotations

import contextlib
import os
import sys

import typer
from typer.exceptions import TyperException

import framehaul
from controller.cli import again, checkup, completion, log, look, pull, run, sweep, trying
from controller.cli.options import spread
from controller.errors import ConfigError, ExitCode, NothingFits, StillBilling
from controller.terminal.console import complain, put, show_what_can_be_shown
from controller.terminal.streams import trouble_of
from controller.terminal.words import plain
from framehaul.errors import BadAccount, FramehaulError, InputError, ModelError, NotFound, NotSupported

_WORK, _LOOK, _SETUP = "Work", "Look", "Set up"

app = typer.Typer(
    name="framehaul",
    help="Send videos to the cheapest GPU that fits, bring verified results home, leave nothing running.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, secrets among them
)
for _panel, _name, _command in (
    (_WORK, "run", run.run),
    (_WORK, "plan", run.plan),
    (_WORK, "try", trying.try_),
    (_WORK, "resume", again.resume),
    (_WORK, "retry", again.retry),
    (_WORK, "stop", again.stop),
    (_WORK, "pull", pull.pull),
    (_WORK, "sweep", sweep.sweep),
    (_WORK, "demo", run.demo),
    (_LOOK, "status", look.status),
    (_LOOK, "ps", look.ps),
    (_LOOK, "logs", log.logs),
    (_LOOK, "ls", look.ls),
    (_LOOK, "pipelines", look.pipelines),
    (_SETUP, "doctor", checkup.doctor),
    (_SETUP, "completion", completion.completion),
):
    app.command(_name, rich_help_panel=_panel)(spread(_command))


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True)) -> None:
    if version:
        put(f"framehaul {framehaul.__version__}")
        raise typer.Exit


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    show_what_can_be_shown(sys.stdout, sys.stderr)
    try:
        code = app(args=argv, standalone_mode=False, prog_name=completion.PROGRAM)
        if code == ExitCode.INTERRUPTED and not isinstance(code, ExitCode):  # typer's own number: nobody said anything
            complain("framehaul: interrupted")
    except typer.Exit as exc:
        code = exc.exit_code
    except TyperException as exc:  # typer brings a click of its own: click's classes would not match
        message = exc.format_message().rstrip()
        complain(f"framehaul: {plain(message)} Try: framehaul --help" if message else "")
        code = ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except FramehaulError as exc:
        complain(f"framehaul: {plain(str(exc))}")
        code = code_of(exc)
    except Exception as exc:
        if os.environ.get("FRAMEHAUL_DEBUG"):
            raise
        code = _unforeseen(exc)
    except SystemExit as exc:
        if not isinstance(exc.__context__, BrokenPipeError):
            raise
        # Stdout outlasts its readers: this pipe is some connection's, and typer took it for ours.
        code = _unforeseen(exc.__context__)
    _tell_what_was_not_written()
    sys.exit(int(code or 0))


def _unforeseen(exc: BaseException) -> ExitCode:
    """Tell of a fault of ours, not of the person's. No traceback: its lines may hold what is secret."""
    advice = "FRAMEHAUL_DEBUG=1 shows where. Look whether anything runs: framehaul ps."
    complain(f"framehaul: an unforeseen fault: {plain(f'{type(exc).__name__}: {exc}')}. {advice}")
    return ExitCode.SOME_FAILED


def _tell_what_was_not_written() -> None:
    """Say that stdout is not whole; not where its reader left, who wanted no more."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    trouble = trouble_of(sys.stdout)
    if trouble is not None and not isinstance(trouble, BrokenPipeError):
        complain(f"framehaul: not all of stdout could be written: {trouble.strerror}.")


def code_of(exc: FramehaulError) -> ExitCode:
    """Name the exit code that an error ends the program with."""
    if exc.unpaid or isinstance(exc, StillBilling):
        return ExitCode.STILL_BILLING
    if isinstance(exc, NothingFits):
        return ExitCode.NO_OFFER
    if isinstance(exc, InputError | ConfigError | NotFound | NotSupported | ModelError | BadAccount):
        return ExitCode.USAGE
    return ExitCode.SOME_FAILED
