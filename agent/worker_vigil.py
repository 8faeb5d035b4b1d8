"""Watch over a worker's silence and its time, so that one that hangs costs minutes and not the lease."""

from __future__ import annotations

from agent.errors import WorkerOverdue
from agent.worker_words import News, Progress, Stage
from framehaul.contract.spec import Limits
from framehaul.contract.states import AttemptReason

LOOK_EVERY_S = 5.0
# What passes between two looks counts for so long at most: hours in which the machine slept, or by which its clock
# was set, are nobody's silence.
_LONGEST_STEP_S = 60.0


class Vigil:
    """Count, for one attempt, how long its worker has been silent and how long it has run; times are epochs.

    A stage, a note and a count that changed are life. A count that is told again is silence: a pipeline whose GPU
    hangs may well go on repeating where it stands.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.verdict: WorkerOverdue | None = None
        self._limits = limits
        self._counted_to = now
        self._ran_s = 0.0
        self._silent_s = 0.0
        self._stage: Stage | None = None
        self._progress: Progress | None = None

    def hear(self, news: News, now: float) -> None:
        """Take what the worker told; the silence ends if it is news."""
        self._count(now)
        match news:
            case Stage():
                self._stage, self._progress = news, None
            case Progress(done=done):
                if self._progress and self._progress.done == done:
                    return
                self._progress = news
        self._silent_s = 0.0

    def look(self, now: float) -> bool:
        """Judge, and say whether the worker's time is up; the verdict stays."""
        self._count(now)
        if self.verdict is None and self._silent_s >= self._limits.max_silence_s:
            sentence = f"Nothing moved for {duration(self._silent_s)} {self.place}; the worker was ended."
            advice = "Its GPU, driver or disk may hang: try another machine."
            self.verdict = WorkerOverdue(AttemptReason.STALLED, sentence, advice=advice)
        elif self.verdict is None and self._ran_s >= self._limits.max_run_s:
            allowed = duration(self._limits.max_run_s)
            sentence = f"Still {self.place} after the {allowed} that the order allows; the worker was ended."
            self.verdict = WorkerOverdue(AttemptReason.OVERTIME, sentence, advice="Try a faster machine.")
        return self.verdict is not None

    @property
    def place(self) -> str:
        """Say how far the worker had come when it last told."""
        if self._stage is None:
            return "before its first stage"
        if self._progress is None:
            return f"in the stage {self._stage.name}"
        what = "frame" if self._stage.unit == "frames" else "byte"
        total = "" if self._progress.total is None else f" of {self._progress.total}"
        return f"at {what} {self._progress.done}{total}"

    def _count(self, now: float) -> None:
        step_s = min(max(now - self._counted_to, 0.0), _LONGEST_STEP_S)
        self._counted_to = now
        self._ran_s += step_s
        self._silent_s += step_s


def duration(seconds: float) -> str:
    """Write a time as a person says it, in its two largest units: 2 h 5 min, 10 min 0 s, 45 s."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"
