"""Consoles that outlive their readers, and show what they can: work that costs money must end for neither reason."""

from __future__ import annotations

import codecs
import io
import json
import sys
from typing import Any, TextIO

from rich.console import Console

# Tables in a pipe are read by other programs: their cells must not be folded.
_PIPED_WIDTH = 400
_HANDLER = "framehaul-nearest"
# What stands for a sign that a console has not.
_NEAREST = {
    **{"×": "x", "–": "-", "—": "-", "·": "-", "…": "...", "•": "*", "│": "|", "─": "-", "━": "-", "→": "->"},
    **{"╭": "+", "╮": "+", "╰": "+", "╯": "+", "┃": "|", "╸": "-", "╺": "-", "“": '"', "”": '"', "’": "'", "‘": "'"},
    **{"✓": "+", "⚠": "!", "✗": "x"},
}


class SteadyConsole(Console):
    """Fall silent when the terminal is gone or the pipe is closed, and let the work go on."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, unless nobody reads."""
        try:
            super().print(*objects, **options)
            self.file.flush()  # a pipe must not hold lines back for hours
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        """Take a reader's leaving for what it is; the parent class would end the program."""
        self.quiet = True


def open_console(*, stderr: bool) -> Console:
    """Open stdout, or stderr where stdout belongs to a machine."""
    stream = sys.stderr if stderr else sys.stdout
    return SteadyConsole(stderr=stderr, width=None if stream.isatty() else _PIPED_WIDTH)


def draws(console: Console) -> bool:
    """Say whether bars can be drawn there: a terminal that can move its cursor, and no pipe, whatever it is told."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal


def show_what_can_be_shown(*streams: TextIO) -> None:
    """Let streams write the nearest sign for one that their encoding lacks, where they would raise an error."""
    codecs.register_error(_HANDLER, _nearest)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def put(text: str) -> None:
    """Print a line on stdout. Not typer's echo: on an ASCII console that writes UTF-8 all the same."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line on stderr, unless nobody reads there."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        return


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print for a machine, in ASCII: no console can fail at it, and no name in it can twist a terminal."""
    for piece in json.JSONEncoder(indent=indent).iterencode(document):  # in pieces: a plan may hold a million jobs
        sys.stdout.write(piece)
    put("")


def _nearest(exc: UnicodeError) -> tuple[str, int]:
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    return "".join(_NEAREST.get(char, "?") for char in exc.object[exc.start : exc.end]), exc.end
