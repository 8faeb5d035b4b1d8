"""Measure what a status poll and a log read cost the agent: its process's CPU time over many of them, in one run.

    python -m bench.agent_polls [--polls 400] [--rounds 5] [--json]

The agent runs as a program of its own, with a job in hand, and is asked over the controller's pinned HTTPS channel,
which keeps its connection. Beside it, in turns, a bare uvicorn + FastAPI route answers the same bytes over the same
TLS: the ratio says what our own code adds. Figures are CPU milliseconds of the server a request, the median of the
rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response

from controller.channel import AgentChannel
from controller.errors import AgentUnreachable
from framehaul.contract import routes
from framehaul.contract.grants import GrantSet, RelayIn, RelayOut
from framehaul.contract.lease_secret import SECRET_VARIABLE, LeaseSecret
from framehaul.contract.naming import manifest_name, params_digest
from framehaul.contract.spec import InputSpec, JobSpec, OutputSlot
from framehaul.contract.states import AttemptState
from framehaul.pipelines.catalogue import load_pipeline

JOB = "bench"
_MOVIE = b"film " * 20_000
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Cost:
    """What one kind of request costs: CPU milliseconds of either server, and one over the other."""

    agent_ms: float
    bare_ms: float

    @property
    def ratio(self) -> float | None:
        """How many times the bare route's cost; None where that was too little for the system's clock of CPU time."""
        return self.agent_ms / self.bare_ms if self.bare_ms else None

    def __str__(self) -> str:
        if self.ratio is None:
            return "too few polls to measure"
        return f"{self.agent_ms:.2f} ms CPU a request; bare route {self.bare_ms:.2f} ms; ratio {self.ratio:.2f}"


@dataclass
class Server:
    """A program that serves, and the channel to it."""

    process: psutil.Process
    channel: AgentChannel

    async def cost_ms(self, ask: Callable[[AgentChannel], Awaitable[object]], polls: int) -> float:
        """Ask so many times, one after another; give the server's CPU milliseconds for each."""
        before = _cpu_s(self.process)
        for _ in range(polls):
            await ask(self.channel)
        return 1000 * (_cpu_s(self.process) - before) / polls


async def measure(polls: int, rounds: int) -> dict[str, Cost]:
    """Run both servers and ask them in turns."""
    secret = LeaseSecret.new()
    with tempfile.TemporaryDirectory() as name, program(agent_words(Path(name)), Path(name), secret) as agent:
        work = Path(name)
        await _busy(agent.channel)
        log, _ = await agent.channel.log(JOB, "progress", 0)
        (work / "view.json").write_bytes((await agent.channel.job(JOB)).model_dump_json().encode())
        (work / "log.txt").write_bytes(log)
        bare_words = ("-m", "bench.agent_polls", "--bare", str(work))
        with program(bare_words, work, secret) as bare:
            kinds: dict[str, Callable[[AgentChannel], Awaitable[object]]] = {
                "status": lambda channel: channel.job(JOB),
                "log": lambda channel: channel.log(JOB, "progress", 0),
            }
            costs = {kind: await _compare(agent, bare, ask, polls, rounds) for kind, ask in kinds.items()}
            await asyncio.gather(agent.channel.close(), bare.channel.close())
    return costs


async def _compare(
    agent: Server, bare: Server, ask: Callable[[AgentChannel], Awaitable[object]], polls: int, rounds: int
) -> Cost:
    for server in (agent, bare):
        await server.cost_ms(ask, max(1, polls // 4))  # the first ones import, connect and fill caches
    pairs = [(await agent.cost_ms(ask, polls), await bare.cost_ms(ask, polls)) for _ in range(rounds)]
    return Cost(statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs))


async def _busy(channel: AgentChannel) -> None:
    """Bring the agent to where its worker computes, a byte a second, while the polls come."""
    spec = _order()
    await until(channel.health)
    await channel.put_job(spec)
    outputs = {slot: RelayOut() for slot in spec.output_names()}
    await channel.put_grants(
        GrantSet(job_id=JOB, attempt=1, generation=1, inputs={"source": RelayIn()}, outputs=dict(outputs))
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(_MOVIE)
        file.flush()
        await channel.put_input(JOB, "source", Path(file.name), offset=0, total=len(_MOVIE))

    async def computes() -> bool:
        status = (await channel.job(JOB)).status
        return status.state is AttemptState.RUNNING and status.done > 0

    await until(computes)


async def until(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until the answer is true."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(AgentUnreachable):
            if await ask():
                return
        await asyncio.sleep(0.05)
    raise TimeoutError("The server never came to where it can be measured.")


def _order() -> JobSpec:
    params: dict[str, Any] = {"rate_bytes_s": 1}
    fingerprint = f"disk:{len(_MOVIE)}:{hashlib.sha256(_MOVIE).hexdigest()}"
    return JobSpec(
        job_id=JOB,
        attempt=1,
        batch_id="bench",
        pipeline="copy",
        pipeline_digest=load_pipeline("copy").card().digest(),
        params=params,
        params_digest=params_digest("copy", params, None),
        inputs=(InputSpec(slot="source", name="clip.mp4", size=len(_MOVIE), fingerprint=fingerprint),),
        outputs=(OutputSlot(slot="result", name="result.mp4"),),
        manifest_name=manifest_name("result.mp4"),
        created_at=time.time(),
    )


def agent_words(work: Path) -> tuple[str, ...]:
    """Give the words that start an agent below a folder."""
    return ("-m", "agent", "serve", "--home", str(work / "home"), "--port-file", str(work / "port"))


@contextlib.contextmanager
def program(words: tuple[str, ...], work: Path, secret: LeaseSecret) -> Iterator[Server]:
    """Run a server for the length of a block; it writes its port into `port`."""
    port_file = work / "port"
    port_file.unlink(missing_ok=True)
    environment = {**os.environ, SECRET_VARIABLE: secret.hex()}
    process = subprocess.Popen([sys.executable, *words], env=environment, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not port_file.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise TimeoutError(f"{words} did not come up.")
            time.sleep(0.05)
        port = json.loads(port_file.read_text())["port"]
        yield Server(psutil.Process(process.pid), AgentChannel(("127.0.0.1", port), secret))
    finally:
        process.kill()
        process.wait()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def serve_bare(work: Path) -> None:
    """Answer the two routes with the bytes that the agent gave, over the agent's TLS, and nothing else."""
    view, log = (work / "view.json").read_bytes(), (work / "log.txt").read_bytes()
    app = FastAPI()

    @app.get(routes.JOB)
    async def get_job(job_id: str) -> Response:
        return Response(view, media_type="application/json")

    @app.get(routes.LOG)
    async def get_log(job_id: str, request: Request) -> Response:
        return Response(log, media_type="text/plain", headers={routes.NEXT_OFFSET_HEADER: str(len(log))})

    secret = LeaseSecret.from_hex(os.environ[SECRET_VARIABLE])
    (work / "key").write_bytes(secret.private_key_pem())
    (work / "certificate").write_bytes(secret.certificate_pem)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_keyfile=work / "key",
        ssl_certfile=work / "certificate",
    )
    listener = config.bind_socket()
    (work / "port").write_text(json.dumps({"port": listener.getsockname()[1]}))
    uvicorn.Server(config).run(sockets=[listener])


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(prog="python -m bench.agent_polls", description="What a poll costs the agent.")
    words.add_argument("--polls", type=_positive, default=400, help="requests a round, by default %(default)s")
    words.add_argument("--rounds", type=_positive, default=5, help="by default %(default)s")
    words.add_argument("--json", action="store_true", help="print for machines")
    words.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    told = words.parse_args()
    if told.bare:
        serve_bare(told.bare)
        return
    costs = asyncio.run(measure(told.polls, told.rounds))
    if told.json:
        rows = {
            kind: {"agent_cpu_ms": cost.agent_ms, "bare_cpu_ms": cost.bare_ms, "ratio": cost.ratio}
            for kind, cost in costs.items()
        }
        print(json.dumps({"polls": told.polls, "rounds": told.rounds, **rows}))
        return
    for kind, cost in costs.items():
        print(f"{kind:7} {cost}")


if __name__ == "__main__":
    main()
