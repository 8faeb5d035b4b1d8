"""Every error is a problem+json body, whoever raised it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from agent.errors import Refusal, is_disk_full
from framehaul.contract.problem import Problem, problem_type
from framehaul.contract.routes import PROBLEM_MEDIA_TYPE

_MOST_ERRORS = 20

_log = logging.getLogger(__name__)


def answer(refusal: Refusal) -> Response:
    """Turn a refusal into its answer."""
    problem = Problem.model_validate(
        refusal.extra
        | {
            "type": problem_type(refusal.name),
            "title": refusal.name.replace("-", " "),
            "status": refusal.status,
            "detail": refusal.message,
            "retryable": refusal.retryable,
            "advice": refusal.advice,
        }
    )
    return Response(problem.model_dump_json(), refusal.status, headers=refusal.headers, media_type=PROBLEM_MEDIA_TYPE)


def unforeseen(exc: Exception) -> Refusal:
    """Answer for an error that no route expected; its text stays in the agent's own log."""
    if is_disk_full(exc):
        return Refusal(507, "disk-full", "The agent's disk is full.", advice="Rent more disk.", retryable=True)
    _log.error("unforeseen", exc_info=exc)
    return Refusal(500, "agent-failed", "The agent failed; its log tells how.", retryable=True)


def bad_request(errors: Sequence[Any]) -> Refusal:
    """Name what is wrong with a request, without repeating what was sent: it may hold presigned addresses."""
    parts = [f"{'.'.join(str(step) for step in error['loc'])}: {error['msg']}" for error in errors[:_MOST_ERRORS]]
    return Refusal(422, "bad-request", "; ".join(parts))


def install(app: FastAPI) -> None:
    """Handle every kind of error that FastAPI and our routes know."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, exc: Refusal) -> Response:
        return answer(exc)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        return answer(bad_request(exc.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, exc: HTTPException) -> Response:
        name = {404: "no-such-route", 405: "no-such-method"}.get(exc.status_code, "bad-request")
        return answer(Refusal(exc.status_code, name, str(exc.detail), headers=exc.headers))

    @app.exception_handler(OSError)
    @app.exception_handler(Exception)
    async def accident(request: Request, exc: Exception) -> Response:
        return answer(unforeseen(exc))
