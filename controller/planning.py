"""Plan a batch, for free: list, pin, probe, set aside what is done, judge, name, estimate."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

from controller.inputs import Refusal, Selection, Source, find_sources, probe_source
from controller.ledger import Batch, Job, Ledger
from controller.ledger.rows import PinnedAsset, WishWord
from controller.planned import Plan, PlannedJob, plan_as_json, priced
from controller.settings import Settings
from controller.target import check_target, judge_folder, judge_kind
from framehaul.contract.naming import DONE_PREFIX, done_marker, manifest_name, params_digest, timestamp
from framehaul.contract.spec import OutputSlot
from framehaul.contract.states import JobReason, JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import BadParams, MediaError, StoreError
from framehaul.media.probe import MediaInfo
from framehaul.pipelines.base import Asset, Params, Pipeline
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import Stores

__all__ = ["Plan", "PlannedJob", "check_target", "make_plan", "plan_as_json", "priced", "write_batch"]


def make_plan(
    settings: Settings,
    ledger: Ledger,
    stores: Stores,
    now: float,
    *,
    tell: Callable[[str], None] = lambda text: None,
    folders: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """Look at every input; InputError or ConfigError where the request itself cannot stand.

    Blocks; spends nothing, writes nothing. `max_files` counts the jobs: what is done or refused uses none of it up.
    `folders` holds, by an input's address, the folder that its results had before.
    """
    pipeline = load_pipeline(settings.pipeline)
    params, assets = pipeline.pack(pipeline.parse(settings.params))
    raw = params.model_dump(mode="json")
    target = parse_uri(settings.to)
    judge_kind(target)
    digest = params_digest(pipeline.name, raw, pipeline.model_sha256(params))
    plan = Plan(
        pipeline.name,
        raw,
        digest,
        target,
        settings.provider,
        now,
        assets=tuple(_pinned(asset, stores) for asset in assets),
    )
    markers = set() if settings.redo else _markers(target, stores)
    busy = {(job.fingerprint, batch.params_digest, _place(batch.target)): job for batch, job in _open_jobs(ledger)}
    names: set[str] = set()
    selection = Selection.of(settings, now)
    for found in find_sources(settings.inputs, pipeline.takes, target, stores, selection, plan.set_aside):
        if isinstance(found, Refusal):
            plan.refused.append(found)
            continue
        found = replace(found, folder=folders.get(str(found.uri), found.folder))
        tell(found.name)
        running = busy.get((found.fingerprint, digest, _place(settings.to)))
        if running is not None:
            plan.under_way.append((found, running))
        elif done_marker(found.fingerprint, digest) in markers:
            plan.done.append(found)
        else:
            _add(plan, pipeline, params, found, names, stores)
        if len(plan.jobs) == settings.max_files:
            plan.set_aside.stopped_at = settings.max_files
            break
    if plan.jobs:
        judge_folder(target)
    return _with_time(plan, ledger)


def write_batch(plan: Plan, settings: Settings, ledger: Ledger) -> Batch:
    """Put a plan into the ledger: from now on it is a wish that any run carries out.

    No two batches share a second: the second stands in every output's name, and two runs at once must not meet there.
    """
    while True:
        batch = _batch(plan, settings)
        if ledger.add_batch(batch, [_row(batch, number, job, plan.rate_s) for number, job in enumerate(plan.jobs, 1)]):
            return batch
        plan = _a_second_later(plan)


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


def _a_second_later(plan: Plan) -> Plan:
    pipeline, at = load_pipeline(plan.pipeline), plan.created_at + 1
    params = pipeline.parse(plan.params)
    jobs = [replace(job, outputs=pipeline.output_slots(params, [job.source.name], at, job.number)) for job in plan.jobs]
    return replace(plan, created_at=at, jobs=jobs)


def _add(plan: Plan, pipeline: Pipeline[Any], params: Params, source: Source, names: set[str], stores: Stores) -> None:
    try:
        media = _probed(source, pipeline, params, stores) if pipeline.takes.kind == "video" else None
        pipeline.judge(params, source.name, media)
        outputs, number = _free_names(plan, pipeline, params, source, names)
    except (MediaError, BadParams, StoreError) as exc:
        plan.refused.append(Refusal(source.uri.public(), str(exc)))
        return
    names.update(_spelling(source, output) for output in outputs)
    needs, estimate = pipeline.needs(params, media, source.size), pipeline.estimate(params, media, source.size)
    notes = pipeline.notes(params, source.name, media)
    plan.jobs.append(PlannedJob(source, outputs, media, needs, estimate, number, notes))


def _pinned(asset: Asset, stores: Stores) -> PinnedAsset:
    """Pin a file that travels along, by the same fingerprint as an input on this disk."""
    uri = parse_uri(str(asset.path))
    found = stores.open(uri).stat(uri)
    return PinnedAsset(asset.slot, str(uri), asset.path.name, found.size or 0, found.fingerprint)


def _free_names(
    plan: Plan, pipeline: Pipeline[Any], params: Params, source: Source, names: set[str]
) -> tuple[tuple[OutputSlot, ...], int]:
    """Number the outputs of inputs that share a stem: clip.mp4 and clip.mkv must not meet."""
    number = 1
    while True:
        outputs = pipeline.output_slots(params, [source.name], plan.created_at, number)
        if not any(_spelling(source, output) in names for output in outputs):
            return outputs, number
        number += 1


def _spelling(source: Source, output: OutputSlot) -> str:
    """Spell an output as a disk may that knows no capitals, or one way of writing accents only."""
    return unicodedata.normalize("NFC", source.folder + output.name).casefold()


def _probed(source: Source, pipeline: Pipeline[Any], params: Params, stores: Stores) -> MediaInfo:
    return probe_source(source, stores, allow_truncated=pipeline.takes_truncated(params))


def _markers(target: Uri, stores: Stores) -> set[str]:
    """Read which work is done from one listing, by names alone."""
    store, base = stores.open(target), target.join("")
    prefix = len(base.key)
    return {entry.uri.key[prefix:] for entry in store.list(target.join(DONE_PREFIX))}


def _place(address: str) -> str:
    """Spell an output folder in one way, with or without a slash at its end."""
    return str(parse_uri(address).join(""))


def _open_jobs(ledger: Ledger) -> list[tuple[Batch, Job]]:
    batches = {batch.id: batch for batch in ledger.batches(unclosed=True)}
    return [(batches[job.batch_id], job) for job in ledger.open_jobs() if job.batch_id in batches]


def _with_time(plan: Plan, ledger: Ledger) -> Plan:
    """Estimate the time from what this pipeline has taken per unit of work before; unknown on the first run."""
    rates = []
    for batch in ledger.batches():
        if (batch.provider, batch.pipeline) != (plan.provider, plan.pipeline):
            continue
        for job in ledger.jobs(batch_id=batch.id):
            work = job.figures.get("work")
            if work and job.figures.get("seconds"):
                rates.append(job.figures["seconds"] / work)
    work = sum(job.work for job in plan.jobs)
    if rates and work:
        rates.sort()
        return replace(plan, seconds=work * rates[len(rates) // 2], rate_s=rates[len(rates) // 2])
    return plan


def _row(batch: Batch, number: int, job: PlannedJob, rate_s: float | None) -> dict[str, Any]:
    slots = [output.model_dump() for output in job.outputs]
    figures: dict[str, Any] = {"work": job.work}
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
        "outputs": {"slots": slots, "manifest": manifest_name(job.outputs[0].name)},
        "folder": job.source.folder,
        "frames": job.estimate.frames,
        "attempt": 0,
        "figures": figures,
        "created_at": batch.created_at,
        "updated_at": batch.created_at,
    }
