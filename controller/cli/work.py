"""The commands that act: run, plan, resume, stop, demo."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from controller.cli.carry import carry
from controller.cli.setup import Seat, provider_opener, seated
from controller.demo import demo_settings
from controller.errors import ConfigError, ExitCode
from controller.ledger import Batch
from controller.ledger.rows import WishWord
from controller.planning import Plan, check_target, make_plan, plan_as_json, write_batch
from controller.report import exit_code
from controller.session import Session
from controller.settings import Settings, load_settings
from controller.terminal.tables import say, show_plan
from controller.terminal.words import counted
from controller.verify import VerifyMode
from framehaul.contract.uris import parse_uri

Inputs = Annotated[list[str] | None, typer.Argument(help="Files, folders, https:// addresses.", show_default=False)]
MoreInputs = Annotated[list[str] | None, typer.Option("--input", help="The same as an option; may be repeated.")]
To = Annotated[str | None, typer.Option("--to", help="Where results go. [default: framehaul-out]", show_default=False)]
PipelineName = Annotated[str | None, typer.Option("--pipeline", help="enhance or copy. [default: enhance]")]
Mode = Annotated[str | None, typer.Option("--mode", help="What enhance does: upscale.")]
Scale = Annotated[int | None, typer.Option("--scale", help="How many times larger.")]
Param = Annotated[list[str] | None, typer.Option("--param", help="Any parameter as name=value; may be repeated.")]
ProviderName = Annotated[str | None, typer.Option("--provider", help="The cloud. [default: local]")]
Verify = Annotated[VerifyMode | None, typer.Option("--verify", help="How much of each result is read back.")]
MaxInstances = Annotated[int | None, typer.Option("--max-instances", min=1, help="How many machines at once.")]
Preview = Annotated[bool | None, typer.Option("--preview/--no-preview", help="A before/after picture by each result.")]
NoSkip = Annotated[bool, typer.Option("--no-skip-existing", help="Do again what is already done.")]
Config = Annotated[Path | None, typer.Option("--config", help="A settings file. [default: ./config.yaml]")]
State = Annotated[Path | None, typer.Option("--state", help="The state folder. [default: $FRAMEHAUL_STATE or XDG]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, everything else on stderr.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan, print, and stop.")]


def run(
    inputs: Inputs = None,
    more: MoreInputs = None,
    to: To = None,
    pipeline: PipelineName = None,
    mode: Mode = None,
    scale: Scale = None,
    param: Param = None,
    provider: ProviderName = None,
    verify: Verify = None,
    max_instances: MaxInstances = None,
    preview: Preview = None,
    no_skip_existing: NoSkip = False,
    config: Config = None,
    state: State = None,
    dry_run: DryRun = False,
    json_out: AsJson = False,
) -> int:
    """Work on videos: plan, rent, ship, watch, verify, destroy."""
    settings = _settings(
        config,
        inputs=[*(inputs or []), *(more or [])] or None,
        to=to,
        pipeline=pipeline,
        params=_params(mode, scale, param),
        provider=provider,
        verify=verify,
        max_instances=max_instances,
        preview=preview,
        redo=no_skip_existing or None,
    )
    with seated(state, json_out=json_out) as seat:
        return _run(seat, settings, dry_run=dry_run, json_out=json_out)


def plan(
    inputs: Inputs = None,
    more: MoreInputs = None,
    to: To = None,
    pipeline: PipelineName = None,
    mode: Mode = None,
    scale: Scale = None,
    param: Param = None,
    provider: ProviderName = None,
    no_skip_existing: NoSkip = False,
    config: Config = None,
    state: State = None,
    json_out: AsJson = False,
) -> int:
    """Show what a run would do; spend nothing."""
    settings = _settings(
        config,
        inputs=[*(inputs or []), *(more or [])] or None,
        to=to,
        pipeline=pipeline,
        params=_params(mode, scale, param),
        provider=provider,
        redo=no_skip_existing or None,
    )
    with seated(state, json_out=json_out) as seat:
        return _run(seat, settings, dry_run=True, json_out=json_out)


def resume(
    batch: Annotated[str | None, typer.Argument(help="A batch's id. [default: all]", show_default=False)] = None,
    config: Config = None,
    state: State = None,
    json_out: AsJson = False,
) -> int:
    """Go on with what the ledger holds: after a crash, a Ctrl-C or a stop."""
    with seated(state, json_out=json_out) as seat:
        batches = _chosen(seat, batch)
        if not batches:
            say(seat.console, "There is nothing to go on with.")
        for found in batches:
            seat.desk.ledger.wish(WishWord.RUN, found.id)
        # Even without a batch a machine may be left over from a crash: the engine sees to that.
        return carry(seat, _settings(config), [found.id for found in batches], json_out=json_out)


def stop(
    batch: Annotated[str | None, typer.Argument(help="A batch's id. [default: all]", show_default=False)] = None,
    now: Annotated[bool, typer.Option("--now", help="Drop running work instead of finishing it.")] = False,
    config: Config = None,
    state: State = None,
) -> int:
    """Stop: finish the running job and bring it home, or drop it with --now; then the machine goes."""
    with seated(state, json_out=False) as seat:
        batches = _chosen(seat, batch)
        for found in batches:
            seat.desk.ledger.wish(WishWord.NOW if now else WishWord.DRAIN, found.id)
        if seat.desk.state.is_locked():
            say(seat.console, f"Asked for the end of {counted(len(batches), 'batch')}; the framehaul at work does it.")
            return ExitCode.DONE
        settings = _settings_to_stop(seat, config)
        opener = provider_opener(settings, seat.desk)
        session = Session(seat.desk, opener, also={settings.provider}, only=())
        asyncio.run(session.carry([found.id for found in batches]))
        if session.others_at_work:
            say(seat.console, "Another framehaul is at work now; it does what was asked.")
            return ExitCode.DONE
        say(seat.console, "Nothing is running, nothing is billing.")
        return exit_code(seat.desk.ledger, [], interrupted=False)


def demo(
    to: Annotated[Path, typer.Option("--to", help="The folder under which a fresh one is made.")] = Path(
        "framehaul-demo"
    ),
    state: State = None,
    json_out: AsJson = False,
) -> int:
    """Upscale the sample clip on this machine, by the same path that a rented GPU takes."""
    with seated(state, json_out=json_out) as seat:
        settings = demo_settings(to, seat.desk.clock.now())
        say(seat.console, "Demo: this machine as the cloud, a folder as the store.")
        code = _run(seat, settings, dry_run=False, json_out=json_out)
        pictures = sorted(Path(parse_uri(settings.to).key).glob("*.preview.jpg"))
        for picture in pictures:
            say(seat.console, f"Before | after: {picture}")
        return code


def _run(seat: Seat, settings: Settings, *, dry_run: bool, json_out: bool) -> int:
    if not settings.inputs:
        raise ConfigError("No input was named.", advice="Say: framehaul run FILE_OR_FOLDER, or try: framehaul demo")
    provider_opener(settings, seat.desk)(settings.provider)  # a wrong name or option is said before anything else
    planned = make_plan(settings, seat.desk.ledger, seat.desk.clock.now())
    show_plan(seat.console, planned)
    if dry_run:
        if json_out:
            typer.echo(json.dumps(plan_as_json(planned), indent=2, ensure_ascii=False))
        return ExitCode.SOME_FAILED if planned.refused else ExitCode.DONE
    if planned.jobs:
        check_target(planned.target)
    ids = _open_batches(seat, settings, planned)
    code = carry(seat, settings, ids, json_out=json_out) if ids else _nothing_to_do(seat.console, planned, json_out)
    return ExitCode.SOME_FAILED if planned.refused and code == ExitCode.DONE else code


def _open_batches(seat: Seat, settings: Settings, planned: Plan) -> list[str]:
    """Write the plan down, and wake the batches in which some of its inputs are under way already."""
    ids = list(dict.fromkeys(job.batch_id for _, job in planned.under_way))
    for batch_id in ids:
        seat.desk.ledger.wish(WishWord.RUN, batch_id)
    if planned.jobs:
        ids.append(write_batch(planned, settings, seat.desk.ledger).id)
    return ids


def _nothing_to_do(console: Console, planned: Plan, json_out: bool) -> int:
    if json_out:
        typer.echo(json.dumps(plan_as_json(planned), indent=2, ensure_ascii=False))
    say(console, "Nothing is left to do." if not planned.refused else "Nothing can be done.")
    return ExitCode.DONE


def _chosen(seat: Seat, text: str | None) -> list[Batch]:
    batches = seat.desk.ledger.batches(unclosed=True)
    if text is None:
        return batches
    found = [batch for batch in batches if batch.id == text or batch.id.endswith(text)]
    if not found:
        known = ", ".join(batch.id for batch in batches) or "none"
        raise ConfigError(f"No open batch is called {text!r}.", advice=f"Open: {known}.")
    return found


def _settings_to_stop(seat: Seat, config: Path | None) -> Settings:
    """Read the settings, or do without: a slip in a file must not keep a machine running."""
    try:
        return _settings(config)
    except ConfigError as exc:
        say(seat.console, f"{exc} Stopping with the defaults.")
        return Settings()


def _settings(config: Path | None, **given: Any) -> Settings:
    return load_settings(config, given)


def _params(mode: str | None, scale: int | None, param: list[str] | None) -> dict[str, Any] | None:
    params: dict[str, Any] = {}
    for text in param or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--param {text!r} is no name=value.")
        params[name] = _value(value)
    if mode is not None:
        params["mode"] = mode
    if scale is not None:
        params["scale"] = scale
    return params or None


def _value(text: str) -> Any:
    """Read a number, true, false or null as JSON does; anything else is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
