"""Bars on a terminal: one a job that is on its way, events as lines above, how the whole stands below."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.text import Text

from controller.ledger import Job, Lease
from controller.overview import Overview
from controller.terminal.watch import LineObserver, progress_words
from controller.terminal.words import overview_words, plain, why_words
from framehaul.contract.states import AttemptState, JobState
from framehaul.contract.status import JobStatus

_WIDEST_BAR = 30
_NARROW = 60


class Bars(Progress):
    """The bars, and one line below them that is always there."""

    line = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give what is drawn."""
        yield self.make_tasks_table(self.tasks)
        if self.line:
            yield Text(self.line, style="dim")


class BarObserver:
    """Draw what moves; let the lines above tell what happens."""

    def __init__(self, console: Console, bars: Bars, lines: LineObserver) -> None:
        self._console = console
        self._bars = bars
        self._lines = lines
        self._drawn: dict[str, TaskID] = {}

    def say(self, text: str) -> None:
        """Write a sentence above the bars."""
        self._lines.say(text)

    def on_lease(self, lease: Lease) -> None:
        """Write how a machine moved."""
        self._lines.on_lease(lease)

    def on_job(self, job: Job) -> None:
        """Write the move and take down the bar of what is over."""
        self._lines.on_job(job)
        if job.state is not JobState.ASSIGNED and job.id in self._drawn:
            self._bars.remove_task(self._drawn.pop(job.id))

    def on_progress(self, job: Job, status: JobStatus) -> None:
        """Move the bar."""
        self._lines.on_progress(job, status)
        if status.state is AttemptState.RUNNING:
            text = f"{plain(job.name)}  {progress_words(status, count=False)}"
            self._draw(job, text, status.done, status.total)
        else:
            why = "" if status.reason == "none" else f" ({why_words(status.reason, '')})"
            self._draw(job, f"{plain(job.name)}  {status.state}{why}", 0, None)

    def on_transfer(self, job: Job, what: str, done: int, total: int | None) -> None:
        """Move the bar by bytes."""
        self._lines.on_transfer(job, what, done, total)
        self._draw(job, plain(what), done, total)

    def on_overview(self, overview: Overview) -> None:
        """Rewrite the bottom line."""
        self._bars.line = plain(overview_words(overview))

    def finish(self) -> None:
        """Take the bars down and leave the status line as it was last."""
        self._bars.stop()
        if self._bars.line:
            self._console.print(self._bars.line, markup=False, highlight=False, soft_wrap=True)
            self._bars.line = ""

    def _draw(self, job: Job, text: str, done: int, total: int | None) -> None:
        if job.id not in self._drawn:
            self._drawn[job.id] = self._bars.add_task(text, total=total)
        self._bars.update(self._drawn[job.id], description=text, completed=done, total=total)


def open_bars(console: Console) -> Bars:
    """Make the bars; where there is little room, the number and as much of the text as fits."""
    text, number = TextColumn("{task.description}", markup=False), TaskProgressColumn()
    if console.width < _NARROW:
        # In one column: of two that do not fit, rich gives one no room at all.
        both = TextColumn("{task.percentage:>3.0f}%  {task.description}", markup=False)
        return Bars(both, console=console, transient=True)
    return Bars(text, BarColumn(bar_width=_WIDEST_BAR), number, console=console, transient=True)
