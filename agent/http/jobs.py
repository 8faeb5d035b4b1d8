"""PUT, GET and DELETE of jobs; PUT of their grants."""

from __future__ import annotations

import asyncio
import shutil
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from agent.attempts.delivery import undelivered
from agent.errors import Refusal
from agent.http.bodies import body
from agent.http.describe import BODY_STATUSES, brings, problems, takes
from agent.jobs.job import Job
from agent.orders import judge_grants, judge_replacement, judge_spec
from agent.service import Agent
from framehaul.contract import routes
from framehaul.contract.grants import GrantSet
from framehaul.contract.spec import JobSpec
from framehaul.contract.states import AttemptReason, AttemptState
from framehaul.contract.status import JobList, JobView
from framehaul.contract.wire import Wire


class DeleteQuery(BaseModel):
    """What DELETE /jobs/{id} may be told: `discard` gives up results that nobody has fetched."""

    model_config = ConfigDict(extra="forbid")

    discard: bool = False


def job_routes(agent: Agent) -> APIRouter:
    """Take orders, show them, stop and remove them."""
    router = APIRouter()

    @router.put(
        routes.JOB,
        response_model=JobView,
        responses=brings(JobView, 201) | problems(*BODY_STATUSES, 409, 503, 507),
        openapi_extra=takes(JobSpec),
    )
    async def put_job(job_id: str, spec: Annotated[JobSpec, Depends(body(JobSpec))]) -> Response:
        if spec.job_id != job_id:
            raise Refusal(422, "id-differs", f"The address says {job_id!r}, the order {spec.job_id!r}.")
        present = agent.store.find(job_id)
        if present and not judge_replacement(present, spec):
            return _json(present.view())
        if agent.lease.draining:
            raise Refusal(503, "draining", "This agent takes no new jobs.", advice="Ship it to another machine.")
        judge_spec(spec)
        job = agent.store.create(spec)
        if present:
            present.bell.ring()
        agent.queue.submit(job)
        return _json(job.view(), 201)

    @router.put(routes.GRANTS, responses=problems(*BODY_STATUSES, 404, 409, 507), openapi_extra=takes(GrantSet))
    async def put_grants(job_id: str, grants: Annotated[GrantSet, Depends(body(GrantSet))]) -> JobView:
        job = agent.job(job_id)
        if judge_grants(job, grants, agent.grant_kinds):
            job.accept_grants(grants)
        return job.view()

    @router.get(routes.JOB, response_model=JobView, responses=problems(404))
    async def get_job(job_id: str) -> Response:
        return _json(agent.job(job_id).view())

    @router.get(routes.JOBS, responses=problems())
    async def get_jobs() -> JobList:
        return JobList(jobs=tuple(job.view() for job in agent.store.all()))

    @router.delete(
        routes.JOB,
        status_code=204,
        response_class=Response,
        responses=brings(JobView, 202) | problems(404, 409, 422),
    )
    async def delete_job(job_id: str, asked: Annotated[DeleteQuery, Query()]) -> Response:
        job = agent.job(job_id)
        if job.final:
            gone = agent.store.remove(job)
            await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
            return Response(status_code=204)
        _keep_results(job, asked.discard)
        agent.queue.stop(job, AttemptReason.ASKED_TO_STOP)
        return _json(job.view(), 202)

    return router


def _keep_results(job: Job, discard: bool) -> None:
    if job.status.state is AttemptState.DELIVERING and not discard:
        slots = ", ".join(sorted(undelivered(job)))
        raise Refusal(
            409,
            "undelivered",
            f"Results of {job.spec.job_id} have not been fetched yet: {slots}.",
            advice="Fetch them, or delete with ?discard=true.",
        )


def _json(message: Wire, status: int = 200) -> Response:
    return Response(message.model_dump_json(), status, media_type="application/json")
