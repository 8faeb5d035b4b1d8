"""The command that looks whether a run could work here: doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from controller import doctor as checks
from controller.accounts import NO_ACCOUNTS
from controller.cli.asked import accounts_for, secrets_of, settings_of
from controller.cli.look import strays_of
from controller.cli.options import Chosen, Configured, Results, Talk
from controller.cli.setup import Seat, provider_opener, seated
from controller.doctor import Finding, Level
from controller.errors import ControllerError, ExitCode
from controller.settings import Settings
from controller.settings.stores import BUCKET_SCHEMES
from controller.terminal.console import open_console, print_json
from controller.terminal.tables import say
from framehaul.contract.pipeline import Needs
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError
from framehaul.storage.accounts import Accounts


def doctor(chosen: Chosen, configured: Configured, results: Results, talk: Talk) -> int:
    """Look whether a run could work here: programs, settings, folders, buckets, the cloud, and what may still run."""
    findings: list[Finding] = []
    console = open_console(stderr=talk.json_out)
    told_wrong = False
    for finding in _findings(chosen, configured, results, talk):
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


def _findings(chosen: Chosen, configured: Configured, results: Results, talk: Talk) -> Iterator[Finding]:
    yield from checks.check_all_of_this_machine()
    settings, accounts, bucket = Settings(), NO_ACCOUNTS, None
    try:
        settings = settings_of(configured, chosen=chosen, results=results)
        accounts, bucket = accounts_for(configured, settings), secrets_of(configured).b2_bucket
        said = ", ".join(sorted(settings.model_fields_set - {"presets", "params"})) or "the defaults"
        yield checks.good("settings", f"understood: {said}")
    except FramehaulError as exc:
        yield checks.bad("settings", exc)
    yield checks.check_output(settings)
    try:
        with seated(configured.state, talk, accounts) as seat:
            yield from _findings_in_buckets(seat, settings, accounts, bucket)
            yield from _findings_at(seat, settings)
    except ControllerError as exc:
        yield checks.bad("state", exc)


def _findings_in_buckets(seat: Seat, settings: Settings, accounts: Accounts, own: str | None) -> Iterator[Finding]:
    """Try the accounts where inputs lie and results go; else, and where it is none of them, in one's own bucket."""
    stores, target = seat.desk.stores, parse_uri(settings.to)
    yield from checks.check_accounts(accounts, stores)
    places = dict.fromkeys(map(parse_uri, settings.inputs), False) | {target: True}
    tried = {uri: results for uri, results in places.items() if uri.scheme in BUCKET_SCHEMES}
    if own is not None and not any((uri.scheme, uri.authority) == ("b2", own) for uri in tried):
        tried[parse_uri(f"b2://{own}/")] = True
    for uri, results in tried.items():
        yield checks.check_bucket(uri, stores, results=results)


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
