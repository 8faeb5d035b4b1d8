"""The ASGI application: an agent behind its routes, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from agent.http import problems
from agent.http.about import about_routes
from agent.http.describe import DescribedApi
from agent.http.gate import Gate
from agent.http.intake import intake_routes
from agent.http.jobs import job_routes
from agent.http.logs import log_routes
from agent.http.outlet import outlet_routes
from agent.service import Agent
from framehaul.contract.lease_secret import LeaseSecret


def create_app(agent: Agent, secret: LeaseSecret | None) -> Gate:
    """Serve an agent behind the gate. Without a secret nobody is asked for a token."""
    return Gate(create_api(agent), secret)


def create_api(agent: Agent) -> FastAPI:
    """Serve an agent's routes, open to everyone; its life is the application's lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with agent.running():
            yield

    # No /docs, no /openapi.json and no redirects: the routes are exactly those of the contract.
    app = DescribedApi(title="Framehaul agent", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    problems.install(app)
    for routes in (about_routes, job_routes, log_routes, intake_routes, outlet_routes):
        app.include_router(routes(agent))
    return app
