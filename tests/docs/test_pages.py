"""Every page for readers: its links lead somewhere, and the files, commands and targets that it names exist."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from controller.cli.program import app
from tests.docs.pages import DOCS, ROOT, Page, pages

CONTRIBUTING = Page(ROOT / "CONTRIBUTING.md")
ROOMS = ("framehaul/", "agent/", "controller/", "tests/", "docs/", "samples/", "training/", "bench/", ".ci/")
# What a page may name though it is not there: files that its reader makes.
MADE_BY_READERS = re.compile(r"/(grade|shed)\b|^framehaul-|/<|^bench/results")

every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.path.relative_to(ROOT)))


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    """To a file of the tree, and to a heading where one is named."""
    broken = [link for link in page.links() if not _leads_somewhere(page, link)]

    assert broken == []


def _leads_somewhere(page: Page, link: str) -> bool:
    if re.match(r"https?://|mailto:", link):
        return True  # other people's pages are not ours to hold
    name, _, anchor = link.partition("#")
    target = page.path.parent / name if name else page.path
    return target.exists() and (not anchor or anchor in Page(target).anchors())


@every_page
def test_every_path_in_backticks_exists(page: Page) -> None:
    """What is said to lie in one of the tree's rooms lies there."""
    paths = [word for word in page.words() if word.startswith(ROOMS) and not re.search(r"[ *{]", word)]
    missing = [path for path in paths if not MADE_BY_READERS.search(path) and not (ROOT / path).exists()]

    assert missing == []


@every_page
def test_every_command_in_backticks_is_one(page: Page) -> None:
    """`framehaul run`, `make docs`: subcommands and targets that there are."""
    commands = {command.name for command in app.registered_commands}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = [word.split() for word in (*page.words(), *page.commands()) if " " in word]

    strange = [words for words in typed if words[0] == "framehaul" and words[1] not in commands]
    strange += [words for words in typed if words[0] == "make" and words[1] not in targets]
    assert strange == []


def test_the_index_has_a_line_for_every_page() -> None:
    """Nobody finds a page that is not linked."""
    index = Page(DOCS / "README.md")
    lines = [line for line in index.text.splitlines() if line.startswith("- ")]

    assert len(lines) == len(index.links())
    assert sorted(index.links()) == sorted({path.name for path in DOCS.glob("*.md")} - {"README.md"})


def test_contributing_fits_on_one_screen() -> None:
    """What is longer is not read."""
    assert len(CONTRIBUTING.text.splitlines()) <= 60


def test_the_command_for_one_test_runs_one() -> None:
    """As it stands, but for the folder of the virtual environment."""
    (line,) = (line for line in CONTRIBUTING.commands() if line.startswith(".venv/bin/python -m pytest"))

    done = subprocess.run(
        [sys.executable, *line.split()[1:], "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed, \d+ deselected", done.stdout)


def test_a_broken_link_would_be_seen() -> None:
    """The reader of links itself can fail: a file that is not there, a heading that is not there."""
    page = Page(DOCS / "job.md")

    assert _leads_somewhere(page, "states.md#attempt")
    assert not _leads_somewhere(page, "states.md#nonsense")
    assert not _leads_somewhere(page, "nonsense.md")
