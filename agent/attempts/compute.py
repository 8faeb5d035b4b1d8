"""Have one job computed by the worker, and note what a restart need not redo."""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from pathlib import Path

from agent.errors import AttemptFailed, WorkerDied, WorkerOverdue
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED, STARTED
from agent.worker import WorkerKeeper
from agent.worker_words import Done, Failed, Halted, News, Note, Progress, Run, Stage
from framehaul.clock import Clock
from framehaul.contract.states import AttemptReason, AttemptState
from framehaul.contract.wire import Json

_LAST_LINES = 8
_TAIL_BYTES = 4096
_KILLED_ADVICE = "SIGKILL is what a machine out of memory does; rent more memory."


async def compute(job: Job, worker: WorkerKeeper, clock: Clock) -> None:
    """Run the pipeline; afterwards the attempt is delivering and its journal vouches for the outputs."""
    await asyncio.to_thread(_clear, job.folder.outputs)
    job.move(AttemptState.RUNNING, stage="start")
    started_at = clock.now()
    job.journal.add(STARTED, at=started_at, inputs=_input_sizes(job))
    done = await _work(job, worker)
    entry: dict[str, Json] = {
        "outputs": _output_sizes(job),
        "started_at": started_at,
        "finished_at": clock.now(),
        **done.model_dump(mode="json", exclude={"kind"}),
    }
    job.journal.add(COMPUTED, **entry)
    job.move(AttemptState.DELIVERING, stage="hash")


async def _work(job: Job, worker: WorkerKeeper) -> Done:
    try:
        ending = await worker.run(_order(job), lambda news: _pass_on(job, news))
    except WorkerDied as exc:
        sentence = f"{exc.message} {_KILLED_ADVICE}" if "SIGKILL" in exc.message else exc.message
        raise AttemptFailed(AttemptReason.WORKER_DIED, _with_last_lines(sentence, job.folder.stdout_log)) from exc
    except WorkerOverdue as exc:
        raise AttemptFailed(exc.reason, _with_last_lines(str(exc), job.folder.stdout_log)) from exc
    match ending:
        case Done():
            return ending
        case Failed():
            raise AttemptFailed(ending.reason, ending.message, advice=ending.advice)
        case Halted():
            # Nobody asked: a pipeline that raises Stopped by itself has not done its work.
            raise AttemptFailed(AttemptReason.PIPELINE_FAILED, "The pipeline stopped without being asked to.")


def _order(job: Job) -> Run:
    spec, folder = job.spec, job.folder
    return Run(
        pipeline=spec.pipeline,
        params=spec.params,
        inputs={entry.slot: str(job.input_path(entry.slot)) for entry in spec.inputs},
        outputs={output.slot: str(job.output_path(output.slot)) for output in spec.outputs},
        parts=str(folder.parts),
        preview=str(folder.preview),
        stdout=str(folder.stdout_log),
        limits=spec.limits,
    )


def _pass_on(job: Job, news: News) -> None:
    match news:
        case Stage():
            job.begin_stage(news.name, news.unit)
        case Progress():
            job.progress(news.done, news.total)
        case Note():
            job.note(news.message)


def _input_sizes(job: Job) -> dict[str, Json]:
    return {entry.slot: job.input_path(entry.slot).stat().st_size for entry in job.spec.inputs}


def _output_sizes(job: Job) -> dict[str, Json]:
    sizes: dict[str, Json] = {}
    for output in job.spec.outputs:
        path = job.output_path(output.slot)
        if path.is_symlink() or not path.is_file():
            raise AttemptFailed(AttemptReason.PIPELINE_FAILED, f"The pipeline did not make {output.name}.")
        sizes[output.slot] = path.stat().st_size
    return sizes


def _clear(folder: Path) -> None:
    """Remove what an interrupted run left: outputs are trusted only when the journal vouches for them."""
    shutil.rmtree(folder)
    folder.mkdir()


def _with_last_lines(sentence: str, log: Path) -> str:
    if not log.exists():
        return sentence
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = deque(file.read().decode(errors="replace").splitlines(), maxlen=_LAST_LINES)
    return sentence + (f" Its last words: {' / '.join(lines)}" if lines else "")
