"""The end of a worker process is noticed and carried out, whatever it leaves behind and however it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.errors import WorkerDied
from agent.worker_child import Child
from tests.agent.patience import eventually
from tests.agent.served import alive

_SLEEP = "os.execvp('sleep', ['sleep', '60'])"


@asynccontextmanager
async def _child(script: str, *, own_group: bool = True, burial_s: float = 10.0) -> AsyncIterator[Child]:
    """Start a Python script as a worker; `line` is its end of the control socket, a number."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", f"import os, subprocess\nline = {theirs.fileno()}\n{script}"),
            pass_fds=(theirs.fileno(),),
            start_new_session=own_group,
        )
    child = Child(process, reader, writer, burial_s)
    try:
        yield child
    finally:
        await child.kill()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("strays", [False, True], ids=["of-its-group", "of-another-session"])
async def test_heir_that_holds_the_line_hides_no_death(strays: bool) -> None:
    """A worker that was killed is known to be dead within two seconds, though what it started keeps the socket open."""
    heir = f"subprocess.Popen(['sleep', '5'], pass_fds=[line], start_new_session={strays})"
    async with _child(f"{heir}\nos.kill(os.getpid(), 9)") as child:
        await eventually(lambda: not alive(child.pid))
        began = time.monotonic()
        with pytest.raises(WorkerDied, match="killed by SIGKILL"):
            await child.hear()

        assert time.monotonic() - began < 2


async def test_last_words_are_heard_after_death() -> None:
    """What a worker told before it ended is read, though it is gone by then."""
    async with _child("""os.write(line, b'{"kind": "note", "message": "bye"}\\n')\nos._exit(3)""") as child:
        await eventually(lambda: not alive(child.pid))

        assert (await child.hear()).kind == "note"
        with pytest.raises(WorkerDied, match="exited with code 3"):
            await child.hear()


async def test_worker_without_a_line_is_dead_to_us() -> None:
    """A process that lives but has let go of the socket will never report: it counts as dead, and is ended."""
    async with _child(f"os.close(line)\n{_SLEEP}") as child:
        with pytest.raises(WorkerDied, match="let go of the line"):
            await child.hear()
        assert alive(child.pid)

        await child.kill()

        assert not alive(child.pid)


async def test_what_a_worker_started_ends_with_it() -> None:
    """Killing a worker kills the programs that it runs: they would hold the GPU."""
    script = """heir = subprocess.Popen(["sleep", "60"]).pid
os.write(line, b'{"kind": "ready", "pid": %d}\\n' % heir)
"""
    async with _child(script + _SLEEP) as child:
        told = await child.hear()
        assert told.kind == "ready"
        assert alive(told.pid)

        await child.kill()

        await eventually(lambda: not alive(told.pid))


async def test_worker_that_cannot_be_killed_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A process that SIGKILL does not end, as one that hangs in a driver, is left behind after a while, and told of."""
    # Not the leader of a group, so that the kill does not reach it.
    async with _child(_SLEEP, own_group=False, burial_s=0.2) as child:
        await child.kill()

        assert alive(child.pid)
        assert f"worker {child.pid}: SIGKILL does not end it" in caplog.text
        with pytest.raises(WorkerDied):
            await child.hear()
        os.kill(child.pid, signal.SIGKILL)
