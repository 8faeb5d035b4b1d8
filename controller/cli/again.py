"""The commands for work that began before: resume, retry, stop."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from controller.cli.asked import accounts_for, accounts_or_none, settings_of, settings_or_fewer
from controller.cli.carry import Ended, carry, carry_out
from controller.cli.options import Acting, Configured
from controller.cli.setup import Seat, provider_opener, seated
from controller.errors import ConfigError, ExitCode
from controller.ledger import Batch
from controller.ledger.rows import WishWord
from controller.report import exit_code, unswept
from controller.retrying import failed_jobs, latest_failed, replan
from controller.session import Session
from controller.settings import Settings
from controller.target import check_target
from controller.terminal.tables import job_as_json, lease_as_json, unswept_words
from controller.terminal.words import counted
from framehaul.contract.uris import parse_uri

_LISTED = 3

BatchName = Annotated[
    str | None, typer.Argument(help="A batch's id, or the end of it. (default: all)", show_default=False)
]


def resume(configured: Configured, talk: Acting, batch: BatchName = None) -> int:
    """Go on with what the ledger holds: after a crash, a Ctrl-C or a stop."""
    settings = settings_or_fewer(configured, "Going on", strict=True)
    with seated(configured.state, talk, accounts_or_none(configured, settings)) as seat:
        batches = found_batches(seat, batch, unclosed=True)
        if not batches:
            seat.insist("There is nothing to go on with.")
        if talk.dry_run:
            return _rehearsed(seat, batches, "would be gone on with").printed(seat)
        _check_targets(seat, batches)
        for found in batches:
            seat.desk.ledger.wish(WishWord.RUN, found.id)
        # Even without a batch a machine may be left over from a crash: the engine sees to that.
        return carry(seat, settings, [found.id for found in batches]).printed(seat)


def retry(
    configured: Configured,
    talk: Acting,
    batch: Annotated[
        str | None, typer.Argument(help="A batch's id, or the end of it. (default: the latest with failures)")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", "--all-failed", help="All that failed; nothing else is.")] = True,
) -> int:
    """Do again what failed, as a new batch with the same parameters, place and files that travel along."""
    settings = settings_of(configured)
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        found = latest_failed(seat.desk.ledger) if batch is None else found_batches(seat, batch, unclosed=False)[0]
        jobs = failed_jobs(seat.desk.ledger, found) if found is not None and failed else []
        if found is None or not jobs:
            seat.insist("Nothing failed." if found is None else f"Nothing failed in {found.id}.")
            return Ended(ExitCode.DONE, document={"retried": 0, "batch": found and found.id}).printed(seat)
        again, planned = replan(seat.desk, settings, found, jobs)
        count = len(planned.jobs)
        if count:
            will = "would be" if talk.dry_run else "is" if count == 1 else "are"
            seat.tell(f"{counted(count, 'job')} of {found.id} {will} retried.")
        return carry_out(seat, again, planned, dry_run=talk.dry_run).printed(seat)


def stop(
    configured: Configured,
    talk: Acting,
    batch: BatchName = None,
    now: Annotated[bool, typer.Option("--now", help="Drop running work instead of finishing it.")] = False,
) -> int:
    """Stop: finish the running job and bring it home, or drop it with --now; then the machine goes."""
    with seated(configured.state, talk) as seat:
        batches = found_batches(seat, batch, unclosed=True)
        if talk.dry_run:
            return _rehearsed(seat, batches, "would be dropped" if now else "would be finished or kept").printed(seat)
        for found in batches:
            seat.desk.ledger.wish(WishWord.NOW if now else WishWord.DRAIN, found.id)
        asked: dict[str, Any] = {"asked": [found.id for found in batches], "now": now}
        if seat.desk.state.is_locked():
            seat.insist(f"Asked for the end of {_batches(len(batches))}; the framehaul at work does it.")
            return Ended(ExitCode.DONE, document={**asked, "by": "another framehaul"}).printed(seat)
    # The wish is written before anything is read that may be slow or wrong: settings, and the accounts of stores.
    settings = settings_or_fewer(configured, "Stopping")
    with seated(configured.state, talk, accounts_or_none(configured, settings)) as seat:
        return _carry_out_the_stop(seat, settings, batches, asked).printed(seat)


def _carry_out_the_stop(seat: Seat, settings: Settings, batches: list[Batch], asked: dict[str, Any]) -> Ended:
    session = Session(seat.desk, provider_opener(settings, seat.desk), also={settings.provider}, only=())
    asyncio.run(session.carry([found.id for found in batches]))
    seat.finish()
    if session.others_at_work:
        seat.insist("Another framehaul is at work now; it does what was asked.")
        return Ended(ExitCode.DONE, document={**asked, "by": "another framehaul"})
    left = unswept(seat.desk.ledger)
    seat.insist(unswept_words(left) if left else "Nothing is running, nothing is billing.")
    code = exit_code(seat.desk.ledger, [], interrupted=False)
    uploads = [row.upload_id for row in left]
    return Ended(code, document={**asked, "by": "this command", "still_running": [], "may_be_billed": uploads})


def _check_targets(seat: Seat, batches: list[Batch]) -> None:
    """Try where results will go before anything is rented for them; a machine that is there is looked after first."""
    desk = seat.desk
    if desk.state.is_locked() or desk.ledger.leases(alive=True):
        return
    for target in dict.fromkeys(parse_uri(batch.target) for batch in batches):
        check_target(target, desk.stores)


def _rehearsed(seat: Seat, batches: list[Batch], fate: str) -> Ended:
    """Say which jobs and machines a command is about, and do nothing to them."""
    ledger, now = seat.desk.ledger, seat.desk.clock.now()
    ids = {batch.id for batch in batches}
    jobs = [job for job in ledger.open_jobs() if job.batch_id in ids]
    leases = ledger.leases(alive=True)
    for job in jobs:
        seat.insist(f"{job.name} ({job.state}) of {job.batch_id} {fate}.")
    if leases:
        seat.insist(f"{counted(len(leases), 'machine')} would be ended when the work allows it.")
    seat.tell("Nothing was changed: this was a dry run.")
    return Ended(
        ExitCode.DONE,
        document={
            "dry_run": True,
            "batches": sorted(ids),
            "jobs": [job_as_json(job) for job in jobs],
            "leases": [lease_as_json(lease, now) for lease in leases],
        },
    )


def found_batches(seat: Seat, text: str | None, *, unclosed: bool) -> list[Batch]:
    """Find batches by an id or the end of one; ConfigError names the nearest."""
    batches = seat.desk.ledger.batches(unclosed=unclosed)
    if text is None:
        return batches
    found = [batch for batch in batches if batch.id == text or batch.id.endswith(text)]
    if not found:
        ids = [batch.id for batch in batches]
        near = get_close_matches(text, ids, _LISTED, 0.4) or ids[-_LISTED:]
        known = f"{'Open' if unclosed else 'Nearest'}: {', '.join(near) or 'none'}."
        raise ConfigError(f"No {'open ' if unclosed else ''}batch is called {text!r}.", advice=known)
    if len(found) > 1 and not unclosed:
        raise ConfigError(f"{text!r} may be {' or '.join(batch.id for batch in found)}.", advice="Say more of the id.")
    return found


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"
