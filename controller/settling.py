"""Turn inputs into planned jobs: look into several at once, judge, name the results, reckon what it takes."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from controller.access import check_reading
from controller.inputs import Refusal, Source, probe_source
from controller.jobsheet import PlannedJob
from controller.likeness import Likeness
from controller.planned import Plan
from controller.spool import Register
from controller.target import judge_names
from framehaul.contract.spec import OutputSlot
from framehaul.errors import BadParams, MediaError, StoreError
from framehaul.media.probe import MediaInfo
from framehaul.pipelines.base import Params, Pipeline
from framehaul.storage.base import Stores

# A header takes a few round trips of waiting each, and hardly any work: 16 at once are 16 times as fast.
AT_ONCE = 16


@dataclass
class Settling:
    """Adds jobs and refusals to a plan, in the order in which the inputs come. To be closed."""

    plan: Plan
    pipeline: Pipeline[Any]
    params: Params
    stores: Stores
    most_probed: int
    most_jobs: int | None
    likeness: Likeness = field(default_factory=Likeness)
    unprobed: int = 0
    _asked: int = 0
    _names: Register = field(default_factory=Register)
    _places: set[tuple[str, str]] = field(default_factory=set)
    _ahead: deque[tuple[Source, Future[MediaInfo]]] = field(default_factory=deque)
    _threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    @property
    def full(self) -> bool:
        """Say whether there are as many jobs as were asked for."""
        return len(self.plan.jobs) == self.most_jobs

    def add(self, source: Source) -> None:
        """Take one input; what is looked into becomes a job once its turn comes, at the latest with `finish`."""
        self._note_place(source)
        if self.pipeline.takes.kind != "video":
            self._settle(source, None)
        elif self._asked >= self.most_probed:
            self.finish()  # what is not looked into is reckoned by those that were
            self._settle_unseen(source)
        else:
            self._asked += 1
            self._ahead.append((source, self._pool().submit(self._probed, source)))
            while len(self._ahead) >= AT_ONCE or self._would_suffice():
                self._settle_first()

    def finish(self) -> None:
        """Settle whatever is still being looked into."""
        while self._ahead:
            self._settle_first()

    def remarks(self) -> Iterator[str]:
        """Say how much was reckoned without looking."""
        if self.unprobed:
            from_what = (
                f"reckoned by their size from the {self.likeness.inputs} that were"
                if self.likeness.inputs
                else "what their kind takes at most"
            )
            yield (
                f"{self.unprobed} of the inputs were not looked into (probe_files is {self.most_probed}):"
                f" what they take is {from_what}, and each is judged at its machine."
            )

    def _would_suffice(self) -> bool:
        """Say whether the jobs and what is looked into are as many as are wanted: no more is read than that."""
        return bool(self._ahead) and len(self.plan.jobs) + len(self._ahead) == self.most_jobs

    def _note_place(self, source: Source) -> None:
        """Try the first input of each bucket before sixteen are read at once; what is not read now is tried later."""
        place = (source.uri.scheme, source.uri.authority)
        if place not in self._places:
            self._places.add(place)
            if self.pipeline.takes.kind == "video" and self.most_probed:
                check_reading(source.uri, source.size, self.stores)
            else:
                self.plan.samples.append(source)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe")
        return self._threads

    def _probed(self, source: Source) -> MediaInfo:
        return probe_source(source, self.stores, allow_truncated=self.pipeline.takes_truncated(self.params))

    def _settle_first(self) -> None:
        source, told = self._ahead.popleft()
        try:
            media = told.result()
        except (MediaError, StoreError) as exc:
            self._refuse(source, exc)
            return
        self._settle(source, media)

    def _settle_unseen(self, source: Source) -> None:
        if source.size == 0:
            self._refuse(source, MediaError(f"{source.name} is empty (0 bytes)."))
        else:
            self._settle(source, None, unseen=True)

    def _settle(self, source: Source, media: MediaInfo | None, *, unseen: bool = False) -> None:
        pipeline, params = self.pipeline, self.params
        try:
            pipeline.judge(params, source.name, media)
            outputs, number = self._free_names(source)
            judge_names(self.plan.target, source.folder, outputs)
        except (BadParams, StoreError) as exc:
            self._refuse(source, exc)
            return
        needs, estimate = pipeline.needs(params, media, source.size), pipeline.estimate(params, media, source.size)
        if unseen:
            self.unprobed += 1
            needs, estimate = self.likeness.needs(needs, source.size), self.likeness.estimate(estimate, source.size)
        elif media is not None:
            self.likeness.learn(source.size, needs, estimate)
        notes = pipeline.notes(params, source.name, media)
        self.plan.jobs.append(PlannedJob(source, outputs, media, needs, estimate, number, notes))

    def _refuse(self, source: Source, why: Exception) -> None:
        self.plan.refused.append(Refusal(source.uri.public(), str(why)))

    def _free_names(self, source: Source) -> tuple[tuple[OutputSlot, ...], int]:
        """Take names, numbered where inputs share a stem: clip.mp4 and clip.mkv must not meet."""
        number = 1
        while True:
            outputs = self.pipeline.output_slots(self.params, [source.name], self.plan.created_at, number)
            if all(self._names.add(spelling(source, output)) for output in outputs):  # a name once taken stays so
                return outputs, number
            number += 1


def spelling(source: Source, output: OutputSlot) -> str:
    """Spell an output as a disk may that knows no capitals, or one way of writing accents only."""
    name = source.folder + output.name
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
