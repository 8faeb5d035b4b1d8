"""The command that brings results home from where a run delivered them: pull."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from controller.access import check_listing
from controller.cli.again import found_batches
from controller.cli.asked import accounts_for, settings_or_fewer
from controller.cli.carry import Ended
from controller.cli.options import Acting, Configured
from controller.cli.setup import Seat, seated
from controller.errors import ConfigError, ExitCode
from controller.ledger import Batch
from controller.pulling import Fate, Found, Puller, Unread, found_at, found_in_batch
from controller.settings import Settings
from controller.target import judge_kind
from controller.terminal.pulled import Tally, progress, tell_of
from controller.terminal.tables import place
from controller.terminal.words import counted
from framehaul.contract.uris import SCHEMES, Uri, parse_uri
from framehaul.errors import StoreError


def pull(
    configured: Configured,
    talk: Acting,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="BATCH|ADDRESS",
            help="A batch's id, or where results went (b2://bucket/out/). (default: the latest batch)",
            show_default=False,
        ),
    ] = None,
    into: Annotated[str, typer.Option("--into", help="The folder that they are brought to.")] = Settings().to,
    manifests: Annotated[bool, typer.Option("--manifests/--no-manifests", help="The manifests, too.")] = True,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are something else.")] = False,
) -> int:
    """Bring verified results home; what is here already is not fetched again, what was begun is gone on with."""
    home = parse_uri(into)
    if home.scheme != "file":
        raise ConfigError(
            f"Results are pulled into a folder here, not to {home.public()}.", advice="Say: --into FOLDER"
        )
    settings = settings_or_fewer(configured, "Pulling")
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        source, wanted = _asked(seat, what)
        puller = Puller(
            seat.desk.stores,
            seat.desk.clock,
            Path(home.key),
            seat.insist,
            manifests=manifests,
            replace=replace,
            rehearsal=talk.dry_run,
        )
        tally = Tally()
        code = _bring(seat, puller, wanted, tally)
        seat.insist(tally.words(source, place(home)))
        if talk.dry_run:
            seat.tell("Nothing was changed: this was a dry run.")
        document = {"from": source, "into": str(puller.into), "dry_run": talk.dry_run, **tally.as_json()}
        return Ended(code, document=document).printed(seat)


def _asked(seat: Seat, what: str | None) -> tuple[str, Iterator[Found | Unread]]:
    """Find what a person means; ConfigError where nothing is called so, or the store does not let us look."""
    if what is not None and _is_address(what):
        target = parse_uri(what)
        judge_kind(target)
        check_listing(target, seat.desk.stores)
        return target.public(), _vouched_for(seat, target)
    batch = _batch(seat, what)
    check_listing(parse_uri(batch.target), seat.desk.stores)
    open_jobs = seat.desk.ledger.left({batch.id})
    if open_jobs:
        seat.tell(f"{counted(open_jobs, 'job')} of {batch.id} not done yet; pull again for what comes.")
    return batch.id, found_in_batch(seat.desk.ledger, batch)


def _batch(seat: Seat, text: str | None) -> Batch:
    if text is not None:
        return found_batches(seat, text, unclosed=False)[0]
    batches = seat.desk.ledger.batches()
    if not batches:
        raise ConfigError(
            "The ledger holds no batch.", advice="Say where the results are: framehaul pull b2://bucket/out/"
        )
    return batches[-1]


def _vouched_for(seat: Seat, target: Uri) -> Iterator[Found | Unread]:
    """Pass on what markers vouch for; where there is none, say what may be meant."""
    some = False
    for found in found_at(target, seat.desk.stores):
        some = True
        yield found
    if not some:
        seat.insist(f"There is no done-marker below {target.public()}. Name the folder that was given with --to.")


def _bring(seat: Seat, puller: Puller, wanted: Iterator[Found | Unread], tally: Tally) -> ExitCode:
    """Bring all of it home; Ctrl-C and what stops everything leave halves that the same command goes on with."""
    keep, code = seat.talk.json_out, ExitCode.DONE
    with progress(seat.console, seat.desk.clock.now, talks=not (seat.talk.quiet or seat.talk.dry_run)) as hearer:
        try:
            for found in wanted:
                brought = puller.pull(found, hearer(found))
                if brought is not None:
                    tally.add(brought, keep=keep)
                    if brought.fate is Fate.FAILED or not seat.talk.quiet:
                        tell_of(seat.console, brought)
        except KeyboardInterrupt:
            code, tally.stopped = ExitCode.INTERRUPTED, "Interrupted; the same command goes on with the rest."
        except StoreError as exc:
            code, tally.stopped = ExitCode.SOME_FAILED, f"{exc} The same command goes on with the rest."
    if not puller.rehearsal:
        puller.tidy()
    return ExitCode.SOME_FAILED if code is ExitCode.DONE and tally.counts[Fate.FAILED] else code


def _is_address(text: str) -> bool:
    """Tell an address or path from a batch's id, which holds neither a slash nor a colon."""
    return "/" in text or text in {".", ".."} or (":" in text and text.partition(":")[0].lower() in SCHEMES)
