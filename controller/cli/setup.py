"""Open the desk that a command works at: ledger, clock, console, observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from controller.desk import Desk
from controller.ledger import Ledger
from controller.providers.base import Provider, load_provider
from controller.settings import Settings
from controller.state import StateFolder
from controller.terminal.console import open_console
from controller.terminal.watch import BarObserver, LineObserver, bars
from framehaul.clock import Clock, clock_from
from framehaul.contract.wire import Json


@dataclass(frozen=True)
class Seat:
    """A desk, with the console that its observer writes to."""

    desk: Desk
    console: Console


@contextmanager
def seated(state: Path | None, *, json_out: bool) -> Iterator[Seat]:
    """Open the state folder; with --json people read stderr, since stdout belongs to the machine."""
    clock = clock_from()
    folder = StateFolder.choose(state)
    ledger = Ledger(folder.ledger, clock)
    console = open_console(stderr=json_out)
    try:
        if console.is_terminal:
            with bars(console) as progress:
                yield Seat(Desk(ledger, folder, clock, BarObserver(console, progress, clock.now)), console)
        else:
            yield Seat(Desk(ledger, folder, clock, LineObserver(_writer(console), clock.now)), console)
    finally:
        ledger.close()


def provider_opener(settings: Settings | None, desk: Desk) -> Callable[[str], Provider]:
    """Give the function that loads a cloud by name, with the options that the settings hold for it."""
    options: dict[str, dict[str, Json]] = settings.providers if settings else {}
    clock: Clock = desk.clock
    return lambda name: load_provider(name, options.get(name, {}), state=desk.state.root, clock=clock)


def _writer(console: Console) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return write
