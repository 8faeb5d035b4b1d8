"""Read a page: the files that it shows, the commands that it types, the names that it mentions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A file is shown as its name in backticks with a colon, an empty line, and the fenced block.
_FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The whole page."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def files(self) -> dict[str, str]:
        """Give the files that the page shows, by name."""
        return dict(_FILE.findall(self.text))

    def commands(self) -> list[str]:
        """Give the lines that are typed in the page's console blocks, without their comments."""
        lines = [line[2:] for block in self.blocks("console") for line in block.splitlines() if line.startswith("$ ")]
        return [line.split("   #")[0].strip() for line in lines]

    def blocks(self, language: str) -> list[str]:
        """Give the fenced blocks of a language."""
        return [text for found, text in _FENCE.findall(self.text) if found == language]

    def words(self) -> list[str]:
        """Give what stands in backticks in the prose, tables included."""
        return _WORD.findall(self.prose)

    def table(self, *heads: str) -> list[list[str]]:
        """Give the rows of the only table with these heads, cells stripped of blanks."""
        found = [rows for rows in _tables(self.prose) if rows[0] == list(heads)]
        assert len(found) == 1, f"{self.path.name} has {len(found)} tables with the heads {heads}"
        return found[0][2:]

    def links(self) -> list[str]:
        """Give the targets of the page's links."""
        return _LINK.findall(self.prose)

    def anchors(self) -> set[str]:
        """Give what a link to a heading of this page may say, as GitHub makes it from the heading."""
        return {_anchor(heading) for heading in _HEADING.findall(self.prose)}


def pages() -> list[Page]:
    """List every page for readers: docs/, the README, CONTRIBUTING and training's."""
    tops = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "training" / "README.md"]
    return [Page(path) for path in (*tops, *sorted(DOCS.glob("*.md")))]


def first_cells(rows: list[list[str]]) -> list[str]:
    """Give the words in backticks of each row's first cell."""
    return [word for row in rows for word in _WORD.findall(row[0])]


def _tables(prose: str) -> Iterator[list[list[str]]]:
    for block in re.findall(r"(?:^\|.*\|$\n?)+", prose, re.MULTILINE):
        yield [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
