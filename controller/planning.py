"""Plan a batch, for free: list, pin, probe, set aside what is done, judge, name, estimate."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controller.errors import ConfigError
from controller.inputs import Refusal, Source, find_sources, probe_source
from controller.ledger import Batch, Job, Ledger
from controller.ledger.rows import PinnedAsset, WishWord
from controller.settings import Settings
from framehaul.contract.naming import DONE_PREFIX, done_marker, manifest_name, params_digest, timestamp
from framehaul.contract.pipeline import Estimate, Needs
from framehaul.contract.spec import OutputSlot
from framehaul.contract.states import JobReason, JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import BadParams, MediaError, StoreError
from framehaul.media.probe import MediaInfo
from framehaul.pipelines.base import Asset, Params, Pipeline
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import open_store


@dataclass(frozen=True)
class PlannedJob:
    """One job as it would be shipped."""

    source: Source
    outputs: tuple[OutputSlot, ...]
    media: MediaInfo | None
    needs: Needs
    estimate: Estimate
    number: int = 1


@dataclass(frozen=True)
class Plan:
    """What a batch would do, and what it sets aside."""

    pipeline: str
    params: dict[str, Any]
    params_digest: str
    target: Uri
    provider: str
    created_at: float
    jobs: list[PlannedJob] = field(default_factory=list)
    done: list[Source] = field(default_factory=list)
    under_way: list[tuple[Source, Job]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    seconds: float | None = None
    # Seconds that a unit of work took before.
    rate_s: float | None = None
    assets: tuple[PinnedAsset, ...] = ()

    @property
    def disk_gb(self) -> float:
        """The disk that the largest two jobs need at once: one runs, one waits."""
        largest = sorted((job.needs.disk_gb for job in self.jobs), reverse=True)
        return sum(largest[:2]) + 1.0


def make_plan(
    settings: Settings, ledger: Ledger, now: float, *, tell: Callable[[str], None] = lambda text: None
) -> Plan:
    """Look at every input; InputError where the request itself cannot stand. Blocks; spends nothing."""
    pipeline = load_pipeline(settings.pipeline)
    params, assets = pipeline.pack(pipeline.parse(settings.params))
    raw = params.model_dump(mode="json")
    target = parse_uri(settings.to)
    digest = params_digest(pipeline.name, raw, pipeline.model_sha256(params))
    plan = Plan(pipeline.name, raw, digest, target, settings.provider, now, assets=tuple(map(_pinned, assets)))
    markers = set() if settings.redo else _markers(target)
    busy = {(job.fingerprint, batch.params_digest, _place(batch.target)): job for batch, job in _open_jobs(ledger)}
    names: set[str] = set()
    for found in find_sources(settings.inputs, pipeline.takes, target):
        if isinstance(found, Refusal):
            plan.refused.append(found)
            continue
        tell(found.name)
        running = busy.get((found.fingerprint, digest, _place(settings.to)))
        if running is not None:
            plan.under_way.append((found, running))
        elif done_marker(found.fingerprint, digest) in markers:
            plan.done.append(found)
        else:
            _add(plan, pipeline, params, found, names)
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


def check_target(target: Uri) -> None:
    """Write a small object where results will go: better refused now than after the work is done and paid."""
    probe_at = target.join(".framehaul/writable")
    try:
        open_store(target).put(probe_at, [b"Framehaul writes here.\n"], replace=True)
    except StoreError as exc:
        raise ConfigError(f"Results cannot be written there: {exc}", advice="Name another folder with --to.") from exc


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


def _add(plan: Plan, pipeline: Pipeline[Any], params: Params, source: Source, names: set[str]) -> None:
    try:
        media = probe_source(source) if pipeline.takes.kind == "video" else None
        pipeline.judge(params, source.name, media)
        outputs, number = _free_names(plan, pipeline, params, source, names)
    except (MediaError, BadParams, StoreError) as exc:
        plan.refused.append(Refusal(source.uri.public(), str(exc)))
        return
    names.update(source.folder + output.name for output in outputs)
    needs, estimate = pipeline.needs(params, media, source.size), pipeline.estimate(params, media, source.size)
    plan.jobs.append(PlannedJob(source, outputs, media, needs, estimate, number))


def _pinned(asset: Asset) -> PinnedAsset:
    """Pin a file that travels along, by the same fingerprint as an input on this disk."""
    uri = parse_uri(str(asset.path))
    found = open_store(uri).stat(uri)
    return PinnedAsset(asset.slot, str(uri), asset.path.name, found.size or 0, found.fingerprint)


def _free_names(
    plan: Plan, pipeline: Pipeline[Any], params: Params, source: Source, names: set[str]
) -> tuple[tuple[OutputSlot, ...], int]:
    """Number the outputs of inputs that share a stem: clip.mp4 and clip.mkv must not meet."""
    number = 1
    while True:
        outputs = pipeline.output_slots(params, [source.name], plan.created_at, number)
        if not any(source.folder + output.name in names for output in outputs):
            return outputs, number
        number += 1


def _markers(target: Uri) -> set[str]:
    """Read which work is done from one listing, by names alone."""
    store, base = open_store(target), target.join("")
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
    work = sum(_work(job) for job in plan.jobs)
    if rates and work:
        rates.sort()
        return replace(plan, seconds=work * rates[len(rates) // 2], rate_s=rates[len(rates) // 2])
    return plan


def _work(job: PlannedJob) -> float:
    """Count a job's work: GFLOP where the pipeline knows, else gigabytes."""
    return job.estimate.gflop or (job.source.size or 0) / 1e9


def _row(batch: Batch, number: int, job: PlannedJob, rate_s: float | None) -> dict[str, Any]:
    slots = [output.model_dump() for output in job.outputs]
    figures: dict[str, Any] = {"work": _work(job)}
    if rate_s is not None:
        figures["estimate_s"] = _work(job) * rate_s
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


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Give the plan for machines."""
    return {
        "pipeline": plan.pipeline,
        "params": plan.params,
        "provider": plan.provider,
        "to": str(plan.target),
        "disk_gb": plan.disk_gb,
        "seconds": plan.seconds,
        "jobs": [
            {
                "input": job.source.uri.public(),
                "size": job.source.size,
                "outputs": {output.slot: job.source.folder + output.name for output in job.outputs},
                "needs": job.needs.model_dump(),
                "estimate": job.estimate.model_dump(),
                "video": None if job.media is None else _video(job.media),
            }
            for job in plan.jobs
        ],
        "done": [source.uri.public() for source in plan.done],
        "under_way": [{"input": source.uri.public(), "job": job.id} for source, job in plan.under_way],
        "refused": [asdict(refusal) for refusal in plan.refused],
    }


def _video(media: MediaInfo) -> dict[str, Any]:
    video = media.video
    return {
        "container": media.container,
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "frames": media.frames_estimate,
        "seconds": media.duration_s,
    }
