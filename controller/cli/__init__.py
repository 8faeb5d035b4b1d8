"""The command line: words in, sentences and exit codes out. Nothing else turns errors into either."""

from controller.cli.main import main

__all__ = ["main"]
