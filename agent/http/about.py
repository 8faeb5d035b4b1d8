"""GET /health and /info; POST /lease and /drain."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends

import framehaul
from agent.http.bodies import body
from agent.http.describe import BODY_STATUSES, problems, takes
from agent.service import Agent
from framehaul.contract import routes
from framehaul.contract.status import Health, HealthState, Info, LeaseOrder, LeaseView


def about_routes(agent: Agent) -> APIRouter:
    """Say what this agent is, and keep its lease."""
    router = APIRouter()

    @router.get(routes.HEALTH, openapi_extra={"security": []})
    async def health() -> Health:
        state = HealthState.READY if agent.started else HealthState.STARTING
        state = HealthState.DRAINING if agent.lease.draining else state
        return Health(state=state, watchdog_armed=False, version=framehaul.__version__)

    @router.get(routes.INFO, responses=problems())
    async def info() -> Info:
        return await asyncio.to_thread(agent.machine.info)

    @router.post(routes.LEASE, responses=problems(*BODY_STATUSES), openapi_extra=takes(LeaseOrder))
    async def lease(order: Annotated[LeaseOrder, Depends(body(LeaseOrder))]) -> LeaseView:
        agent.lease.hear(order)
        return agent.lease.view(agent.undelivered())

    @router.post(routes.DRAIN, responses=problems())
    async def drain() -> LeaseView:
        agent.lease.drain()
        return agent.lease.view(agent.undelivered())

    return router
