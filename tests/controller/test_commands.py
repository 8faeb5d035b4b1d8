"""The commands as a whole: each can speak to machines, each can be rehearsed, each option is said once."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

import framehaul
from controller.cli import options
from controller.cli.asked import params_of
from controller.cli.options import Chosen, Results, Work, words_of
from controller.cli.program import app
from controller.errors import ConfigError, ExitCode
from tests.controller.typist import Typist

COMMANDS = {command.name: command for command in get_command(app).commands.values()}  # type: ignore[attr-defined]
GROUPS = [options.Chosen, options.Work, options.Results, options.Machines, options.Configured, options.Acting]


def names_of(command: str) -> list[str]:
    """List every way to say an option of a command."""
    return [name for param in COMMANDS[command].params for name in (*param.opts, *param.secondary_opts)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_to_machines_and_can_be_quiet(command: str) -> None:
    """--json, -v, -q and --state, everywhere."""
    assert {"--json", "--verbose", "-v", "--quiet", "-q"} <= set(names_of(command))
    assert command == "completion" or "--state" in names_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_rehearsed(command: str) -> None:
    """--dry-run, on those that only look as well: whoever puts it everywhere meets no exception."""
    assert "--dry-run" in names_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_has_two_options_of_one_name(command: str) -> None:
    """Groups that meet in a command do not hide each other's options; each has a sentence of help."""
    assert len(set(names_of(command))) == len(names_of(command))
    assert all(getattr(param, "help", "") for param in COMMANDS[command].params)
    assert COMMANDS[command].help


def test_run_and_plan_and_try_know_the_options_of_a_run() -> None:
    """All that a run can be told; a plan of it and a try at it can be told as well."""
    wanted = {"--input", "--include", "--exclude", "--newer-than", "--max-files", "--to", "--no-skip-existing"}
    wanted |= {"--preset", "--config-url", "--allow-stale-config", "--env-file", "--model", "--scale", "--precision"}
    wanted |= {"--start", "--end", "--sample", "--allow-truncated", "--param"}

    for command in ("run", "plan", "try"):
        assert wanted <= set(names_of(command)), command


def test_each_option_is_declared_once() -> None:
    """No two groups hold a field of one name, so that a command may take any of them together."""
    fields = [field.name for group in GROUPS for field in dataclasses.fields(group)]

    assert len(fields) == len(set(fields))


def test_a_command_can_be_written_as_it_was_typed() -> None:
    """Options, repeated ones, switches turned either way, names with blanks; nothing of what was not said."""
    chosen = Chosen(inputs=["a b.mp4", "-x.mp4"], more=["c.mp4"], include=["*.mkv", "d?"], max_files=3)
    work = Work(scale="2", allow_truncated=False, start="1:30")
    results = Results(to="out", redo=True, preview=True)

    words = words_of(chosen, work, results, without=("start",))

    assert shlex.split(words) == shlex.split(
        "'a b.mp4' ./-x.mp4 --input c.mp4 --include '*.mkv' --include 'd?' --max-files 3 "
        "--scale 2 --no-allow-truncated --to out --no-skip-existing --preview"
    )
    assert words_of(Chosen(), Work(), Results()) == ""


def test_parameters_come_from_options_and_from_param() -> None:
    """An option of its own wins; --param reads numbers and switches as such."""
    work = Work(scale="2", allow_truncated=True, param=["crf=20", "scale=3", "tune=none=x", "on=true", "name=a b"])

    assert params_of(work) == {
        "crf": 20,
        "scale": "2",
        "tune": "none=x",
        "on": True,
        "name": "a b",
        "allow_truncated": True,
    }


@pytest.mark.parametrize("text", ["crf", "=3", ""])
def test_a_param_that_is_none_is_a_mistake_of_the_command(text: str) -> None:
    """It is quoted."""
    with pytest.raises(ConfigError, match="is no name=value"):
        params_of(Work(param=[text]))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["staus"], "Did you mean 'status'?"),
        (["run", "--dryrun"], "--dry-run"),
        (["plan", "--inclde", "x"], "--include"),
        (["retry", "--alll-failed"], "--all-failed"),
        (["pipelines", "enhanse"], "Did you mean 'enhance'?"),
        (["logs", "x", "--stream", "q"], "is none of progress, stdout"),
        (["status", "--watch", "--json"], "exclude each other"),
        (["ps", "-q", "-v"], "exclude each other"),
        (["try", "x.mp4", "--sample", "3s"], "Say --seconds"),
        (["ls"], "No address was named"),
        (["run", "x", "--env-file", "none.env"], "none.env cannot be read"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(typist: Typist, words: list[str], hint: str) -> None:
    """A sentence on stderr, nothing on stdout, exit code 2."""
    printed = typist.types(*words)

    assert printed.code == ExitCode.USAGE
    assert hint in printed.err
    assert printed.err.startswith("framehaul: ")
    assert printed.out == ""


def test_the_program_knows_its_version(typist: Typist) -> None:
    """Without a command."""
    assert typist.types_bare("--version").out == f"framehaul {framehaul.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_taught(typist: Typist, shell: str) -> None:
    """The script calls the program by its name; a rehearsal of an installation only prints."""
    printed = typist.types_bare("completion", shell, "--install", "--dry-run")

    assert printed.code == 0
    assert "framehaul" in printed.out
    assert "_FRAMEHAUL_COMPLETE" in printed.out


def test_the_catalogue_tells_all_that_can_be_said(typist: Typist) -> None:
    """Each pipeline with modes, presets, and the default and meaning of every parameter; for machines too."""
    shown, told = typist.types("pipelines"), typist.types("pipelines", "enhance", "--json").document

    (enhance,) = told["pipelines"]
    assert (enhance["name"], enhance["modes"]) == ("enhance", ["upscale"])
    crf = next(param for param in enhance["params"] if param["name"] == "crf")
    assert (crf["type"], crf["default"]) == ("integer 0..51", 18)
    assert all(param["description"] for param in enhance["params"])
    for word in ("copy: ", "enhance: ", "modes: upscale", "preset ", "rate_bytes_s", "integer 0..51"):
        assert word in shown.out


def test_a_listing_counts_what_is_there(typist: Typist) -> None:
    """Rows as they come, then sums; what is no video is refused by name, exit code 1; one document for machines."""
    sample = Path(__file__).parents[2] / "samples" / "clip.mp4"
    (typist.home / "clips").mkdir()
    (typist.home / "clips" / "a\u202eb.mp4").write_bytes(sample.read_bytes())
    (typist.home / "clips" / "c\x1b[2J.mp4").write_bytes(sample.read_bytes())
    (typist.home / "clips" / "no.mkv").write_text("no video")

    shown, told = typist.types("ls", "clips"), typist.types("ls", "clips", "--json")
    quick = typist.types("ls", "clips", "--no-probe", "--include", "*.mkv")

    assert (shown.code, told.code, quick.code) == (1, 1, 0)
    assert "Refused: no.mkv" in shown.out
    assert "1 video, 4.5 s, 710.1 kB (1 mp4 h264), 2 refused" in shown.out
    assert not {"\x1b", "\u202e"} & set(shown.out + told.out)
    assert told.document["totals"]["files"] == 1
    assert {entry["name"] for entry in told.document["files"]} == {"no.mkv", "a\u202eb.mp4", "c\x1b[2J.mp4"}
    assert "1 file, 8 B" in quick.out
    assert "Set aside: 2 by --include." in quick.out
