"""The command line: words in, sentences and exit codes out. Nothing else turns errors into either."""

from __future__ import annotations

import sys

_INTERRUPTED = 130  # controller.errors.ExitCode, which is not loaded yet


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    All that takes time to load is loaded in here: a Ctrl-C while Python still reads modules is a Ctrl-C, too.
    """
    try:
        from controller.terminal.streams import outlast_readers

        outlast_readers()
        from controller.cli.program import main as run_program

        run_program(argv)
    except KeyboardInterrupt:
        sys.stderr.write("framehaul: interrupted before anything was begun.\n")
        sys.exit(_INTERRUPTED)
