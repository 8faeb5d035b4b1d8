"""The command that teaches a shell our words."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from typer import _completion_shared as typers

from controller.cli.options import Acting
from controller.errors import ExitCode
from controller.terminal.console import print_json, put

PROGRAM = "framehaul"
COMPLETE_VARIABLE = "_FRAMEHAUL_COMPLETE"


def completion(
    talk: Acting,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell", "pwsh"], typer.Argument(help="The shell that is to learn.")
    ] = "bash",
    install: Annotated[bool, typer.Option("--install", help="Put it where that shell looks at its start.")] = False,
) -> int:
    """Print the script that completes commands and options with the Tab key, or install it."""
    if install and not talk.dry_run:
        _, path = typers.install(shell=shell, prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)
        told = {"shell": shell, "installed": str(path)}
        print_json(told) if talk.json_out else put(f"Installed in {path}; a new {shell} completes framehaul.")
        return ExitCode.DONE
    script = typers.get_completion_script(prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE, shell=shell)
    print_json({"shell": shell, "script": script}) if talk.json_out else put(script)
    return ExitCode.DONE
