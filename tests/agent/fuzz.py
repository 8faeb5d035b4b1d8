"""Throw requests that a description allows, and requests that it forbids, at a server, and judge every answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.modes import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from framehaul.contract.problem import Problem
from framehaul.contract.routes import PROBLEM_MEDIA_TYPE
from framehaul.contract.wire import Json

Operation = APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]

# Answers above 500 that are meant: an agent that drains takes no new job, and a disk may be full.
_MEANT = {503: "draining", 507: "disk-full"}
_FORM: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Orders have rules that no schema tells, and `assert_answered` knows which answers above 500 are meant.
_NOT_ASKED: list[CheckFunction] = [not_a_server_error, positive_data_acceptance]


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Serve an application on loopback in a thread of this process; give its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="on", log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],), name="fuzzed")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def operations(api: FastAPI) -> dict[str, Operation]:
    """List what an application says that it does, by method and path."""
    schema = schemathesis.openapi.from_dict(api.openapi())
    found: dict[str, Operation] = {}
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        found[operation.label] = operation
    return found


@dataclass(frozen=True)
class Target:
    """A server that is attacked: where it is, who may enter, and what lies there.

    `path_parameters` take the place of random ones, for no random job id is ever a job's. `bodies` are sound ones by
    operation: a random one is turned away by the first of many rules, one with a few random fields comes further.
    """

    address: str
    headers: Mapping[str, str]
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    bodies: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    def send(self, case: Case) -> Response:
        """Send one request."""
        known = self.path_parameters
        case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        return case.call(base_url=self.address, headers=dict(self.headers))


def attack(operation: Operation, target: Target, examples: int) -> None:
    """Send an operation so many requests that fit its description, and as many that break it; in every run the same.

    Where a sound body is known, as many again that change some fields of it.
    """
    for mode in GenerationMode:
        with suppress(Unsatisfiable):  # nothing about GET /health can be wrong
            _run(_plain(operation, mode, target), examples)
    if operation.label in target.bodies:
        _run(_blended(operation, target), examples)


def _plain(operation: Operation, mode: GenerationMode, target: Target) -> Callable[[], None]:
    @given(case=operation.as_strategy(generation_mode=mode))
    def strike(case: Case) -> None:
        reply = target.send(case)
        assert_answered(reply)
        case.validate_response(reply, excluded_checks=_NOT_ASKED)

    return strike


def _blended(operation: Operation, target: Target) -> Callable[[], None]:
    sound = target.bodies[operation.label]

    @given(case=operation.as_strategy(), data=strategies.data())
    def strike(case: Case, data: strategies.DataObject) -> None:
        changed = data.draw(strategies.sets(strategies.sampled_from(sorted(sound)), min_size=1, max_size=2))
        body = case.body if isinstance(case.body, dict) else {}
        case.body = {**sound, **{name: body[name] for name in sorted(changed) if name in body}}
        reply = target.send(case)
        assert_answered(reply)
        case.validate_response(reply, checks=_FORM)

    return strike


def _run(strike: Callable[[], None], examples: int) -> None:
    limits = settings(
        max_examples=examples,
        derandomize=True,
        report_multiple_bugs=False,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    limits(strike)()


def assert_answered(reply: Response) -> None:
    """Hold that a reply is no accident of the server's, and that an error comes as a problem."""
    if reply.status_code < 400:
        return
    assert reply.headers["content-type"] == [PROBLEM_MEDIA_TYPE], reply.text
    told = Problem.model_validate_json(reply.content)
    assert told.status == reply.status_code
    assert reply.status_code < 500 or told.name == _MEANT.get(reply.status_code), reply.text
