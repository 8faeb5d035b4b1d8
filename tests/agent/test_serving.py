"""The program: it boots, lets in whom it should, keeps its secret, and ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from framehaul.contract.lease_secret import SECRET_VARIABLE, LeaseSecret
from framehaul.contract.routes import NEXT_OFFSET_HEADER
from framehaul.contract.status import Health
from tests.agent.caller import Caller, assert_refused
from tests.agent.letters import order
from tests.agent.patience import eventually
from tests.agent.served import Home, ServedAgent, alive, environment_of, mapped_by, run_agent
from tests.emulators.clock import ClockServer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home folder and a lease's secret."""
    return Home(tmp_path / "home", LeaseSecret.new())


@pytest.fixture
def served(home: Home) -> Iterator[ServedAgent]:
    """A running program."""
    with ServedAgent(home) as agent:
        yield agent


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedAgent]:
    """A running program for all who only ask: it has no job, and none of them gives it one."""
    with ServedAgent(Home(tmp_path_factory.mktemp("idle") / "home", LeaseSecret.new())) as agent:
        yield agent


async def test_health_needs_no_token(idle: ServedAgent) -> None:
    """Whoever asks may know that an agent is there, and that it is ready."""
    async with idle.client(token="") as client:
        reply = await client.get("/health")

    assert reply.status_code == 200
    health = Health.model_validate_json(reply.content)
    assert (health.state, health.watchdog_armed) == ("ready", False)


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
@pytest.mark.parametrize("address", ["/jobs", "/info", "/no-such-route", "/health/"])
async def test_everything_else_needs_the_token(idle: ServedAgent, token: str, address: str) -> None:
    """Without the lease's token not even the list of routes can be learnt."""
    async with idle.client(token="") as client:
        headers = [(b"Authorization", f"Bearer {token}".encode("latin-1"))] if token else []
        assert_refused(await client.get(address, headers=headers), 401, "bad-token")


async def test_token_of_the_lease_opens(idle: ServedAgent) -> None:
    """The controller, which derives the token from the same secret, comes in."""
    async with idle.client() as client:
        assert (await client.get("/jobs")).json() == {"jobs": []}


async def test_speaks_no_plain_http(idle: ServedAgent) -> None:
    """A request that is not encrypted gets no answer at all."""
    async with idle.client(scheme="http") as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/health")


async def test_another_certificate_is_not_trusted(served: ServedAgent, home: Home) -> None:
    """Who holds another lease's secret does not take this agent for theirs."""
    served.home = Home(home.path, LeaseSecret.new())

    async with served.client() as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get("/health")


async def test_secret_stays_in_the_process(served: ServedAgent, home: Home) -> None:
    """Once it serves, neither /proc nor any file of the home shows the secret or the key made of it."""
    await served.port()

    environment = environment_of(served.pid)
    assert SECRET_VARIABLE.encode() in environment
    assert home.secret.hex().encode() not in environment
    for path in home.path.rglob("*"):
        if path.is_file():
            assert b"PRIVATE KEY" not in path.read_bytes()
            assert home.secret.hex().encode() not in path.read_bytes()


async def test_worker_gets_no_secret(served: ServedAgent) -> None:
    """The process that opens strangers' media holds no key, neither the lease's nor the instance's."""
    async with served.caller() as caller:
        await caller.ship(order())
        await caller.receipt("job-1")
        environment = environment_of(await served.worker())

    assert b"PATH=" in environment
    for name in (b"SECRET", b"KEY", b"TOKEN"):
        assert name not in environment


async def test_second_agent_on_one_home_is_refused(served: ServedAgent, home: Home) -> None:
    """Two agents on one folder would run every job twice; the second one says so and ends."""
    await served.port()

    second = await asyncio.to_thread(run_agent, "serve", "--home", str(home.path), environment=home.environment())

    assert second.returncode == 2
    assert "Another agent serves" in second.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["--host", "0.0.0.0", "--insecure-loopback"], ["--host", "example.org", "--insecure-loopback"]],
    ids=["no-secret", "not-loopback", "not-an-address"],
)
def test_refuses_to_serve_everyone(tmp_path: Path, words: list[str]) -> None:
    """Without a secret nothing is served, unless it is asked for and nobody else can connect."""
    environment = {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE}
    done = run_agent("serve", "--home", str(tmp_path), *words, environment=environment)

    assert done.returncode == 2
    assert done.stderr.startswith(f"{SECRET_VARIABLE} is not set")


async def test_ends_fast_when_told_to(home: Home, worker_clock: ClockServer) -> None:
    """SIGTERM ends server and worker in three seconds, whoever waits for the log, and whatever a thread waits for."""
    on_that_clock = Home(home.path, home.secret, worker_clock.url)
    with ServedAgent(on_that_clock) as served:
        async with served.caller() as caller:
            worker, reader = await _busy_with_a_reader(served, caller)

            began = time.monotonic()
            served.terminate()
            code = await served.ended()
            took_s = time.monotonic() - began
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    assert code == 0
    assert took_s < 3
    assert not alive(worker)


async def _busy_with_a_reader(served: ServedAgent, caller: Caller) -> tuple[int, asyncio.Task[httpx.Response]]:
    """Bring an agent to where its worker computes and somebody polls its log; give both."""
    await caller.ship(order(rate_bytes_s=1))
    await caller.until("job-1", "running")
    worker = await served.worker()
    end = (await caller.log("job-1")).headers[NEXT_OFFSET_HEADER]
    reader = asyncio.create_task(caller.log("job-1", offset=end, wait=30))
    await caller.view("job-1")
    return worker, reader


async def test_worker_dies_with_its_server(served: ServedAgent) -> None:
    """A server that is killed leaves nobody behind who would hold the GPU."""
    async with served.caller() as caller:
        await caller.ship(order(rate_bytes_s=1))
        await caller.until("job-1", "running")
        worker = await served.worker()

        served.process.kill()

        await eventually(lambda: not alive(worker))


async def test_server_stays_light(served: ServedAgent) -> None:
    """A server that has taken, computed and described jobs has mapped neither torch nor numpy."""
    async with served.caller() as caller:
        await caller.ship(order())
        await caller.receipt("job-1")
        assert (await caller.client.get("/info")).status_code == 200

    mapped = mapped_by(served.pid)
    for library in ("torch", "numpy"):
        assert f"/{library}/" not in mapped
