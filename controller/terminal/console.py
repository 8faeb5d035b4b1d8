"""A console that outlives its reader: work that costs money must not end because nobody looks any more."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

# Tables in a pipe are read by other programs: their cells must not be folded.
_PIPED_WIDTH = 400


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
