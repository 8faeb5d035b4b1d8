"""Say what came of a batch: to a person, to results.json, to the shell's exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from controller.desk import Desk
from controller.errors import ExitCode, gravest
from controller.inputs import RESULTS_NAME
from controller.ledger import Batch, Job, Lease, Ledger, OpenUpload
from controller.planned import Told
from controller.spool import Spool
from framehaul.atomic import write_atomic
from framehaul.contract.states import JobReason, JobState, LeaseState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import StoreError
from framehaul.storage.base import Store

_WORDS_AT_ONCE = 10_000
_BEGINNING_BYTES = 1024
_BEGINS = re.compile(rb'\{\s*"version": \d+,\s*"batch": "[^"]+",\s*"pipeline": "')


def results_of(ledger: Ledger, batch: Batch, now: float) -> dict[str, Any]:
    """Gather a batch's results: what results.json holds. Its jobs lie on disk where they are many: see `kept_aside`."""
    jobs = kept_aside(map(_job_result, ledger.each_job(batch.id)))
    worked = ledger.lease_ids({batch.id})
    leases = [lease for lease in ledger.leases() if lease.id in worked]
    alive = [lease for lease in ledger.leases(alive=True) if lease.provider == batch.provider]
    return {
        "version": 1,
        "batch": batch.id,
        "pipeline": batch.pipeline,
        "params": batch.params,
        "provider": batch.provider,
        "to": batch.target,
        "jobs": jobs,
        "leases": [_lease_result(lease, now) for lease in leases],
        "dollars": sum(lease.dollars(now) for lease in leases),
        "seconds": now - batch.created_at,
        "still_running": [lease.ref or lease.label for lease in alive],
    }


def kept_aside(jobs: Iterable[dict[str, Any]]) -> Told:
    """Keep what is told of jobs as a list for json and for tables, of which only a thousand lie in memory."""
    rows = Spool[dict[str, Any]](_as_it_is, _as_it_is)
    for job in jobs:
        rows.append(job)
    return Told(rows, _as_it_is)


def exit_code(ledger: Ledger, batches: list[Batch], *, interrupted: bool, others_at_work: bool = False) -> ExitCode:
    """Choose the code that a run over these batches ends with; machines of a process at work are no leak."""
    states = ledger.tally({batch.id for batch in batches})
    codes = [ExitCode.DONE]
    if (ledger.leases(alive=True) or unswept(ledger)) and not others_at_work:
        codes.append(ExitCode.STILL_BILLING)
    if interrupted:
        codes.append(ExitCode.INTERRUPTED)
    if any(state is not JobState.PUBLISHED for state in states):
        codes.append(ExitCode.SOME_FAILED)
    return gravest(codes)


def unswept(ledger: Ledger) -> list[OpenUpload]:
    """List the uploads that may be billed though no machine works on them: nobody completes or aborts these."""
    alive = {lease.id for lease in ledger.leases(alive=True)}
    return [row for row in ledger.open_uploads() if ledger.job(row.job_id).lease_id not in alive]


def write_results(desk: Desk, batch: Batch, results: dict[str, Any]) -> str:
    """Keep results.json in the state folder and put it beside the outputs; gives where it lies."""
    kept = desk.state.results(batch.id)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, _written(results))
    except OSError as exc:
        desk.observer.say(f"{kept} could not be written: {exc.strerror}.")
    uri = parse_uri(batch.target).join(RESULTS_NAME)
    try:
        store = desk.stores.open(uri)
        if not _is_a_report(store, uri):
            uri = parse_uri(batch.target).join(f"{batch.id}.{RESULTS_NAME}")  # somebody's own file has the name
        store.put(uri, _written(results), replace=True)
    except StoreError as exc:
        desk.observer.say(f"{RESULTS_NAME} could not be put beside the outputs: {exc}")
        return str(kept)
    return uri.key if uri.scheme == "file" else str(uri)


def _is_a_report(store: Store, uri: Uri) -> bool:
    """Say whether nothing lies there, or an earlier report of ours: only those may be replaced.

    It is told by its beginning: the whole may be larger than memory.
    """
    found = next(iter(store.list(uri)), None)
    if found is None:
        return True
    end = _BEGINNING_BYTES if found.size is None else min(found.size, _BEGINNING_BYTES)
    return _BEGINS.match(b"".join(store.get(uri, 0, end))) is not None


def _written(results: dict[str, Any]) -> Iterator[bytes]:
    """Write results.json in pieces."""
    words = json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(results)
    while piece := "".join(islice(words, _WORDS_AT_ONCE)):
        yield piece.encode()
    yield b"\n"


def close_if_over(ledger: Ledger, batch: Batch) -> bool:
    """Close a batch that has no work left; gives whether it had none."""
    over = ledger.left({batch.id}) == 0
    if over and batch.closed_at is None:
        ledger.close_batch(batch.id)
    return over


def _as_it_is(row: dict[str, Any]) -> dict[str, Any]:
    return row


def _job_result(job: Job) -> dict[str, Any]:
    told = job.reason is not JobReason.NONE or job.message
    return {
        "job": job.id,
        "input": parse_uri(job.source).public(),
        "state": str(job.state),
        **({"reason": str(job.reason), "message": job.message} if told else {}),
        "attempts": job.attempt,
        **job.figures,
        "outputs": [] if job.receipt is None else [_output(entry) for entry in job.receipt.model_dump()["outputs"]],
    }


def _output(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("slot", "name", "size", "sha256")}


def _lease_result(lease: Lease, now: float) -> dict[str, Any]:
    return {
        "lease": lease.id,
        "machine": lease.gpu,
        "state": str(lease.state),
        "reason": str(lease.reason),
        "dollars": lease.dollars(now),
        "seconds": (lease.gone_at or now) - lease.rented_at if lease.rented_at else 0.0,
        "gone": lease.state is LeaseState.GONE,
    }
