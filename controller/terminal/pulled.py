"""What came of a pull: a line a file, how far the present one is, and the sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from controller.pulling import Brought, Fate, Found, Unread
from controller.terminal.bars import open_bars
from controller.terminal.console import draws
from controller.terminal.tables import say
from controller.terminal.words import counted, plain, size_words

_LINE_EVERY_S = 10.0
_WORDS = {Fate.FETCHED: "fetched", Fate.HERE: "here already", Fate.WANTED: "would be fetched", Fate.FAILED: "FAILED"}

Hear = Callable[[int], None]
Hearer = Callable[[Found | Unread], Hear]


class Tally:
    """What came of a pull so far: numbers, and rows where a machine will read them."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Fate, 0)
        self.bytes = 0
        self.rows: list[Brought] = []
        self.stopped = ""

    def add(self, brought: Brought, *, keep: bool) -> None:
        """Count one; `keep` its row."""
        self.counts[brought.fate] += 1
        self.bytes += brought.size if brought.fate in {Fate.FETCHED, Fate.WANTED} else 0
        if keep:
            self.rows.append(brought)

    def words(self, source: str, into: str) -> str:
        """Write the sums as one sentence."""
        total = sum(self.counts.values())
        if not total and not self.stopped:
            return f"Nothing is published there yet: {plain(source)}."
        parts = [f"{number} {_WORDS[fate]}" for fate, number in self.counts.items() if number]
        stopped = f" {self.stopped}" * bool(self.stopped)
        return f"{counted(total, 'file')}: {', '.join(parts)} ({size_words(self.bytes)}); into {plain(into)}.{stopped}"

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        counts = {str(fate): number for fate, number in self.counts.items()}
        return {"files": [row.as_json() for row in self.rows], "counts": counts, "bytes": self.bytes}


def tell_of(console: Console, brought: Brought) -> None:
    """Write what became of one file."""
    name, failed = brought.path or brought.uri, brought.fate is Fate.FAILED
    say(
        console,
        f"{name}: {_WORDS[brought.fate]}" + (f": {brought.why}" if failed else f" ({size_words(brought.size)})"),
    )


@contextmanager
def progress(console: Console, now: Callable[[], float], *, talks: bool) -> Iterator[Hearer]:
    """Give who hears how far a file is: a bar on a terminal, else a line every ten seconds, or nobody."""
    if not talks:
        yield lambda found: lambda done: None
    elif not draws(console):
        yield lambda found: _Lines(console, now, found).hear
    else:
        with open_bars(console) as bars:
            task = bars.add_task("", total=None)
            yield (
                lambda found: (
                    lambda done: bars.update(task, description=_name(found), completed=done, total=_size(found))
                )
            )


class _Lines:
    """Write how far one file is, at most every ten seconds."""

    def __init__(self, console: Console, now: Callable[[], float], found: Found | Unread) -> None:
        self._console, self._now, self._found = console, now, found
        self._told_at = now()

    def hear(self, done: int) -> None:
        now = self._now()
        if now - self._told_at >= _LINE_EVERY_S:
            self._told_at = now
            say(self._console, f"{_name(self._found)}: {size_words(done)} of {size_words(_size(self._found))}")


def _name(found: Found | Unread) -> str:
    return plain(found.inside if isinstance(found, Found) else found.uri.name)


def _size(found: Found | Unread) -> int | None:
    return found.entry.size if isinstance(found, Found) else None
