"""The program `framehaul`: its commands, and the one place where errors become sentences."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

import framehaul
from controller.cli import look, work
from controller.errors import ConfigError, ExitCode, NothingFits, StillBilling
from controller.terminal.words import plain
from framehaul.errors import FramehaulError, InputError, NotFound, NotSupported

app = typer.Typer(
    name="framehaul",
    help="Send videos to the cheapest GPU that fits, bring verified results home, leave nothing running.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, secrets among them
)
app.command("run")(work.run)
app.command("plan")(work.plan)
app.command("resume")(work.resume)
app.command("stop")(work.stop)
app.command("demo")(work.demo)
app.command("ps")(look.ps)
app.command("logs")(look.logs)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.", is_eager=True)) -> None:
    if version:
        typer.echo(f"framehaul {framehaul.__version__}")
        raise typer.Exit


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    try:
        code = app(args=argv, standalone_mode=False)
    except typer.Exit as exc:
        code = exc.exit_code
    except TyperException as exc:  # typer brings a click of its own: click's classes would not match
        message = exc.format_message().rstrip()
        typer.echo(f"framehaul: {plain(message)} Try: framehaul --help" if message else "", err=True)
        code = ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except FramehaulError as exc:
        typer.echo(f"framehaul: {plain(str(exc))}", err=True)
        code = code_of(exc)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has left; there is nobody to complain to
        code = ExitCode.DONE
    except Exception as exc:
        # A fault of ours, not of the person's. No traceback by default: its lines may hold what is secret.
        if os.environ.get("FRAMEHAUL_DEBUG"):
            raise
        advice = "FRAMEHAUL_DEBUG=1 shows where. Look whether anything runs: framehaul ps."
        typer.echo(f"framehaul: an unforeseen fault: {plain(f'{type(exc).__name__}: {exc}')}. {advice}", err=True)
        code = ExitCode.SOME_FAILED
    sys.exit(int(code or 0))


def code_of(exc: FramehaulError) -> ExitCode:
    """Name the exit code that an error ends the program with."""
    if exc.unpaid or isinstance(exc, StillBilling):
        return ExitCode.STILL_BILLING
    if isinstance(exc, NothingFits):
        return ExitCode.NO_OFFER
    if isinstance(exc, InputError | ConfigError | NotFound | NotSupported):
        return ExitCode.USAGE
    return ExitCode.SOME_FAILED
