"""Plan a batch, for free: list, pin, set aside what is done, probe, judge, name, estimate."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from controller.inputs import Refusal, Selection, find_sources
from controller.jobsheet import PlannedJob, RunningJob
from controller.ledger import Batch, Ledger
from controller.ledger.rows import PinnedAsset, WishWord
from controller.markers import Markers
from controller.planned import Plan, plan_as_json, priced
from controller.remote_index import RemoteIndex
from controller.settings import Settings
from controller.settling import Settling
from controller.spool import Register
from controller.target import check_target, judge_folder, judge_kind
from framehaul.contract.naming import manifest_name, params_digest, timestamp
from framehaul.contract.states import JobReason, JobState
from framehaul.contract.uris import parse_uri
from framehaul.pipelines.base import Asset, Params, Pipeline
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import Stores

__all__ = ["Plan", "PlannedJob", "check_target", "make_plan", "plan_as_json", "priced", "write_batch"]

# So many jobs that were done tell how long a unit of work takes.
_ENOUGH_RATES = 500
_WORTH_TELLING_S = 60.0


def make_plan(
    settings: Settings,
    ledger: Ledger,
    stores: Stores,
    now: float,
    *,
    folders: Mapping[str, str] = MappingProxyType({}),
    index: RemoteIndex | None = None,
) -> Plan:
    """Look at every input; InputError or ConfigError where the request itself cannot stand.

    Blocks; spends nothing, writes nothing but the `index` of what is done. `max_files` counts the jobs: what is done
    or refused uses none of it up. `folders` holds, by an input's address, the folder that its results had before.
    """
    pipeline = load_pipeline(settings.pipeline)
    params, assets = pipeline.pack(pipeline.parse(settings.params))
    target = parse_uri(settings.to)
    judge_kind(target)
    raw = params.model_dump(mode="json")
    digest = params_digest(pipeline.name, raw, pipeline.model_sha256(params))
    pinned = tuple(_pinned(asset, stores) for asset in assets)

    def fill(markers: Markers) -> Plan:
        blank = Plan(pipeline.name, raw, digest, target, settings.provider, now, assets=pinned)
        _fill(blank, _Request(settings, pipeline, params, folders), ledger, stores, markers)
        return blank

    with Markers(target, digest, stores, index, now) as markers:
        if not settings.redo:
            markers.look(refresh=settings.refresh_remote_index)
        plan = fill(markers)
        if markers.age_s is not None and plan.done and not plan.jobs:
            # "Nothing is left to do" is never said from memory: somebody may have deleted the results meanwhile.
            markers.look(refresh=True)
            if not all(markers.hold(source.fingerprint) for source in plan.done):
                plan = fill(markers)
        plan.remarks.extend(_remarks(markers))
    if plan.jobs:
        judge_folder(target)
    return _with_time(plan, ledger)


def write_batch(plan: Plan, settings: Settings, ledger: Ledger) -> Batch:
    """Put a plan into the ledger: from now on it is a wish that any run carries out.

    No two batches share a second: the second stands in every output's name, and two runs at once must not meet there.
    """
    at = plan.created_at
    while True:
        batch = _batch(replace(plan, created_at=at), settings)
        if ledger.add_batch(batch, _rows(plan, batch)):
            return batch
        at += 1


@dataclass(frozen=True)
class _Request:
    """What was asked for."""

    settings: Settings
    pipeline: Pipeline[Any]
    params: Params
    folders: Mapping[str, str]


def _fill(plan: Plan, request: _Request, ledger: Ledger, stores: Stores, markers: Markers) -> None:
    """Sort every input into the plan's lists."""
    settings, pipeline, folders = request.settings, request.pipeline, request.folders
    selection = Selection.of(settings, plan.created_at)
    busy = _under_way(plan, ledger)
    found_all = find_sources(settings.inputs, pipeline.takes, plan.target, stores, selection, plan.set_aside)
    with Settling(plan, pipeline, request.params, stores, settings.probe_files, settings.max_files) as settling:
        for found in found_all:
            if isinstance(found, Refusal):
                plan.refused.append(found)
                continue
            source = replace(found, folder=folders.get(str(found.uri), found.folder)) if folders else found
            running = None if busy is None else busy.get(source.fingerprint)
            if running is not None:
                plan.under_way.append((source, RunningJob(*running.split())))
            elif markers.hold(source.fingerprint):
                plan.done.append(source)
            else:
                settling.add(source)
            if settling.full:
                plan.set_aside.stopped_at = settings.max_files
                break
        settling.finish()
        plan.remarks.extend(settling.remarks())


def _under_way(plan: Plan, ledger: Ledger) -> Register | None:
    """Gather which inputs are worked on in just this way for this very place; None where none is."""
    place = _place(str(plan.target))
    batches = [
        batch.id
        for batch in ledger.batches(unclosed=True)
        if batch.params_digest == plan.params_digest and _place(batch.target) == place
    ]
    busy = Register()
    for fingerprint, job_id, batch_id in ledger.open_inputs(batches):
        busy.add(fingerprint, f"{job_id} {batch_id}")
    return busy if batches else None


def _remarks(markers: Markers) -> Iterator[str]:
    if markers.trouble:
        yield markers.trouble
    # Nobody has to be told of what this laptop looked at a moment ago: that is every run after its own plan.
    if markers.age_s is not None and markers.age_s >= _WORTH_TELLING_S:
        minutes = round(markers.age_s / 60)
        ago = "a minute" if minutes == 1 else f"{minutes} minutes"
        yield f"What is done already is known from a listing {ago} ago. To look anew: --refresh-remote-index"


def _batch(plan: Plan, settings: Settings) -> Batch:
    stamp = timestamp(plan.created_at).replace("_", "-")
    return Batch(
        id=f"b-{stamp}-{secrets.token_hex(2)}",
        created_at=plan.created_at,
        provider=plan.provider,
        pipeline=plan.pipeline,
        params=plan.params,
        params_digest=plan.params_digest,
        target=str(plan.target),
        options={
            **settings.batch_options(),
            "disk_gb": plan.disk_gb,
            "assets": [asdict(asset) for asset in plan.assets],
        },
        wish=WishWord.RUN,
    )


def _pinned(asset: Asset, stores: Stores) -> PinnedAsset:
    """Pin a file that travels along, by the same fingerprint as an input on this disk."""
    uri = parse_uri(str(asset.path))
    found = stores.open(uri).stat(uri)
    return PinnedAsset(asset.slot, str(uri), asset.path.name, found.size or 0, found.fingerprint)


def _place(address: str) -> str:
    """Spell an output folder in one way, with or without a slash at its end."""
    return str(parse_uri(address).join(""))


def _with_time(plan: Plan, ledger: Ledger) -> Plan:
    """Estimate the time from what this pipeline has taken per unit of work before; unknown on the first run."""
    if not plan.work:
        return plan
    latest_first = (
        batch.id
        for batch in reversed(ledger.batches())
        if (batch.provider, batch.pipeline) == (plan.provider, plan.pipeline)
    )
    rates = sorted(ledger.rates(latest_first, _ENOUGH_RATES))
    if not rates:
        return plan
    rate_s = rates[len(rates) // 2]
    return replace(plan, seconds=plan.work * rate_s, rate_s=rate_s)


def _rows(plan: Plan, batch: Batch) -> Iterator[dict[str, Any]]:
    """Write the jobs as the ledger's rows, one after another; a batch of a later second names its results anew."""
    pipeline = load_pipeline(plan.pipeline)
    params = pipeline.parse(plan.params)
    for number, job in enumerate(plan.jobs, 1):
        if batch.created_at != plan.created_at:
            names = pipeline.output_slots(params, [job.source.name], batch.created_at, job.number)
            job = replace(job, outputs=names)
        yield _row(batch, number, job, plan.rate_s)


def _row(batch: Batch, number: int, job: PlannedJob, rate_s: float | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"work": job.work, "disk_bytes": int(job.needs.disk_gb * 1e9)}
    if rate_s is not None:
        figures["estimate_s"] = job.work * rate_s
    return {
        "id": f"{batch.id}-{number:05d}",
        "batch_id": batch.id,
        "seq": number,
        "state": JobState.PLANNED,
        "reason": JobReason.NONE,
        "message": "",
        "source": str(job.source.uri),
        "name": job.source.name,
        "size": job.source.size,
        "fingerprint": job.source.fingerprint,
        "outputs": {
            "slots": [{"slot": output.slot, "name": output.name} for output in job.outputs],
            "manifest": manifest_name(job.outputs[0].name),
        },
        "folder": job.source.folder,
        "frames": job.estimate.frames,
        "attempt": 0,
        "figures": figures,
        "created_at": batch.created_at,
        "updated_at": batch.created_at,
    }
