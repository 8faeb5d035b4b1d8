"""A controller's hand: calls the agent's routes, whether it lives in this process or in another."""

from __future__ import annotations

from typing import Any

import httpx

from framehaul.contract import routes
from framehaul.contract.grants import GrantSet
from framehaul.contract.problem import Problem
from framehaul.contract.receipt import OutputReceipt, Receipt
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import JobView
from tests.agent.letters import MOVIE, grants
from tests.agent.patience import eventually


class Caller:
    """Speak to one agent."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def put_job(self, spec: JobSpec, **changes: Any) -> httpx.Response:
        """Ship an order; `changes` are made to its JSON."""
        body = spec.model_dump(mode="json") | changes
        return await self.client.put(routes.JOB.format(job_id=spec.job_id), json=body)

    async def put_grants(self, granted: GrantSet) -> httpx.Response:
        """Send a generation of grants."""
        return await self.client.put(routes.GRANTS.format(job_id=granted.job_id), content=granted.canonical())

    async def put_input(
        self, job_id: str, data: bytes, start: int = 0, end: int | None = None, *, slot: str = "source"
    ) -> httpx.Response:
        """Send the bytes [start, end) of an input."""
        stop = len(data) if end is None else end
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"} if data else {}
        address = routes.INPUT.format(job_id=job_id, slot=slot)
        return await self.client.put(address, content=data[start:stop], headers=headers)

    async def get_output(self, job_id: str, slot: str = "result", **headers: str) -> httpx.Response:
        """Fetch an output."""
        return await self.client.get(routes.OUTPUT.format(job_id=job_id, slot=slot), headers=headers)

    async def received(self, job_id: str, entry: OutputReceipt, **changes: Any) -> httpx.Response:
        """Say what arrived of an output."""
        body = {"size": entry.size, "sha256": entry.sha256} | changes
        return await self.client.post(routes.OUTPUT_RECEIVED.format(job_id=job_id, slot=entry.slot), json=body)

    async def log(self, job_id: str, **query: Any) -> httpx.Response:
        """Read a log."""
        return await self.client.get(routes.LOG.format(job_id=job_id), params=query)

    async def delete(self, job_id: str, **query: Any) -> httpx.Response:
        """Stop a job, or remove it."""
        return await self.client.delete(routes.JOB.format(job_id=job_id), params=query)

    async def view(self, job_id: str) -> JobView:
        """Ask how a job stands."""
        reply = await self.client.get(routes.JOB.format(job_id=job_id))
        assert reply.status_code == 200, reply.text
        return JobView.model_validate_json(reply.content)

    async def until(self, job_id: str, state: str, reason: str | None = None) -> JobView:
        """Wait until a job is in a state; another final state fails at once."""

        async def there() -> JobView | None:
            view = await self.view(job_id)
            status = view.status
            ended = status.state in {"failed", "stopped", "delivered"} and status.state != state
            assert not ended, f"{status.state} ({status.reason}): {status.message}"
            return view if status.state == state and reason in {None, status.reason} else None

        view = await eventually(there)
        assert view
        return view

    async def ship(self, spec: JobSpec, data: bytes = MOVIE) -> None:
        """Order, grant and send the whole input."""
        for reply in (
            await self.put_job(spec),
            await self.put_grants(grants(spec)),
            await self.put_input(spec.job_id, data),
        ):
            assert reply.is_success, reply.text

    async def receipt(self, job_id: str) -> Receipt:
        """Wait until the results can be fetched."""
        view = await self.until(job_id, "delivering", "waiting-for-pickup")
        assert view.receipt
        return view.receipt

    async def pick_up(self, job_id: str) -> bytes:
        """Fetch and acknowledge every output; give the pipeline's."""
        receipt = await self.receipt(job_id)
        for entry in receipt.outputs:
            reply = await self.received(job_id, entry)
            assert reply.status_code == 200, reply.text
        return (await self.get_output(job_id)).content


def problem(reply: httpx.Response) -> Problem:
    """Read a problem, and hold that it travels as one."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    told = Problem.model_validate_json(reply.content)
    assert told.status == reply.status_code
    return told


def assert_refused(reply: httpx.Response, status: int, name: str) -> Problem:
    """Hold that this very problem came; give it."""
    told = problem(reply)
    assert (told.status, told.name) == (status, name), reply.text
    return told
