"""The command that looks whether a run could work here: doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from controller import doctor as checks
from controller.cli.asked import settings_of
from controller.cli.look import strays_of
from controller.cli.options import Configured, Results, Talk
from controller.cli.setup import Seat, provider_opener, seated
from controller.doctor import Finding, Level
from controller.errors import ControllerError, ExitCode
from controller.settings import Settings
from controller.terminal.console import open_console, print_json
from controller.terminal.tables import say
from framehaul.contract.pipeline import Needs
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError


def doctor(configured: Configured, results: Results, talk: Talk) -> int:
    """Look whether a run could work here: programs, settings, folders, the cloud, and what may still be running."""
    findings: list[Finding] = []
    console = open_console(stderr=talk.json_out)
    told_wrong = False
    for finding in _findings(configured, results, talk):
        findings.append(finding)
        told_wrong = told_wrong or (finding.what == "settings" and finding.level is Level.FAIL)
        if not talk.quiet or finding.level is not Level.OK:
            say(
                console,
                f"{finding.level:<5} {finding.what}: {finding.told}" + (f" {finding.advice}" * bool(finding.advice)),
            )
    if talk.json_out:
        print_json({"level": str(checks.gravest(findings)), "findings": [asdict(finding) for finding in findings]})
    if told_wrong:
        return ExitCode.USAGE
    return ExitCode.SOME_FAILED if checks.gravest(findings) is Level.FAIL else ExitCode.DONE


def _findings(configured: Configured, results: Results, talk: Talk) -> Iterator[Finding]:
    yield from checks.check_all_of_this_machine()
    settings = Settings()
    try:
        settings = settings_of(configured, results=results)
        said = ", ".join(sorted(settings.model_fields_set - {"presets", "params"})) or "the defaults"
        yield checks.good("settings", f"understood: {said}")
    except FramehaulError as exc:
        yield checks.bad("settings", exc)
    yield checks.check_output(settings)
    try:
        with seated(configured.state, talk) as seat:
            yield from _findings_at(seat, settings)
    except ControllerError as exc:
        yield checks.bad("state", exc)


def _findings_at(seat: Seat, settings: Settings) -> Iterator[Finding]:
    desk = seat.desk
    yield checks.check_state(desk.state, writes=not seat.talk.dry_run)
    yield checks.check_ledger(desk.ledger)
    yield checks.check_disk(desk.state.root)
    target = parse_uri(settings.to)
    if target.scheme == "file":
        yield checks.check_disk(Path(target.key))
    yield checks.check_clock(desk.clock.now(), desk.ledger)
    yield checks.check_running(desk.ledger, asyncio.run(strays_of(seat)), at_work=desk.state.is_locked())
    try:
        provider = provider_opener(settings, desk)(settings.provider)
    except ControllerError as exc:
        yield checks.bad(f"provider {settings.provider}", exc)
        return
    yield checks.check_offers(settings.provider, lambda: asyncio.run(provider.offers(Needs())))
    if provider.runs_here:
        yield checks.check_port()
        yield checks.check_agent()
