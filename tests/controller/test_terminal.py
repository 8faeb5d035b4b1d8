"""What a person sees: words that no file name can twist, tables that show what is there."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from controller.desk import Desk
from controller.ledger import Batch
from controller.report import results_of
from controller.terminal.tables import show_report, show_running
from controller.terminal.words import counted, dollars_words, plain, size_words, time_words
from framehaul.contract.states import LeaseState
from tests.controller.desks import HOUR, a_job_row, a_lease
from tests.controller.endings import failed, kept, published

# -- words -----------------------------------------------------------------------------------------------------------


@given(st.text())
def test_plain_text_can_do_nothing_to_a_terminal(text: str) -> None:
    """Whatever a file is called: no control character, no hidden direction, no half of a pair is left in it."""
    shown = plain(text)

    assert len(shown) == len(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert plain(shown) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("two\nlines", "two�lines"),
        ("\x1b[31mred", "�[31mred"),
        ("ring\x07", "ring�"),
        ("gpj.\u202e4pm", "gpj.�4pm"),
        ("not\udcffutf8", "not�utf8"),
        ("new\u2028line", "new�line"),
        ("Fêtes 日本 🎬", "Fêtes 日本 🎬"),
    ],
)
def test_plain_text_shows_where_something_was(text: str, shown: str) -> None:
    """A mark stands for each character that is not shown; letters of all languages are."""
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "?"),
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (8 << 20, "8.4 MB"),
        (5e9, "5.0 GB"),
        (2.5e12, "2.5 TB"),
        (7e15, "7000.0 TB"),
    ],
)
def test_sizes_are_written_for_people(count: float | None, words: str) -> None:
    """In powers of ten, as disks and bills have them; never "1000.0 kB"."""
    assert size_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (0, "0.0 s"),
        (3.25, "3.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (60, "1 min 00 s"),
        (61.9, "1 min 02 s"),
        (3599.6, "1 h 00 min"),
        (3600, "1 h 00 min"),
        (7322, "2 h 02 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_times_are_written_for_people(seconds: float | None, words: str) -> None:
    """Rounded in the same way at every step; never "60 s"."""
    assert time_words(seconds) == words


def test_numbers_go_with_their_nouns() -> None:
    """One job, two jobs, no jobs; cents are shown."""
    assert [counted(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
    assert dollars_words(0.005 + 1.0) in {"$1.00", "$1.01"}
    assert dollars_words(12) == "$12.00"


# -- tables ----------------------------------------------------------------------------------------------------------


def printed(desk: Desk, batch: Batch) -> str:
    """Print the report and the list of what runs, and read them."""
    console = Console(file=io.StringIO(), width=400, force_terminal=False)
    show_report(console, results_of(desk.ledger, batch, HOUR + 100), "results.json", others_at_work=False)
    show_running(console, desk.ledger, HOUR + 100, everything=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_of_a_long_report_the_beginning_is_shown_and_what_failed(desk: Desk) -> None:
    """Or the one that a person has to look at would be lost among thousands."""
    rows = [published(number) for number in range(1, 501)]
    batch = kept(desk, *rows, failed(501, source="file:///in/odd one.mp4"))

    text = printed(desk, batch)

    assert ("clip200.mp4 " in text, "clip201.mp4 " in text.partition("Report:")[0]) == (True, False)
    assert "no codec" in text.partition("Report:")[0]
    assert "... and 300 more jobs: all of them in the report, below." in text
    assert "500 of 501 results verified" in text


@pytest.mark.parametrize(
    "name", ["Title [dQw4w9WgXcQ].mp4", "[bold]x.mp4", "a[/]b.mp4", "[link=x]y[/link].mp4", "[[a]].mp4"]
)
def test_a_table_shows_a_name_as_it_is(desk: Desk, name: str) -> None:
    """Brackets, which downloaders put there by the million, are no orders to the terminal."""
    rows = [
        a_job_row(number=1, name=name, source=f"file:///in/{name.replace('/', '%2F')}"),
        failed(2, message=f"{name} is not a video.", name="b.mp4"),
    ]
    batch = kept(desk, *rows)

    text = printed(desk, batch)

    assert f" {name} " in text
    assert f"{name} is not a video." in text


def test_a_table_cannot_be_broken_by_a_name(desk: Desk) -> None:
    """A newline in a message of a stranger's machine does not forge a line of the report."""
    batch = kept(desk, failed(1, message="bad\nNothing is running, nothing is billing.\n\x1b[2J"))
    desk.ledger.intend_lease(a_lease(state=LeaseState.READY, ref="i-1", rented_at=HOUR))

    text = printed(desk, batch)

    assert "\x1b" not in text
    assert "\nNothing is running, nothing is billing." not in text
    assert "STILL RUNNING, may be billing: i-1." in text


def test_the_report_counts_what_was_verified(desk: Desk) -> None:
    """And says what is left running, or that nothing is."""
    batch = kept(desk, published(), failed())

    text = printed(desk, batch)

    assert "1 of 2 results verified against the store; cost $0.00 in 1 min 40 s." in text
    assert "Nothing is running, nothing is billing." in text
    assert "FAILED" in text


@pytest.mark.parametrize(
    ("details", "sentence"),
    [
        ({"left_behind": ["audio aac", "2 chapters"]}, "clip1.mp4: left behind: audio aac, 2 chapters"),
        ({"shortfall": "clip1.mp4 breaks off: 44 frames of 100 are there."}, "44 frames of 100 are there."),
        ({"left_behind": ["\x1b[2J"]}, "left behind: �[2J"),
        ({"left_behind": "everything", "shortfall": 7}, ""),
    ],
    ids=["streams", "frames", "hostile", "of no sense"],
)
def test_the_report_says_what_is_not_in_a_result(desk: Desk, details: dict[str, Any], sentence: str) -> None:
    """A result that is verified may still lack the sound, or the half of its input that was missing."""
    row = published()
    batch = kept(desk, {**row, "figures": {**row["figures"], "details": details}})

    text = printed(desk, batch)

    assert sentence in text
    assert ("left behind" in text or "breaks off" in text) == bool(sentence)
