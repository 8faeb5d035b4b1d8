"""The worker: a child of the server that loads models and computes, one attempt at a time.

    python -m agent.worker_main --fd N --parent PID

It lives as long as the server: it dies with it (PR_SET_PDEATHSIG, and the end of the control socket).
Orders come over the socket, never over stdin; whatever a pipeline prints goes to the job's stdout.log.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from agent.errors import is_disk_full
from agent.worker_reporter import ChannelReporter, send
from agent.worker_words import ORDERS, Done, Ending, Failed, Halted, Ready, Run
from framehaul.contract.states import AttemptReason
from framehaul.errors import BadParams, FramehaulError, InputError, MediaError, Stopped, StoreFull
from framehaul.pipelines.base import Runner, Task
from framehaul.pipelines.catalogue import load_runner

_PR_SET_PDEATHSIG = 1
_STDOUT, _STDERR = 1, 2


class Worker:
    """Carry out orders until the server is gone."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._orders: queue.SimpleQueue[Run] = queue.SimpleQueue()
        # The last pipeline's runner stays, so that its model is loaded once for a batch.
        self._warm: tuple[str, Runner] | None = None

    def serve(self) -> None:
        """Take orders for ever."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        send(self._channel, self._sending, Ready(pid=os.getpid()))
        while True:
            order = self._orders.get()
            with _printing_to(Path(order.stdout)):
                ending = self._carry_out(order)
            send(self._channel, self._sending, ending)

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._channel.makefile("rb") as lines:
            for line in lines:
                order = ORDERS.validate_json(line)
                if isinstance(order, Run):
                    self._stop.clear()
                    self._orders.put(order)
                else:
                    self._stop.set()
        _die()

    def _carry_out(self, order: Run) -> Ending:
        reporter = ChannelReporter(self._channel, self._sending, self._stop)
        try:
            outcome = self._runner(order.pipeline).run(_task(order, reporter))
            return Done(environment=outcome.environment, stage_seconds=outcome.stage_seconds, details=outcome.details)
        except Stopped:
            return Halted()
        except Exception as exc:  # noqa: BLE001 - a pipeline may raise anything; the server must learn what
            with contextlib.suppress(OSError):  # the log lies on the disk that may be full
                traceback.print_exc()
            return failure(exc)
        finally:
            reporter.flush()

    def _runner(self, pipeline: str) -> Runner:
        if self._warm is None or self._warm[0] != pipeline:
            self._warm = None  # frees the other model's memory before the next one loads
            self._warm = (pipeline, load_runner(pipeline))
        return self._warm[1]


def failure(exc: Exception) -> Failed:
    """Say why an attempt failed. Errors that nobody foresaw may have broken the GPU's context for good."""
    if is_disk_full(exc):
        sentence = exc.message if isinstance(exc, FramehaulError) else "The disk is full."
        return Failed(reason=AttemptReason.DISK_FULL, message=sentence, advice="Make room, or rent more disk.")
    if isinstance(exc, FramehaulError):
        return Failed(reason=_reason(exc), message=exc.message, advice=exc.advice)
    sentence = f"{type(exc).__name__}: {exc}"
    return Failed(reason=AttemptReason.PIPELINE_FAILED, message=sentence[:2000], spoiled=True)


def _reason(exc: FramehaulError) -> AttemptReason:
    match exc:
        case BadParams():
            return AttemptReason.BAD_PARAMS
        case InputError() | MediaError():
            return AttemptReason.BAD_INPUT
        case StoreFull():
            return AttemptReason.DISK_FULL
        case _:
            return AttemptReason.PIPELINE_FAILED


def _task(order: Run, reporter: ChannelReporter) -> Task:
    return Task(
        params=order.params,
        inputs={slot: Path(path) for slot, path in order.inputs.items()},
        outputs={slot: Path(path) for slot, path in order.outputs.items()},
        parts=Path(order.parts),
        preview=Path(order.preview),
        limits=order.limits,
        reporter=reporter,
    )


@contextlib.contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Point stdout and stderr of this process, C libraries and children included, at a job's log."""
    kept = (os.dup(_STDOUT), os.dup(_STDERR))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _redirect(log, log)
        yield
    finally:
        _redirect(*kept)
        for handle in (*kept, log):
            os.close(handle)


def _redirect(stdout: int, stderr: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # what does not fit on the disk is lost, the job is not
            stream.flush()
    os.dup2(stdout, _STDOUT)
    os.dup2(stderr, _STDERR)


def _die() -> None:
    """End this process and whatever it started, without asking a thread that hangs in a driver."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before the call above
        _die()


def main() -> None:
    """Start as a child of the server."""
    parser = argparse.ArgumentParser(prog="agent.worker_main")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    told = parser.parse_args()
    _die_with(told.parent)
    # Ctrl-C in a terminal is the server's affair: it asks this process to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(told.fd, False)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    Worker(socket.socket(fileno=told.fd)).serve()


if __name__ == "__main__":
    main()
