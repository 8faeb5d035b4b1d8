"""The commands that only look: ps, logs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.setup import Seat, provider_opener, seated
from controller.errors import ControllerError, ExitCode
from controller.ledger import Job
from controller.logs import find_job, follow
from controller.providers.base import Provider
from controller.settings import load_settings
from controller.terminal.tables import job_as_json, lease_as_json, say, show_running
from framehaul.contract.routes import LOG_STREAMS

State = Annotated[Path | None, typer.Option("--state", help="The state folder. [default: $FRAMEHAUL_STATE or XDG]")]


def ps(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Finished jobs too.")] = False,
    state: State = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show what runs, what it costs per hour, and what waits."""
    with seated(state, json_out=json_out) as seat:
        ledger, now = seat.desk.ledger, seat.desk.clock.now()
        strays = asyncio.run(_strays(seat))
        if json_out:
            jobs = ledger.jobs() if everything else ledger.open_jobs()
            leases = [lease_as_json(lease, now) for lease in ledger.leases(alive=True)]
            document = {"leases": leases, "jobs": [job_as_json(job) for job in jobs], "unknown": strays}
            typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            show_running(seat.console, ledger, now, everything=everything, strays=strays)
        return ExitCode.DONE


def logs(
    job: Annotated[str, typer.Argument(help="A job's id, the end of it, or its input's file name.")],
    keep_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has left its machine.")] = False,
    stream: Annotated[str, typer.Option(help="progress, or stdout: what the worker printed.")] = "progress",
    config: Annotated[Path | None, typer.Option("--config", help="A settings file.")] = None,
    state: State = None,
) -> int:
    """Print a job's log, from its machine or from the copy that was kept."""
    if stream not in LOG_STREAMS:
        raise typer.BadParameter(f"{stream!r} is none of {', '.join(LOG_STREAMS)}.", param_hint="--stream")
    settings = load_settings(config, {})
    with seated(state, json_out=True) as seat:
        found = find_job(seat.desk.ledger, job)
        batch = seat.desk.ledger.batch(found.batch_id)
        assert batch is not None
        provider = provider_opener(settings, seat.desk)(batch.provider)
        printed = asyncio.run(_print(seat, provider, found, stream, keep_on=keep_on))
        if not printed and not keep_on:
            say(seat.console, f"{found.name} has no {stream} log yet; it is {found.state}.")
        return ExitCode.DONE


async def _strays(seat: Seat) -> list[str]:
    """Name instances of this machine's own cloud that the ledger does not know: it may have been lost."""
    known = {lease.label for lease in seat.desk.ledger.leases(alive=True)}
    try:
        instances = await provider_opener(None, seat.desk)("local").instances()
    except ControllerError:
        return []  # not a machine that can be a cloud
    return [instance.label for instance in instances if instance.label not in known]


async def _print(seat: Seat, provider: Provider, job: Job, stream: str, *, keep_on: bool) -> bool:
    printed = False
    async for piece in follow(seat.desk, provider, job, stream, keep_on=keep_on):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        printed = True
    return printed
