"""Who watches: lines in a pipe, little when quiet, everything when verbose, bars and a bottom line on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from controller.desk import Desk, Observer
from controller.ledger import Job
from controller.overview import Lid, Overview
from controller.terminal.bars import BarObserver, open_bars
from controller.terminal.watch import DetailedObserver, LineObserver, QuietObserver
from controller.terminal.words import why_words
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState, LeaseReason, LeaseState
from framehaul.contract.status import JobStatus
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import Hours

NO = Lid(safe=False, why="this machine does the work")
HALF = Overview(total=2, done=1, failed=0, dollars=0.0, eta_s=61.0, machines=1, lid=NO)


class Lines(list[str]):
    """What was written, and the clock by which it was."""

    def __init__(self, clock: Hours) -> None:
        super().__init__()
        self.clock = clock

    def observer(self, kind: type[LineObserver] = LineObserver) -> LineObserver:
        """Let somebody write here."""
        return kind(self.append, self.clock.now)


@pytest.fixture
def lines(clock: Hours) -> Lines:
    """An empty page."""
    return Lines(clock)


@pytest.fixture
def at_work(desk: Desk) -> Job:
    """A job on its first machine."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    desk.ledger.intend_lease(a_lease(state=LeaseState.READY, rented_at=HOUR))
    return desk.ledger.begin_attempt(desk.ledger.job("b-1-00001"), a_lease(), SPEC)


def running(done: int = 0, stage: str = "upscale") -> JobStatus:
    """Write what an agent says."""
    return JobStatus(state=AttemptState.RUNNING, stage=stage, done=done, total=96, fps=12.1, eta_s=5.0, updated_at=HOUR)


def live(observer: Observer, job: Job) -> None:
    """Let the life of a machine and a job pass before somebody."""
    observer.on_lease(a_lease(state=LeaseState.BOOTING, ref="i-1"))
    observer.on_job(job)
    observer.on_progress(job, JobStatus(state=AttemptState.QUEUED, updated_at=HOUR))
    observer.on_transfer(job, "sending clip1.mp4", 0, 10)
    observer.on_transfer(job, "sending clip1.mp4", 10, 10)
    observer.on_progress(job, running())
    observer.on_overview(HALF)
    figures = {"stage_seconds": {"compute": 4.0}, "uris": {"result": "https://u:secret@x/r.mp4?sig=secret"}}
    observer.on_job(replace(job, state=JobState.PUBLISHED, figures=figures))
    observer.on_job(replace(job, state=JobState.EXCLUDED, reason=JobReason.ATTEMPT_FAILED, message="stalled: no word"))


# -- the status line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"done": 2}, {"failed": 1}, {"machines": 2}, {"lid": Lid(safe=True, why="nothing runs")}, {"total": 3}],
    ids=str,
)
def test_in_a_pipe_the_status_line_comes_when_something_has_changed(lines: Lines, change: dict[str, object]) -> None:
    """At once, for what is done, failed, rented, or said of the lid."""
    observer = lines.observer()
    observer.on_overview(HALF)
    observer.on_overview(replace(HALF, eta_s=50.0, dollars=0.1))
    assert len(lines) == 1

    observer.on_overview(replace(HALF, **change))  # type: ignore[arg-type]

    assert len(lines) == 2


def test_in_a_pipe_the_status_line_comes_once_a_minute_otherwise(lines: Lines, clock: Hours) -> None:
    """An hour of work with a look at every second is sixty lines, and not three thousand."""
    observer = lines.observer()
    for second in range(3600):
        observer.on_overview(replace(HALF, eta_s=3600.0 - second))
        clock.advance(1.0)

    assert len(lines) == 60
    assert lines[0].startswith("1/2 done · $0.00 · ETA 1 h 00 min · 1 machine · safe to close the lid: no")


# -- how much is said ------------------------------------------------------------------------------------------------


def test_by_default_each_event_is_a_line(lines: Lines, at_work: Job) -> None:
    """As the README shows it: no ids, no transfers, no waiting."""
    live(lines.observer(), at_work)

    assert lines == [
        "GPU of m1: starting the agent",
        "clip1.mp4: shipped (attempt 1)",
        "clip1.mp4: upscale  12.1 fps  5.0 s left",
        "1/2 done · $0.00 · ETA 1 min · 1 machine · safe to close the lid: no, because this machine does the work",
        "clip1.mp4: done",
        "clip1.mp4: FAILED: stood still and was ended: no word",
    ]


def test_quiet_leaves_the_failures(lines: Lines, at_work: Job) -> None:
    """And sentences, which somebody has a reason to say."""
    observer = lines.observer(QuietObserver)
    live(observer, at_work)
    observer.say("It may still be billing.")

    assert lines == ["clip1.mp4: FAILED: stood still and was ended: no word", "It may still be billing."]


def test_verbose_tells_ids_transfers_states_and_times_and_no_secret(lines: Lines, at_work: Job) -> None:
    """With the second since the beginning before each line."""
    live(lines.observer(DetailedObserver), at_work)
    text = "\n".join(lines)

    for told in (
        "0.0 s  GPU of m1: lease a1 booting, instance i-1",
        "job b-1-00001, attempt 1, lease a1, from file:///nowhere/in/clip1.mp4",
        "attempt 1 queued",
        "attempt 1 running",
        "sending clip1.mp4, 10 B",
        "sending clip1.mp4, 10 B in 0.0 s",
        "compute 4.0 s; at https://x/r.mp4",
    ):
        assert told in text
    assert "secret" not in text


def test_a_name_can_forge_no_line(lines: Lines, at_work: Job) -> None:
    """Neither as a job's name, nor in what a machine says of itself."""
    for kind in (LineObserver, QuietObserver, DetailedObserver):
        observer = lines.observer(kind)
        live(observer, replace(at_work, name="a\nNothing is running.\x1b[2J"))
        observer.on_lease(a_lease(state=LeaseState.GONE, gpu="x\ny", message="\x1b[31m", reason=LeaseReason.LOST))

    assert not {"\n", "\x1b"} & set("".join(lines))


# -- a terminal ------------------------------------------------------------------------------------------------------


def test_a_terminal_has_bars_and_below_them_the_status_line(at_work: Job, clock: Hours) -> None:
    """Lines for events above, no lines for progress; at the end the status line stays, once."""
    console = Console(file=io.StringIO(), width=120, height=20, force_terminal=True, color_system=None)
    assert isinstance(console.file, io.StringIO)
    written: list[str] = []
    bars = open_bars(console)
    observer = BarObserver(console, bars, LineObserver(written.append, clock.now, counts=False))

    live(observer, at_work)
    observer.on_progress(at_work, running(48))
    drawn = Console(file=io.StringIO(), width=120)
    drawn.print(bars.get_renderable())
    observer.finish()
    observer.finish()

    assert isinstance(drawn.file, io.StringIO)
    picture = [line.strip() for line in drawn.file.getvalue().splitlines()]
    assert picture[0].startswith("clip1.mp4  upscale  12.1 fps  5.0 s left")
    assert picture[0].endswith("50%")
    assert picture[1].startswith("1/2 done · $0.00 · ETA 1 min")
    assert not any("fps" in line or "ETA" in line for line in written)
    assert console.file.getvalue().count("1/2 done") == 1


def test_bars_are_of_ascii_where_the_console_is(at_work: Job, clock: Hours) -> None:
    """A console that knows no more gets dashes; narrow ones get no bar at all, so that the text has room."""

    class Old(io.StringIO):
        encoding = "ascii"

    for width in (120, 40):
        console = Console(file=Old(), width=width, force_terminal=False)
        bars = open_bars(console)
        observer = BarObserver(console, bars, LineObserver(lambda text: None, clock.now, counts=False))
        observer.on_progress(at_work, running(48))
        console.print(bars.get_renderable())
        assert isinstance(console.file, Old)
        text = console.file.getvalue()
        assert text.replace("…", "").isascii(), "what rich cuts off is marked; the stream replaces the mark"
        assert "50%" in text
        assert ("---" in text) == (width == 120)


# -- why -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("attempt-failed", "stalled: nothing for 600 s", "stood still and was ended: nothing for 600 s"),
        ("attempt-failed", "overtime: 3 h", "took far longer than it should and was ended: 3 h"),
        ("attempt-failed", "Tried 3 times. stalled: x", "Tried 3 times. stood still and was ended: x"),
        ("attempt-failed", "bad-input: ", "the input cannot be used"),
        ("attempt-failed", "The agent refused.", "The agent refused."),
        ("attempt-failed", "unstalled: x", "unstalled: x"),
        ("lease-lost", "", "the machine was lost"),
        ("stalled", "no word", "stood still and was ended: no word"),
        ("none", "", ""),
        ("attempt-failed", "stalled: a\nb\x1b", "stood still and was ended: a�b�"),
    ],
)
def test_reasons_are_told_in_plain_words(reason: str, message: str, words: str) -> None:
    """What the ledger and the agents call by a name."""
    assert why_words(reason, message) == words


@pytest.mark.parametrize("reason", [*AttemptReason, *JobReason])
def test_every_reason_can_be_told(reason: str) -> None:
    """None raises an error, and no name with a dash in it is left for a person to guess at."""
    words = why_words(reason, "")

    assert "-" not in words
    assert bool(words) == (reason not in {"none", "attempt-failed"})
