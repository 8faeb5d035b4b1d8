"""Copy in chunks, at the rate that was asked for."""

from __future__ import annotations

from framehaul.clock import Clock, clock_from
from framehaul.errors import Stopped
from framehaul.pipelines.base import Outcome, Task
from framehaul.pipelines.copy.spec import PIPELINE

_CHUNK_BYTES = 1 << 20


class CopyRunner:
    """Copy one file; needs no torch."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or clock_from()

    def run(self, task: Task) -> Outcome:
        """Copy the only input to the only output."""
        params = PIPELINE.parse(task.params)
        (source,), (target,) = task.inputs.values(), task.outputs.values()
        total, done = source.stat().st_size, 0
        chunk = min(_CHUNK_BYTES, params.rate_bytes_s or _CHUNK_BYTES)
        draft = task.parts / f"{target.name}.part"
        task.reporter.stage("copy", unit="bytes")
        began = self._clock.now()
        with source.open("rb") as reader, draft.open("wb") as writer:
            while data := reader.read(chunk):
                if task.reporter.should_stop():
                    raise Stopped("The copy was asked to stop.")
                if params.rate_bytes_s:
                    self._clock.wait(len(data) / params.rate_bytes_s)
                writer.write(data)
                done += len(data)
                task.reporter.progress(done, total)
        draft.replace(target)
        return Outcome(stage_seconds={"copy": self._clock.now() - began}, details={"bytes": done})


RUNNER = CopyRunner
