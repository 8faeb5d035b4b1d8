"""Do one job on this machine without a server: the same folder, queue and worker, fed by hand.

State lies in OUTPUT/.framehaul-agent/JOB until the job is done, on the same disk as the results. So the same
command, given again after Ctrl-C or a power cut, keeps the names that it had chosen; what was computed whole is
delivered, what was not is computed anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

from agent.attempts.delivery import clear_leftovers
from agent.errors import HomeInUse
from agent.jobs.job import Job
from agent.service import Agent, Setup
from agent.threads import use_unjoined_threads
from framehaul.clock import Clock, clock_from, wait_for_event
from framehaul.contract.grants import FileIn, FileOut, GrantSet
from framehaul.contract.naming import check_file_name, manifest_name, params_digest
from framehaul.contract.spec import InputSpec, JobSpec
from framehaul.contract.states import AttemptState
from framehaul.contract.status import JobStatus
from framehaul.contract.wire import Json, canonical_json
from framehaul.errors import BadParams, InputError
from framehaul.pipelines.base import Asset, Pipeline
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.local import disk_fingerprint

STATE_FOLDER = ".framehaul-agent"
# Progress rings far more often than a person reads; in a file, even a line a second is hundreds that nobody reads.
_LOOK_EVERY_S = 1.0
_LINE_EVERY_S = 10.0


@dataclass(frozen=True)
class OneShot:
    """The words of `agent run`; params as NAME=VALUE, and they win over the preset."""

    pipeline: str
    inputs: tuple[Path, ...]
    output: Path
    params: tuple[str, ...]
    preset: str | None = None


@dataclass(frozen=True)
class Order:
    """The order that the words mean, and where the bytes of each input slot lie."""

    spec: JobSpec
    sources: Mapping[str, Path]


def run_once(told: OneShot, clock: Clock | None = None) -> bool:
    """Do the job and tell about it; False when it failed. SIGTERM raises KeyboardInterrupt, as SIGINT does."""
    try:
        return asyncio.run(_run(told, clock or clock_from()))
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc


async def _run(told: OneShot, clock: Clock) -> bool:
    use_unjoined_threads()
    order = order_from(told, clock.now())
    spec = order.spec
    told.output.mkdir(parents=True, exist_ok=True)
    home = told.output / STATE_FOLDER / spec.job_id
    agent = _agent(home, clock)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await agent.start()
        job = _submit(agent, spec)
        if job.grants is None:
            job.accept_grants(grants_for(job.spec, order.sources, told.output))
        await _watch(job, ProgressLine(sys.stdout), clock)
    finally:
        await agent.close()
        _clear_interrupted(agent.store.find(spec.job_id))
    return _conclude(job, told.output, home)


def _agent(home: Path, clock: Clock) -> Agent:
    try:
        return Agent(Setup(home, clock, allow_file_grants=True))
    except HomeInUse as exc:
        raise HomeInUse("The same command is already running; wait for it.") from exc


def order_from(told: OneShot, now: float) -> Order:
    """Judge the words, and write the order that they mean."""
    pipeline = load_pipeline(told.pipeline)
    parsed, assets = pipeline.pack(pipeline.parse(_params(told, pipeline)))
    params = parsed.model_dump(mode="json")
    entries = _entries(told.inputs)
    for entry in entries:
        pipeline.judge(parsed, entry.name, None)
    takes = pipeline.takes
    if len(entries) < takes.at_least or (takes.at_most is not None and len(entries) > takes.at_most):
        raise BadParams(f"{told.pipeline} does not take {len(entries)} inputs.", advice="See its card in /info.")
    outputs = pipeline.output_slots(parsed, [entry.name for entry in entries], now, 1)
    digest = params_digest(told.pipeline, params, pipeline.model_sha256(parsed))
    job_id = _job_id(digest, entries)
    spec = JobSpec(
        job_id=job_id,
        attempt=1,
        batch_id=job_id,
        pipeline=told.pipeline,
        pipeline_digest=pipeline.card().digest(),
        params=params,
        params_digest=digest,
        inputs=(*entries, *(_entry(asset.slot, asset.path) for asset in assets)),
        outputs=outputs,
        manifest_name=manifest_name(outputs[0].name),
        created_at=now,
    )
    return Order(spec, _sources(told.inputs, entries, assets))


def grants_for(spec: JobSpec, sources: Mapping[str, Path], output: Path) -> GrantSet:
    """Let the job read the inputs and write into the folder of the results."""
    folder = output.resolve()
    return GrantSet(
        job_id=spec.job_id,
        attempt=spec.attempt,
        generation=1,
        inputs={slot: FileIn(path=str(path.resolve())) for slot, path in sources.items()},
        outputs={slot: FileOut(path=str(folder / name)) for slot, name in spec.output_names().items()},
    )


class ProgressLine:
    """One line, written over on a terminal; elsewhere a line a stage, and one in ten seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._over = out.isatty()
        self._last = ""
        self._stage = ""
        self._shown_at = 0.0

    def show(self, status: JobStatus) -> None:
        """Print where the job stands, unless that was said already."""
        line = describe(status)
        stage = f"{status.state} {status.stage}"
        too_soon = stage == self._stage and status.updated_at - self._shown_at < _LINE_EVERY_S
        if line == self._last or (too_soon and not self._over):
            return
        self._stage, self._shown_at = stage, status.updated_at
        padding = " " * (len(self._last) - len(line)) if self._over else ""
        self._out.write(f"\r{line}{padding}" if self._over else f"{line}\n")
        self._out.flush()
        self._last = line

    def end(self) -> None:
        """Leave the line standing."""
        if self._over and self._last:
            self._out.write("\n")
            self._out.flush()


def describe(status: JobStatus) -> str:
    """Say `frame X/Y  fps  ETA` as far as it is known."""
    if status.state is not AttemptState.RUNNING or not status.done:
        return f"{status.state} {status.stage}".strip()
    total = "" if status.total is None else f"/{status.total}"
    what = "frame" if status.unit == "frames" else "byte"
    fps = "" if status.fps is None else f"  {status.fps:.1f} fps"
    eta = "" if status.eta_s is None else f"  ETA {_duration(status.eta_s)}"
    return f"{status.stage}: {what} {status.done}{total}{fps}{eta}"


async def _watch(job: Job, line: ProgressLine, clock: Clock) -> None:
    try:
        while not job.final:
            rung = job.bell.next()
            line.show(job.status)
            await wait_for_event(clock, rung, _LOOK_EVERY_S)
            if job.status.state is AttemptState.RUNNING:
                await clock.sleep(_LOOK_EVERY_S)
    finally:
        line.end()


def _submit(agent: Agent, spec: JobSpec) -> Job:
    """Go on with what an earlier call began, or begin."""
    present = agent.store.find(spec.job_id)
    if present and not present.final:
        return present
    job = agent.store.create(spec)
    agent.queue.submit(job)
    return job


def _clear_interrupted(job: Job | None) -> None:
    """Free what nobody takes up again: half a result, copied inputs. The order stays, and with it the names."""
    if job and not job.final:
        clear_leftovers(job)


def _conclude(job: Job, output: Path, home: Path) -> bool:
    if job.status.state is not AttemptState.DELIVERED:
        print(f"{job.status.state} ({job.status.reason}): {job.status.message}", file=sys.stderr)
        if log := _keep_log(job.folder.stdout_log, home):
            print(f"What the pipeline printed is in {log}, which you may delete.", file=sys.stderr)
        return False
    for name in job.spec.output_names().values():
        print(output / name)
    _remove_state(home)
    return True


def _keep_log(log: Path, home: Path) -> Path | None:
    """Remove a failed job's state but for what its pipeline printed; None where that is nothing."""
    if not log.is_file() or not log.stat().st_size:
        _remove_state(home)
        return None
    kept = log.replace(home / log.name)
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path != kept:
            path.unlink()
    return kept


def _remove_state(home: Path) -> None:
    shutil.rmtree(home)
    with contextlib.suppress(OSError):  # another job's state lies there
        home.parent.rmdir()


def _entries(paths: Sequence[Path]) -> tuple[InputSpec, ...]:
    for path in paths:
        _check_name(path)
        if not path.is_file():
            raise InputError(f"There is no file {_shown(path)}.", advice="Give --input a file on this machine.")
    slots = ["source"] if len(paths) == 1 else [f"source_{number}" for number in range(1, len(paths) + 1)]
    return tuple(_entry(slot, path) for slot, path in zip(slots, paths, strict=True))


def _check_name(path: Path) -> None:
    try:
        check_file_name(path.name)
    except ValueError as exc:
        advice = "Rename the file, or make a link to it with a plain name."
        raise InputError(f"The input cannot be used: {exc}.", advice=advice) from exc


def _shown(path: Path) -> str:
    """Write a path as it was typed, unless that would confuse a terminal."""
    return str(path) if str(path).isprintable() else repr(str(path))


def _entry(slot: str, path: Path) -> InputSpec:
    return InputSpec(slot=slot, name=path.name, size=path.stat().st_size, fingerprint=disk_fingerprint(path))


def _sources(inputs: Sequence[Path], entries: Sequence[InputSpec], assets: Sequence[Asset]) -> dict[str, Path]:
    videos = {entry.slot: path for entry, path in zip(entries, inputs, strict=True)}
    return videos | {asset.slot: asset.path for asset in assets}


def _job_id(digest: str, entries: Sequence[InputSpec]) -> str:
    """Name the job by what it does to what, so that the same command finds it again."""
    said = canonical_json([digest, [[entry.name, entry.fingerprint] for entry in entries]])
    return f"once-{hashlib.sha256(said).hexdigest()[:24]}"


def _params(told: OneShot, pipeline: Pipeline[Any]) -> dict[str, Json]:
    """Lay the parameters over the preset's; BadParams where there is no such preset."""
    if told.preset is None:
        return dict(map(_param, told.params))
    if told.preset not in pipeline.presets:
        near = get_close_matches(told.preset, pipeline.presets, 1)
        known = f"It has {', '.join(pipeline.presets) or 'none'}."
        advice = f"Did you mean {near[0]!r}? {known}" if near else known
        raise BadParams(f"{told.pipeline} has no preset {told.preset!r}.", advice=advice)
    return {**pipeline.presets[told.preset], **dict(map(_param, told.params))}


def _param(text: str) -> tuple[str, Json]:
    """Read NAME=VALUE; a value that is JSON is taken as such: scale=2 is a number."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadParams(f"Not a parameter: {text!r}.", advice="Write --param name=value.")
    read: Callable[[str], Json] = json.loads
    try:
        return name, read(value)
    except ValueError:
        return name, value


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
