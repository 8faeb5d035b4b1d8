"""The commands that only look: ps, status, ls, pipelines."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from controller.access import buckets_of, check_listing, check_reading
from controller.cli.asked import accounts_for, settings_of, settings_or_fewer
from controller.cli.options import Chosen, Configured, Remembered, Talk
from controller.cli.setup import Seat, provider_opener, seated
from controller.errors import ConfigError, ControllerError, ExitCode
from controller.inputs import SetAside
from controller.listing import Listed, Totals, list_videos
from controller.overview import Overview, overview_of, read_scene
from controller.settings import Settings
from controller.standing import ask_agents, runs_here
from controller.terminal.catalogue import pipeline_as_json, show_pipeline
from controller.terminal.console import print_json
from controller.terminal.listing import ListingTable, totals_words
from controller.terminal.standing import Standing, show_standing, standing_as_json
from controller.terminal.streams import trouble_of
from controller.terminal.tables import job_as_json, lease_as_json, show_running
from framehaul.pipelines.catalogue import load_pipeline, pipeline_names

_LOOK_EVERY_S = 2.0


def ps(
    remembered: Remembered,
    talk: Talk,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Finished jobs too.")] = False,
) -> int:
    """Show what runs, what it costs per hour, and what waits."""
    with seated(remembered.state, talk) as seat:
        ledger, now = seat.desk.ledger, seat.desk.clock.now()
        strays = asyncio.run(strays_of(seat))
        if talk.json_out:
            jobs = ledger.jobs() if everything else ledger.open_jobs()
            leases = [lease_as_json(lease, now) for lease in ledger.leases(alive=True)]
            print_json({"leases": leases, "jobs": [job_as_json(job) for job in jobs], "unknown": strays})
        else:
            show_running(seat.console, ledger, now, everything=everything, strays=strays)
        return ExitCode.DONE


def status(
    configured: Configured,
    talk: Talk,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until nobody works.")] = False,
) -> int:
    """Show how the whole stands, and each job that runs or waits; from any terminal, while another one works."""
    if watch and talk.json_out:
        raise ConfigError("--watch and --json exclude each other.", advice="Call status --json again and again.")
    settings = settings_or_fewer(configured, "Looking")
    with seated(configured.state, talk) as seat:
        standing = asyncio.run(_look(seat, settings))
        if talk.json_out:
            print_json(standing_as_json(standing))
            return ExitCode.DONE
        show_standing(seat.console, standing)
        shown: Overview = standing.overview
        while watch and standing.at_work and trouble_of(sys.stdout) is None:
            seat.desk.clock.wait(_LOOK_EVERY_S)
            standing = asyncio.run(_look(seat, settings))
            if seat.console.is_terminal:
                seat.console.clear()
            if seat.console.is_terminal or standing.overview != shown or not standing.at_work:
                show_standing(seat.console, standing)
            shown = standing.overview
        return ExitCode.DONE


def ls(
    chosen: Chosen,
    configured: Configured,
    talk: Talk,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Look into each file for its length and kind.")
    ] = True,
) -> int:
    """List the videos at an address: how many, how long, how big; rows come as they are found."""
    settings = settings_of(configured, chosen=chosen)
    if not settings.inputs:
        raise ConfigError("No address was named.", advice="Say: framehaul ls FILE_OR_FOLDER")
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        _check_access(seat, settings, reads=probe)
        totals, aside = Totals(), SetAside()
        table = ListingTable(seat.console)
        rows: list[Listed] = []
        for listed in list_videos(settings, seat.desk.stores, seat.desk.clock.now(), probe=probe, aside=aside):
            totals.add(listed)
            if talk.json_out:
                rows.append(listed)
            elif not talk.quiet or listed.refused:
                table.show(listed)
        if talk.json_out:
            files = [listed.as_json() for listed in rows]
            print_json({"files": files, "totals": totals.as_json(), "set_aside": aside.as_json()})
        else:
            seat.insist(totals_words(totals, probed=probe))
            for sentence in aside.sentences():
                seat.tell(sentence)
        return ExitCode.SOME_FAILED if totals.refused else ExitCode.DONE


def pipelines(
    remembered: Remembered,
    talk: Talk,
    name: Annotated[str | None, typer.Argument(help="One pipeline. (default: all)", show_default=False)] = None,
) -> int:
    """Show what can be done with a video: modes, presets, and every parameter with its default."""
    cards = [load_pipeline(found).card() for found in ([name] if name else pipeline_names())]
    if talk.json_out:
        print_json({"pipelines": [pipeline_as_json(card) for card in cards]})
        return ExitCode.DONE
    with seated(remembered.state, talk) as seat:
        for card in cards:
            show_pipeline(seat.console, card)
    return ExitCode.DONE


async def strays_of(seat: Seat) -> list[str]:
    """Name instances of this machine's own cloud that the ledger does not know: it may have been lost."""
    known = {lease.label for lease in seat.desk.ledger.leases(alive=True)}
    try:
        instances = await provider_opener(None, seat.desk)("local").instances()
    except ControllerError:
        return []  # not a machine that can be a cloud
    return [instance.label for instance in instances if instance.label not in known]


def _check_access(seat: Seat, settings: Settings, *, reads: bool) -> None:
    """Try the accounts once a bucket: a key that may not read would else be told once a file."""
    stores = seat.desk.stores
    for uri in buckets_of(settings.inputs, stores):
        first = check_listing(uri, stores)
        if reads and first is not None:
            check_reading(first.uri, first.size, stores)


async def _look(seat: Seat, settings: Settings) -> Standing:
    """Gather what the ledger holds and what the machines say."""
    ledger, opener = seat.desk.ledger, provider_opener(settings, seat.desk)
    batches = {batch.id for batch in ledger.batches(unclosed=True)}
    told = await ask_agents(seat.desk, opener, [job for job in ledger.jobs_under_way() if job.batch_id in batches])
    at_work = seat.desk.state.is_locked()
    scene = read_scene(ledger, batches, told, at_work=at_work, runs_here=lambda name: runs_here(opener, name))
    overview, leases = overview_of(scene, seat.desk.clock.now()), ledger.leases(alive=True)
    return Standing(overview, scene.open_jobs, told, leases, at_work)
