"""Carry batches to their end and tell what came of them: the half that run, resume and demo share."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import typer

from controller.cli.setup import Seat, provider_opener
from controller.errors import ExitCode
from controller.ledger import Batch
from controller.ledger.rows import WishWord
from controller.report import close_if_over, exit_code, results_of, write_results
from controller.session import Session, batches_at_hand
from controller.settings import Settings
from controller.terminal.tables import say, show_report


def carry(seat: Seat, settings: Settings, ids: Sequence[str], *, json_out: bool) -> int:
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
            _tell(seat, every, session, json_out=json_out)
        raise
    carried = ids if session.others_at_work else every
    _tell(seat, carried, session, json_out=json_out)
    batches = fresh(seat, carried)
    waiting = any(batch.wish is not WishWord.RUN and batch.closed_at is None for batch in batches)
    interrupted = session.interrupted or waiting
    code = exit_code(desk.ledger, batches, interrupted=interrupted, others_at_work=session.others_at_work)
    if code is ExitCode.INTERRUPTED:
        left = "what is left waits in the ledger: framehaul resume" if waiting else "nothing was left to do"
        say(seat.console, f"Interrupted; {left}")
    return code


def fresh(seat: Seat, ids: Sequence[str]) -> list[Batch]:
    """Read batches as they are now."""
    return [found for found in map(seat.desk.ledger.batch, ids) if found is not None]


def _tell(seat: Seat, ids: Sequence[str], session: Session, *, json_out: bool) -> None:
    documents = [_report(seat, found, session.others_at_work) for found in fresh(seat, ids)]
    if json_out:
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2, ensure_ascii=False))


def _report(seat: Seat, batch: Batch, others_at_work: bool) -> dict[str, Any]:
    desk = seat.desk
    close_if_over(desk.ledger, batch)
    results = results_of(desk.ledger, batch, desk.clock.now())
    results_at = write_results(desk, batch, results)
    show_report(seat.console, results, results_at, others_at_work=others_at_work)
    return results
