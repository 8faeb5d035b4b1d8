"""Nobody comes in without the lease's token, on no route that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.app import create_api
from agent.service import Agent, Setup
from framehaul.clock import SystemClock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.routes import HEALTH
from tests.agent.caller import assert_refused
from tests.agent.served import Home, ServedAgent

Header = tuple[bytes, bytes]


async def _routes(home: Path) -> list[tuple[str, str]]:
    """List every method and path that the agent's code has, filled in, and two that it has not."""
    agent = Agent(Setup(home, SystemClock()))
    paths = create_api(agent).openapi()["paths"]
    await agent.close()
    found = [(method.upper(), path) for path, operations in paths.items() for method in operations]
    filled = [(method, path.format(job_id="job-1", slot="source")) for method, path in found]
    return [*filled, ("GET", "/openapi.json"), ("GET", "/docs")]


def _wrong(token: str) -> dict[str, list[Header]]:
    """Write what is no proof of the token."""
    shortened, other = token[:-1], LeaseSecret.new().token
    return {
        "none": [],
        "another lease's": [(b"Authorization", f"Bearer {other}".encode())],
        "cut short": [(b"Authorization", f"Bearer {shortened}".encode())],
        "of another scheme": [(b"Authorization", f"Basic {token}".encode())],
        "without a scheme": [(b"Authorization", token.encode())],
        "told twice": [(b"Authorization", f"Bearer {other}".encode()), (b"Authorization", f"Bearer {token}".encode())],
        "in another header": [(b"X-Token", token.encode())],
        "not ASCII": [(b"Authorization", b"Bearer \xff\xfe")],
    }


@pytest.mark.slow
async def test_every_route_wants_the_token(tmp_path: Path) -> None:
    """A wrong or missing token is 401 on every route of the application, found by walking it; /health alone is open."""
    secret = LeaseSecret.new()
    routes = await _routes(tmp_path / "description")
    assert len(routes) > 14
    with ServedAgent(Home(tmp_path / "home", secret)) as served:
        async with served.client(token="") as client:
            for method, path in routes:
                for what, headers in _wrong(secret.token).items():
                    reply = await client.request(method, path, headers=headers)
                    if (method, path) == ("GET", HEALTH):
                        assert reply.status_code == 200
                        continue
                    assert assert_refused(reply, 401, "bad-token"), what
                    assert reply.headers["www-authenticate"] == "Bearer"


async def test_token_in_the_address_opens_nothing(tmp_path: Path) -> None:
    """A token in a query would end up in logs of proxies: it is not read there."""
    secret = LeaseSecret.new()
    with ServedAgent(Home(tmp_path / "home", secret)) as served:
        async with served.client(token="") as client:
            assert_refused(await client.get("/jobs", params={"token": secret.token}), 401, "bad-token")


async def test_refusal_tells_nothing(tmp_path: Path) -> None:
    """Whoever lacks the token cannot tell a route that exists from one that does not."""
    with ServedAgent(Home(tmp_path / "home", LeaseSecret.new())) as served:
        async with served.client(token="") as client:
            refused = [await client.get(address) for address in ("/jobs", "/openapi.json", "/nothing", "/jobs/")]

    assert len({(reply.status_code, reply.content) for reply in refused}) == 1
