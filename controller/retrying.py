"""Do again what failed: the same inputs, parameters, place and files, as a new batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.desk import Desk
from controller.inputs import Refusal
from controller.jobsheet import PlannedJobs
from controller.ledger import Batch, Job, Ledger
from controller.planned import Plan
from controller.planning import make_plan
from controller.remote_index import RemoteIndex
from controller.settings import Settings
from framehaul.contract.states import JobState
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError
from framehaul.storage.base import Stores


def failed_jobs(ledger: Ledger, batch: Batch) -> list[Job]:
    """List the jobs of a batch that were given up."""
    return ledger.jobs(batch_id=batch.id, states={JobState.EXCLUDED})


def latest_failed(ledger: Ledger) -> Batch | None:
    """Find the latest batch in which something failed."""
    for batch in reversed(ledger.batches()):
        if ledger.tally({batch.id}).get(JobState.EXCLUDED):
            return batch
    return None


def replan(desk: Desk, settings: Settings, batch: Batch, jobs: list[Job]) -> tuple[Settings, Plan]:
    """Plan these jobs of a batch anew: pinned and judged as they lie now, each in the folder that it had.

    Gives the settings too. What was done since, or is under way, is set aside as in any plan.
    """
    there: dict[str, Job] = {}
    gone: list[Refusal] = []
    for job in jobs:
        why = _why_not(job, desk.stores)
        if why:
            gone.append(Refusal(parse_uri(job.source).public(), why))
        else:
            there[str(parse_uri(job.source))] = job
    again = settings.model_copy(update=_as_before(batch, tuple(there)))
    folders = {address: job.folder for address, job in there.items()}
    index = RemoteIndex(desk.state.remote_index)
    plan = make_plan(again, desk.ledger, desk.stores, desk.clock.now(), folders=folders, index=index)
    for refusal in gone:
        plan.refused.append(refusal)
    since, left = _done_since(desk.ledger, batch) if again.redo else set(), PlannedJobs()
    for found in plan.jobs:
        if found.source.fingerprint in since:
            plan.done.append(found.source)
        else:
            left.append(found)
    return again, replace(plan, jobs=left, assets=batch.assets)


def _as_before(batch: Batch, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Give the settings that a batch was made with; what selects inputs has done its work."""
    remembered = {key: batch.options[key] for key in Settings().batch_options() if key in batch.options}
    selecting = {"include": (), "exclude": (), "newer_than": None, "max_files": None, "preset": None, "redo": False}
    return {
        **selecting,
        **remembered,
        "inputs": inputs,
        "to": batch.target,
        "provider": batch.provider,
        "pipeline": batch.pipeline,
        "params": batch.params,
    }


def _done_since(ledger: Ledger, batch: Batch) -> set[str]:
    """Give the fingerprints of what later batches did, as this one was meant to.

    The markers of a batch with --no-skip-existing cannot tell: they may be older than it.
    """
    later = [found for found in ledger.batches() if found.created_at > batch.created_at]
    meant = [found for found in later if (found.params_digest, found.target) == (batch.params_digest, batch.target)]
    return set(ledger.fingerprints([found.id for found in meant], JobState.PUBLISHED))


def _why_not(job: Job, stores: Stores) -> str:
    """Say why an input cannot be had any more; "" where it can."""
    uri = parse_uri(job.source)
    try:
        found = next(iter(stores.open(uri).list(uri)), None)
    except FramehaulError as exc:
        return str(exc)
    return "" if found is not None else "it is no longer there"
