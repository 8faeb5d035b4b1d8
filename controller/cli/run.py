"""The commands that begin work: run, plan, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.asked import accounts_for, settings_of
from controller.cli.carry import carry_out, plan_of
from controller.cli.options import Acting, Chosen, Configured, Machines, Remembered, Results, Work
from controller.cli.setup import seated
from controller.demo import demo_settings
from framehaul.contract.uris import parse_uri


def run(chosen: Chosen, work: Work, results: Results, machines: Machines, configured: Configured, talk: Acting) -> int:
    """Work on videos: plan, rent, ship, watch, verify, destroy."""
    settings = settings_of(configured, chosen=chosen, work=work, results=results, machines=machines)
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        return carry_out(seat, settings, plan_of(seat, settings), dry_run=talk.dry_run).printed(seat)


def plan(chosen: Chosen, work: Work, results: Results, machines: Machines, configured: Configured, talk: Acting) -> int:
    """Show what a run would do; spend nothing, change nothing (the same as run --dry-run)."""
    settings = settings_of(configured, chosen=chosen, work=work, results=results, machines=machines)
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        return carry_out(seat, settings, plan_of(seat, settings), dry_run=True).printed(seat)


def demo(
    remembered: Remembered,
    talk: Acting,
    to: Annotated[Path, typer.Option("--to", help="The folder under which a fresh one is made.")] = Path(
        "framehaul-demo"
    ),
) -> int:
    """Upscale the sample clip on this machine, by the same path that a rented GPU takes."""
    with seated(remembered.state, talk) as seat:
        settings = demo_settings(to, seat.desk.clock.now())
        seat.tell("Demo: this machine as the cloud, a folder as the store.")
        ended = carry_out(seat, settings, plan_of(seat, settings), dry_run=talk.dry_run)
        for picture in sorted(Path(parse_uri(settings.to).key).glob("*.preview.jpg")):
            seat.insist(f"Before | after: {picture}")
        return ended.printed(seat)
