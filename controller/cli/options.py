"""Every option of the command line, declared once, in the group under which --help shows it.

A command takes whole groups: `def run(chosen: Chosen, work: Work, …)`, made typer's by `spread`.
"""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from controller.verify import VerifyMode

_input = functools.partial(typer.Option, rich_help_panel="Inputs")
_work = functools.partial(typer.Option, rich_help_panel="What is done")
_part = functools.partial(typer.Option, rich_help_panel="Which part of each input")
_result = functools.partial(typer.Option, rich_help_panel="Results")
_machine = functools.partial(typer.Option, rich_help_panel="Machines")
_setting = functools.partial(typer.Option, rich_help_panel="Settings")
_talk = functools.partial(typer.Option, rich_help_panel="What is printed")

Texts = list[str] | None


@dataclass(frozen=True)
class Chosen:
    """Which inputs."""

    inputs: Annotated[
        Texts, typer.Argument(help="Files, folders, patterns, b2://, s3://, https:// addresses.", show_default=False)
    ] = None
    more: Annotated[Texts, _input("--input", help="An input, as an option; may be repeated.")] = None
    input_dir: Annotated[
        str | None, _input("--input-dir", help="A prefix in the bucket that B2_BUCKET names; ./x is a folder here.")
    ] = None
    include: Annotated[Texts, _input("--include", help="Only what fits this pattern (*.mkv); may be repeated.")] = None
    exclude: Annotated[Texts, _input("--exclude", help="Not what fits this pattern; may be repeated.")] = None
    newer_than: Annotated[
        str | None, _input("--newer-than", help="Only what is newer: 2026-01-31, 7d, or @FILE for a file's own date.")
    ] = None
    max_files: Annotated[int | None, _input("--max-files", min=1, help="At most so many inputs.")] = None

    @property
    def all_inputs(self) -> list[str]:
        """List the inputs, however they were given, but for --input-dir, which only an account can tell."""
        return [*(self.inputs or []), *(self.more or [])]


@dataclass(frozen=True)
class Work:
    """What is made of them."""

    pipeline: Annotated[str | None, _work("--pipeline", help="See: framehaul pipelines. (default: enhance)")] = None
    mode: Annotated[str | None, _work("--mode", help="What enhance does: upscale.")] = None
    preset: Annotated[str | None, _work("--preset", help="A bundle of settings by its name.")] = None
    scale: Annotated[str | None, _work("--scale", help="How many times larger: 2, 1.5.")] = None
    model: Annotated[str | None, _work("--model", help="A weight file (.pth, .safetensors); it travels along.")] = None
    precision: Annotated[str | None, _work("--precision", help="auto, fp32, fp16 or bf16.")] = None
    param: Annotated[Texts, _work("--param", help="Any parameter as name=value; may be repeated.")] = None
    start: Annotated[str | None, _part("--start", help="Where to begin: 90, 1:30, 10s.")] = None
    end: Annotated[str | None, _part("--end", help="Where to end.")] = None
    sample: Annotated[str | None, _part("--sample", help="Only so much from the middle: 10s.")] = None
    allow_truncated: Annotated[
        bool | None,
        _part("--allow-truncated/--no-allow-truncated", help="Take files that break off, as far as they go."),
    ] = None


@dataclass(frozen=True)
class Results:
    """What is asked of the results."""

    to: Annotated[
        str | None,
        _result("--to", help="A folder, or b2://bucket/prefix/. (default: framehaul-out)", show_default=False),
    ] = None
    redo: Annotated[bool, _result("--no-skip-existing", help="Do again what is already done.")] = False
    refresh_remote_index: Annotated[
        bool,
        _result("--refresh-remote-index", help="List anew what is done in a bucket, not every 15 min."),
    ] = False
    verify: Annotated[VerifyMode | None, _result("--verify", help="How much of each is read back.")] = None
    preview: Annotated[bool | None, _result("--preview/--no-preview", help="A before/after picture by each.")] = None


@dataclass(frozen=True)
class Machines:
    """What is rented."""

    provider: Annotated[str | None, _machine("--provider", help="The cloud. (default: local)")] = None
    max_instances: Annotated[int | None, _machine("--max-instances", min=1, help="How many machines at once.")] = None


@dataclass(frozen=True)
class Remembered:
    """Where the laptop remembers."""

    state: Annotated[Path | None, _setting("--state", help="The state folder. (default: $FRAMEHAUL_STATE or XDG)")] = (
        None
    )


@dataclass(frozen=True)
class Configured(Remembered):
    """Where settings come from."""

    config: Annotated[Path | None, _setting("--config", help="A settings file. (default: ./config.yaml)")] = None
    config_url: Annotated[
        str | None, _setting("--config-url", help="An https:// address of settings; they win over the file.")
    ] = None
    allow_stale_config: Annotated[
        bool | None,
        _setting(
            "--allow-stale-config/--no-allow-stale-config", help="Go on without that address when it does not answer."
        ),
    ] = None
    env_file: Annotated[Path | None, _setting("--env-file", help="A file of secrets. (default: ./.env)")] = None


@dataclass(frozen=True)
class Talk:
    """How much is said, and to whom."""

    json_out: Annotated[bool, _talk("--json", help="JSON on stdout, everything else on stderr.")] = False
    verbose: Annotated[
        int,
        _talk("--verbose", "-v", count=True, show_default=False, help="Every move, with times and ids; -vv more."),
    ] = 0
    quiet: Annotated[bool, _talk("--quiet", "-q", help="Only the result, and what went wrong.")] = False
    dry_run: Annotated[bool, _talk("--dry-run", help="Say what would be done, change nothing.")] = False


@dataclass(frozen=True)
class Acting(Talk):
    """The same, of a command that changes something; the others know --dry-run so that it may stand anywhere."""


def spread(command: Callable[..., int]) -> Callable[..., int]:
    """Turn a command that takes groups into one that takes each of their options, which is what typer reads."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        parameters += _members(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]

    @functools.wraps(command)
    def spread_out(**said: Any) -> int:
        held = {
            name: group(**{member.name: said.pop(member.name) for member in fields(group)})
            for name, group in groups.items()
        }
        return command(**held, **said)

    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([parameter.replace(kind=keyword) for parameter in parameters])
    vars(spread_out)["__signature__"] = signature
    return spread_out


def words_of(*groups: Any, without: Sequence[str] = ()) -> str:
    """Write the options of groups as they would be typed; `without` names fields that are left out."""
    return shlex.join(
        word
        for group in groups
        for member in _members(group)
        if member.name not in without
        for word in _words(member, getattr(group, member.name))
    )


def _members(group: Any) -> Iterator[inspect.Parameter]:
    hints: Mapping[str, Any] = get_type_hints(group if isinstance(group, type) else type(group), include_extras=True)
    for member in fields(group):
        yield inspect.Parameter(
            member.name, inspect.Parameter.KEYWORD_ONLY, default=member.default, annotation=hints[member.name]
        )


def _words(member: inspect.Parameter, value: Any) -> list[str]:
    """Write one option; nothing where it was not given."""
    if value is None or value == member.default:
        return []
    info: ArgumentInfo | OptionInfo = member.annotation.__metadata__[0]
    values = value if isinstance(value, list) else [value]
    if isinstance(info, ArgumentInfo):
        return [f"./{text}" if text.startswith("-") else text for text in values]
    # In Annotated, typer takes the first name for a default.
    on, _, off = str(info.default).partition("/")
    if isinstance(value, bool):
        return [on if value else off]
    return [word for text in values for word in (on, str(text))]
