"""No request, however odd, makes the agent fail, or answer in another shape than the one it describes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query
from schemathesis.core.failures import FailureGroup
from starlette.responses import Response

from agent.app import create_api, create_app
from agent.errors import Refusal
from agent.http.describe import problems
from agent.http.gate import Gate
from agent.http.problems import answer
from agent.service import Agent, Setup
from framehaul.clock import SystemClock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import LeaseOrder
from tests.agent.caller import Caller
from tests.agent.fuzz import Target, attack, listening, operations
from tests.agent.letters import grants, order

pytestmark = pytest.mark.slow

_EXAMPLES = 30
# These end what the others are attacked for: a deadline that has passed, no job any more, no new jobs.
_LAST = ["POST /lease", "DELETE /jobs/{job_id}", "POST /drain"]


@dataclass(frozen=True)
class Attacked:
    """An agent behind its gate, listening on loopback."""

    api: FastAPI
    address: str
    token: str

    def target(self, job_id: str | None = None) -> Target:
        """Aim at one job that is there, or at random ones, with sound bodies as a start."""
        known = {"job_id": job_id, "slot": "result"} if job_id else {}
        spec = order(job_id or "job-9")
        bodies = {
            "PUT /jobs/{job_id}": spec.model_dump(mode="json"),
            "PUT /jobs/{job_id}/grants": grants(spec).model_dump(mode="json"),
            "POST /lease": LeaseOrder(deadline=4e9).model_dump(mode="json"),
        }
        return Target(self.address, {"Authorization": f"Bearer {self.token}"}, known, bodies)

    async def have_done(self, spec: JobSpec) -> None:
        """Have a job done and fetched. Its log keeps nobody waiting, and its results still lie there."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.address, headers=headers, trust_env=False) as client:
            caller = Caller(client)
            await caller.ship(spec)
            await caller.pick_up(spec.job_id)


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Attacked]:
    """An agent that holds one job with results."""
    secret = LeaseSecret.new()
    agent = Agent(Setup(tmp_path / "home", SystemClock()))
    with listening(create_app(agent, secret)) as address:
        target = Attacked(create_api(agent), address, secret.token)
        asyncio.run(target.have_done(order("job-1")))
        yield target


@pytest.mark.parametrize("job_id", [None, "job-1"], ids=["random-jobs", "a-job-with-results"])
def test_no_request_makes_the_agent_fail(attacked: Attacked, job_id: str | None) -> None:
    """Every route answers sound and unsound requests as it describes, errors as problems, and none by an accident."""
    found = operations(attacked.api)
    assert len(found) == 14

    for label in [label for label in found if label not in _LAST] + _LAST:
        attack(found[label], attacked.target(job_id), _EXAMPLES)

    health = httpx.get(f"{attacked.address}/health", trust_env=False)
    assert health.json()["state"] == "draining"


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[FastAPI, Target]]:
    """An agent with two routes more: one fails for large numbers, one answers what it does not describe."""
    secret = LeaseSecret.new()
    api = create_api(Agent(Setup(tmp_path / "home", SystemClock())))

    @api.get("/fails", responses=problems(422))
    async def fails(number: Annotated[int, Query(ge=0, le=30)]) -> int:
        return (1, 2)[number // 10]

    @api.get("/strays")
    async def strays() -> Response:
        return answer(Refusal(418, "teapot", "It brews no coffee."))

    with listening(Gate(api, secret)) as address:
        yield api, Target(address, {"Authorization": f"Bearer {secret.token}"})


def test_fuzz_finds_a_route_that_fails(planted: tuple[FastAPI, Target]) -> None:
    """The same attack finds a failure that some sound requests cause: the fuzz can fail."""
    api, target = planted

    with pytest.raises(AssertionError, match="agent-failed"):
        attack(operations(api)["GET /fails"], target, _EXAMPLES)


def test_fuzz_finds_an_answer_that_is_not_described(planted: tuple[FastAPI, Target]) -> None:
    """A status that the description lacks is found, though the server did not fail."""
    api, target = planted

    with pytest.raises(FailureGroup, match="Undocumented status code"):
        attack(operations(api)["GET /strays"], target, _EXAMPLES)
