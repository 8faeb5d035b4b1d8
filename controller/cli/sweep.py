"""The command that ends unfinished uploads: sweep."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controller.cli.asked import accounts_for, settings_or_fewer
from controller.cli.carry import Ended
from controller.cli.options import Acting, Configured
from controller.cli.setup import Seat, seated
from controller.errors import ConfigError, ExitCode
from controller.settings.moments import epoch_of, normalised
from controller.sweeping import DEFAULT_AGE, Leftover, Swept, places_of
from controller.sweeping import sweep as swept_at
from controller.terminal.tables import place
from controller.terminal.words import counted, rough_time_words
from framehaul.contract.uris import parse_uri


def sweep(
    configured: Configured,
    talk: Acting,
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ADDRESS",
            help="Places to look at as well (b2://bucket/). (default: --to of the settings, and of every batch)",
            show_default=False,
        ),
    ] = None,
    older_than: Annotated[
        str, typer.Option("--older-than", help="How old an upload must be that this ledger does not know: 24h, 7d.")
    ] = DEFAULT_AGE,
) -> int:
    """End uploads that nobody will complete: stores bill their parts. What still runs is never touched."""
    settings = settings_or_fewer(configured, "Sweeping")
    with seated(configured.state, talk, accounts_for(configured, settings)) as seat:
        age_s = _age_s(older_than, seat.desk.clock.now())
        places = places_of(seat.desk.ledger, parse_uri(settings.to), addresses or ())
        swept = swept_at(seat.desk, places, age_s, dry_run=talk.dry_run)
        _tell(seat, swept, older_than)
        code = ExitCode.SOME_FAILED if swept.troubles else ExitCode.DONE
        return Ended(code, document=_document(seat, swept)).printed(seat)


def _age_s(text: str, now: float) -> float:
    """Read an age; ConfigError where it is none, or lies in the future."""
    try:
        age_s = now - epoch_of(normalised(text), now)
    except ValueError as exc:
        raise ConfigError(f"--older-than: {exc}.") from exc
    if age_s < 0:
        raise ConfigError(f"--older-than {text!r} lies in the future.")
    return age_s


def _tell(seat: Seat, swept: Swept, older_than: str) -> None:
    now, verb = seat.desk.clock.now(), "Would end" if seat.talk.dry_run else "Ended"
    for found in swept.ended:
        seat.tell(f"{verb} {_described(found, now)}")
    for trouble in swept.troubles:
        seat.insist(trouble)
    kept = [f"{counted(swept.kept_running, 'upload')} of work under way let be"] if swept.kept_running else []
    if swept.kept_young:
        young = f"{counted(swept.kept_young, 'upload')} younger than {older_than}"
        kept.append(f"{young} (a minute at least) let be: other laptops may be writing there (--older-than)")
    seat.insist("; ".join([f"{verb} {counted(len(swept.ended), 'unfinished upload')}", *kept]) + ".")
    if seat.talk.dry_run:
        seat.tell("Nothing was changed: this was a dry run.")


def _described(found: Leftover, now: float) -> str:
    age_s = found.age_s(now)
    age = "of unknown age" if age_s is None else f"begun {rough_time_words(age_s)} ago"
    whose = f", of job {found.job_id}" if found.job_id else ""
    return f"{place(found.upload.uri)} (upload {found.upload.upload_id}, {age}{whose}; what it cost is unknown)"


def _document(seat: Seat, swept: Swept) -> dict[str, Any]:
    now = seat.desk.clock.now()
    return {
        "dry_run": seat.talk.dry_run,
        "ended": [
            {
                "uri": found.upload.uri.public(),
                "upload": found.upload.upload_id,
                "job": found.job_id or None,
                "age_s": found.age_s(now),
                "dollars": None,
            }
            for found in swept.ended
        ],
        "kept": {"running": swept.kept_running, "young": swept.kept_young},
        "troubles": swept.troubles,
        "may_be_billed": swept.unpaid,
    }
