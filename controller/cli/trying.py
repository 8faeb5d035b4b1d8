"""The command that tries: a few seconds first, then what the whole would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.asked import accounts_for, settings_of
from controller.cli.carry import Ended, carry_out, plan_of
from controller.cli.options import Acting, Chosen, Configured, Machines, Results, Work, words_of
from controller.cli.setup import Seat, seated
from controller.demo import fresh_folder
from controller.errors import ConfigError, ExitCode
from controller.planned import Plan
from controller.settings import Settings
from controller.terminal.words import counted, dollars_words, rough_time_words, size_words
from controller.trial import Whole, trial_settings, whole_from
from framehaul.contract.states import JobState
from framehaul.contract.uris import parse_uri
from framehaul.pipelines.catalogue import load_pipeline

_NOT_IN_THE_RUN = ("dry_run", "json_out", "verbose", "quiet", "start")


def try_(
    chosen: Chosen,
    work: Work,
    results: Results,
    machines: Machines,
    configured: Configured,
    talk: Acting,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How much of the first input is done.")] = 5.0,
    under: Annotated[Path, typer.Option("--try-to", help="The folder under which a fresh one is made.")] = Path(
        "framehaul-try"
    ),
) -> int:
    """Do a few seconds from the middle of the first input (or from --start), then say what the whole would take."""
    if work.end is not None or work.sample is not None:
        raise ConfigError("A try chooses its own part.", advice="Say --seconds, and --start for where to begin.")
    all_work = replace(work, start=None)
    settings = settings_of(configured, chosen=chosen, work=all_work, results=results, machines=machines)
    command = f"framehaul run {words_of(chosen, work, results, machines, configured, without=_NOT_IN_THE_RUN)}"
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        whole = plan_of(seat, settings)
        if not whole.jobs:
            return carry_out(seat, settings, whole, dry_run=talk.dry_run).printed(seat)
        trial = trial_settings(
            settings,
            whole,
            to=fresh_folder(under, seat.desk.clock.now()),
            seconds=seconds,
            start_s=_start_s(settings, work.start),
        )
        ended = carry_out(seat, trial, plan_of(seat, trial), dry_run=talk.dry_run)
        document = {"try": ended.document, "whole": None, "command": command}
        if ended.code == ExitCode.DONE and not talk.dry_run:
            document["whole"] = _tell(seat, settings, whole, ended, command)
        return replace(ended, document=document).printed(seat)


def _start_s(settings: Settings, start: str | None) -> float | None:
    """Read --start as the pipeline does."""
    if start is None:
        return None
    params = load_pipeline(settings.pipeline).parse({**settings.params, "start": start})
    return float(params.model_dump()["start"] or 0.0)  # the very beginning is spelled as none


def _tell(seat: Seat, settings: Settings, whole: Plan, ended: Ended, command: str) -> dict[str, Any] | None:
    ledger = seat.desk.ledger
    (tried,) = (job for job in ledger.jobs(batch_id=ended.batches[0]) if job.state is JobState.PUBLISHED)
    for address in (tried.figures.get("preview"), *tried.figures.get("uris", {}).values()):
        if address and not address.endswith(".manifest.json"):
            uri = parse_uri(address)
            seat.insist(f"Look at: {uri.key if uri.scheme == 'file' else uri.public()}")
    found = whole_from(tried, whole, dollars_per_hour=whole.dollars_per_hour, machines=settings.max_instances)
    seat.insist(_whole_words(found, settings.max_instances))
    seat.insist(f"Run it all: {command}")
    return found.as_json() if found else None


def _whole_words(found: Whole | None, machines: int) -> str:
    if found is None:
        return "How long the whole would take cannot be told from this."
    on = f" on {counted(min(machines, found.jobs), 'machine')}"
    cost = "at a price that is unknown" if found.dollars is None else dollars_words(found.dollars)
    time, size = rough_time_words(found.seconds), size_words(found.bytes)
    return f"The whole ({counted(found.jobs, 'job')}{on}): about {time}, {size} of results, {cost}."
