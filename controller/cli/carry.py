"""Plan, carry to the end, tell what came of it: what run, try, retry, resume and demo share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.access import bucket_store, buckets_of, check_listing, check_reading, clock_note
from controller.cli.setup import Seat, provider_opener
from controller.downloads import with_downloads
from controller.errors import ConfigError, ExitCode, ProviderError
from controller.ledger import Batch
from controller.ledger.rows import WishWord
from controller.planned import Plan, plan_as_json, priced
from controller.planning import make_plan, write_batch
from controller.providers.base import Provider
from controller.remote_index import RemoteIndex
from controller.report import close_if_over, exit_code, results_of, unswept, write_results
from controller.session import Session, batches_at_hand
from controller.settings import Settings
from controller.target import check_target
from controller.terminal.console import print_json
from controller.terminal.tables import show_plan, show_refusals, show_report, unswept_words
from framehaul.contract.uris import parse_uri


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what a machine is told of it."""

    code: int
    batches: list[str] = field(default_factory=list)
    document: Any = None

    def printed(self, seat: Seat) -> int:
        """Print the document where one was asked for; gives the exit code."""
        if seat.talk.json_out:
            print_json(self.document)
        return self.code


def plan_of(seat: Seat, settings: Settings) -> Plan:
    """Look at what was asked; ConfigError where it names no input, or no cloud that there is."""
    if not settings.inputs:
        raise ConfigError("No input was named.", advice="Say: framehaul run FILE_OR_FOLDER, or try: framehaul demo")
    provider = provider_opener(settings, seat.desk)(settings.provider)  # a wrong name is said before anything else
    for uri in dict.fromkeys([parse_uri(settings.to), *buckets_of(settings.inputs, seat.desk.stores)]):
        check_listing(uri, seat.desk.stores)
        if hour := clock_note(uri, seat.desk.stores):
            seat.tell(f"{uri.public()}: {hour} It is reckoned with.")
    desk = seat.desk
    index = RemoteIndex(desk.state.remote_index)
    planned = make_plan(settings, desk.ledger, desk.stores, desk.clock.now(), index=index)
    for sample in planned.samples:
        check_reading(sample.uri, sample.size, desk.stores)  # once a bucket: a missing right is missing for all
    return with_price(seat, provider, planned)


def with_price(seat: Seat, provider: Provider, planned: Plan) -> Plan:
    """Ask the cloud what the time costs; a plan stands without a price, too."""
    if not planned.jobs:
        return planned
    try:
        return priced(planned, asyncio.run(provider.offers(planned.needs)))
    except ProviderError as exc:
        seat.insist(f"{planned.provider} names no price: {exc}")
        return planned


def carry_out(seat: Seat, settings: Settings, planned: Plan, *, dry_run: bool) -> Ended:
    """Show a plan, and unless this is a rehearsal carry it to its end."""
    _show(seat, settings, planned, dry_run=dry_run)
    _check_access(seat, planned, dry_run=dry_run)
    if dry_run:
        seat.tell("Nothing was changed: this was a dry run.")
        return Ended(ExitCode.SOME_FAILED if planned.refused else ExitCode.DONE, document=plan_as_json(planned))
    ids = _open_batches(seat, settings, planned)
    if not ids:
        seat.insist("Nothing is left to do." if not planned.refused else "Nothing can be done.")
        return Ended(ExitCode.SOME_FAILED if planned.refused else ExitCode.DONE, document=plan_as_json(planned))
    ended = carry(seat, settings, ids)
    code = ExitCode.SOME_FAILED if planned.refused and ended.code == ExitCode.DONE else ended.code
    return Ended(code, ended.batches, ended.document)


def carry(seat: Seat, settings: Settings, ids: Sequence[str]) -> Ended:
    """Act until these batches can go no further, report on all that was carried, and choose the exit code."""
    desk = seat.desk
    session = Session(desk, provider_opener(settings, desk), also={settings.provider})
    # An engine also goes on with what an earlier command left: that belongs into the report and the exit code.
    every = list(dict.fromkeys([*ids, *(found.id for found in batches_at_hand(desk))]))
    try:
        asyncio.run(session.carry(ids))
    except Exception:
        # What ended the work may also keep it from being told (a full disk); the first trouble is the one to name.
        with contextlib.suppress(Exception):
            seat.finish()
            Ended(ExitCode.DONE, every, _tell(seat, every, session)).printed(seat)
        raise
    seat.finish()
    if not session.others_at_work and (open_uploads := unswept(desk.ledger)):
        seat.insist(unswept_words(open_uploads))
    carried = list(ids) if session.others_at_work else every
    document = _tell(seat, carried, session)
    batches = fresh(seat, carried)
    waiting = any(batch.wish is not WishWord.RUN and batch.closed_at is None for batch in batches)
    interrupted = session.interrupted or waiting
    code = exit_code(desk.ledger, batches, interrupted=interrupted, others_at_work=session.others_at_work)
    if code is ExitCode.INTERRUPTED:
        left = "what is left waits in the ledger: framehaul resume" if waiting else "nothing was left to do"
        seat.insist(f"{'Interrupted' if session.interrupted else 'Paused'}; {left}")
    return Ended(code, carried, document)


def fresh(seat: Seat, ids: Sequence[str]) -> list[Batch]:
    """Read batches as they are now."""
    return [found for found in map(seat.desk.ledger.batch, ids) if found is not None]


def _check_access(seat: Seat, planned: Plan, *, dry_run: bool) -> None:
    """Try to write where results will go; a rehearsal does so only in a bucket, where nothing is left."""
    stores = seat.desk.stores
    if planned.jobs and not (dry_run and bucket_store(planned.target, stores) is None):
        check_target(planned.target, stores)


def _show(seat: Seat, settings: Settings, planned: Plan, *, dry_run: bool) -> None:
    if seat.talk.quiet and not dry_run:
        show_refusals(seat.console, planned)
        return
    show_plan(seat.console, planned)
    if planned.jobs and "to" not in settings.model_fields_set:
        by_default = settings.to == Settings().to
        why = "results go to the default," if by_default else "AUTO_UPLOAD_B2 is set, so results go to"
        seat.tell(f"No --to was given: {why} {settings.to}.")


def _open_batches(seat: Seat, settings: Settings, planned: Plan) -> list[str]:
    """Write the plan down, and wake the batches in which some of its inputs are under way already."""
    ids = list(dict.fromkeys(job.batch_id for _, job in planned.under_way))
    for batch_id in ids:
        seat.desk.ledger.wish(WishWord.RUN, batch_id)
    if planned.jobs:
        ids.append(write_batch(planned, settings, seat.desk.ledger).id)
    return ids


def _tell(seat: Seat, ids: Sequence[str], session: Session) -> Any:
    documents = [_report(seat, found, session.others_at_work) for found in fresh(seat, ids)]
    return documents[0] if len(documents) == 1 else documents


def _report(seat: Seat, batch: Batch, others_at_work: bool) -> dict[str, Any]:
    desk = seat.desk
    close_if_over(desk.ledger, batch)
    results = results_of(desk.ledger, batch, desk.clock.now())
    results["may_be_billed"] = [] if others_at_work else [row.upload_id for row in unswept(desk.ledger)]
    results_at = write_results(desk, batch, results)
    results = with_downloads(desk, results)  # after writing: these addresses are for whoever asked, and for no file
    show_report(seat.console, results, results_at, others_at_work=others_at_work)
    return results
