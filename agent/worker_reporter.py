"""How a runner's reports travel to the server: safe from any thread, seldom enough for a status file."""

from __future__ import annotations

import os
import socket
import threading
import time

from pydantic import BaseModel

from agent.worker_words import Note, Progress, Stage
from framehaul.contract.status import Unit

# Real seconds, not the injected clock: this bounds messages a second, whatever hour it is.
_PROGRESS_EVERY_S = 0.25
_MAX_STAGE = 200
_MAX_NOTE = 10_000


class ChannelReporter:
    """A pipeline's `Reporter` that writes to the control socket."""

    def __init__(self, channel: socket.socket, sending: threading.Lock, stop: threading.Event) -> None:
        self._channel = channel
        self._sending = sending
        self._stop = stop
        self._told_at = 0.0
        self._untold: Progress | None = None

    def stage(self, name: str, unit: Unit = "frames") -> None:
        """Name what begins now."""
        self.flush()
        self._send(Stage(name=name[:_MAX_STAGE], unit=unit))
        self._told_at = 0.0

    def progress(self, done: int, total: int | None) -> None:
        """Count; most calls only remember."""
        news = Progress(done=done, total=total)
        now = time.monotonic()
        if now - self._told_at < _PROGRESS_EVERY_S and done != total:
            self._untold = news
            return
        self._told_at, self._untold = now, None
        self._send(news)

    def log(self, message: str) -> None:
        """Write one line of the job's story."""
        self._send(Note(message=message[:_MAX_NOTE]))

    def should_stop(self) -> bool:
        """Say whether the server asked to stop."""
        return self._stop.is_set()

    def flush(self) -> None:
        """Tell the last count that was held back."""
        untold, self._untold = self._untold, None
        if untold:
            self._send(untold)

    def _send(self, message: BaseModel) -> None:
        send(self._channel, self._sending, message)


def send(channel: socket.socket, sending: threading.Lock, message: BaseModel) -> None:
    """Write one line; without a server left to read it, this process has no purpose."""
    line = message.model_dump_json().encode() + b"\n"
    try:
        with sending:
            channel.sendall(line)
    except OSError:
        os._exit(1)
