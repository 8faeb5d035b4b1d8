"""The program: `python -m tests.emulators.vast --port 0`; the first line printed is the address."""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from pathlib import Path

from tests.emulators.vast.emulator import Vast
from tests.emulators.vast.hours import followed
from tests.emulators.vast.offers import from_file, made_up


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    words = argparse.ArgumentParser(
        prog="python -m tests.emulators.vast", description="vast.ai's REST API on loopback."
    )
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--root", type=Path, help="where instances have their folders; otherwise a temporary one")
    words.add_argument("--clock", help="address of a shared clock (tests/emulators/clock.py)")
    words.add_argument("--offers", type=Path, help="JSON list of offers, each with what differs from an ordinary one")
    words.add_argument("--seed", type=int, default=1, help="of made-up offers")
    words.add_argument("--key", action="append", help="an account's key; without any, every key is one")
    words.add_argument(
        "--image", action="append", default=[], metavar="NAME=VALUE", help="what every image brings along"
    )
    words.add_argument("--no-pacing", action="store_true")
    told = words.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="vast-") as spare:
        root = told.root or Path(spare)
        with Vast(
            root.resolve(),
            port=told.port,
            now=followed(told.clock) if told.clock else time.time,
            offers=from_file(told.offers) if told.offers else made_up(told.seed),
            keys=told.key,
            image=dict(word.partition("=")[::2] for word in told.image),
            pacing=not told.no_pacing,
        ) as vast:
            print(vast.url, flush=True)
            ended.wait()


if __name__ == "__main__":
    main()
