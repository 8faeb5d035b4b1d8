"""Open the desk that a command works at: ledger, clock, console, observer."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from controller.accounts import NO_ACCOUNTS
from controller.cli.options import Acting, Talk
from controller.desk import Desk
from controller.errors import ConfigError
from controller.ledger import Ledger
from controller.providers.base import Provider, load_provider
from controller.settings import Settings
from controller.state import StateFolder
from controller.terminal.bars import BarObserver, open_bars
from controller.terminal.console import draws, open_console
from controller.terminal.tables import say
from controller.terminal.watch import DetailedObserver, LineObserver, QuietObserver
from controller.terminal.words import plain
from framehaul.clock import Clock, clock_from
from framehaul.contract.wire import Json
from framehaul.storage.accounts import Accounts
from framehaul.storage.base import Stores

_ALL = 2  # -vv
_QUERY = re.compile(r"\?\S+")
_ACCOUNT = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Seat:
    """A desk, with the console that its observer writes to, and how much is to be said there."""

    desk: Desk
    console: Console
    talk: Talk
    finish: Callable[[], None]

    def tell(self, text: str) -> None:
        """Say what a person may like to know; not where quiet was asked for."""
        if not self.talk.quiet:
            self.insist(text)

    def insist(self, text: str) -> None:
        """Say what was asked for, or went wrong."""
        say(self.console, text)


@contextmanager
def seated(state: Path | None, talk: Talk, accounts: Accounts = NO_ACCOUNTS) -> Iterator[Seat]:
    """Open the state folder, and stores with these accounts.

    With --json people read stderr, since stdout belongs to the machine.
    """
    if talk.quiet and talk.verbose:
        raise ConfigError("--quiet and --verbose exclude each other.")
    if talk.verbose >= _ALL:
        _log_requests()
    clock = clock_from()
    folder = StateFolder.choose(state)
    ledger, stores = Ledger(folder.ledger, clock), Stores(accounts, clock)
    console = open_console(stderr=talk.json_out)
    kind = QuietObserver if talk.quiet else DetailedObserver if talk.verbose else LineObserver
    try:
        acts = isinstance(talk, Acting) and not talk.dry_run
        if acts and draws(console) and not talk.quiet:
            with open_bars(console) as bars:
                watch = BarObserver(console, bars, kind(_writer(console), clock.now, counts=False))
                yield Seat(Desk(ledger, folder, clock, watch, stores), console, talk, watch.finish)
        else:
            lines = kind(_writer(console), clock.now)
            yield Seat(Desk(ledger, folder, clock, lines, stores), console, talk, lines.finish)
    finally:
        stores.close()
        ledger.close()


def provider_opener(settings: Settings | None, desk: Desk) -> Callable[[str], Provider]:
    """Give the function that loads a cloud by name, with the options that the settings hold for it."""
    options: dict[str, dict[str, Json]] = settings.providers if settings else {}
    clock: Clock = desk.clock
    return lambda name: load_provider(name, options.get(name, {}), state=desk.state.root, clock=clock)


class _Redacted(logging.Formatter):
    """Write each request without what may be secret in its address: account and signed query."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(_ACCOUNT.sub("//", _QUERY.sub("?...", super().format(record))))


def _log_requests() -> None:
    """Let every request that the laptop makes be a line on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted("%(name)s: %(message)s"))
    log = logging.getLogger("httpx")
    log.setLevel(logging.INFO)
    log.addHandler(handler)


def _writer(console: Console) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return write
