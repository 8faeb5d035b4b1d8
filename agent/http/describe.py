"""Describe the routes truthfully: what each takes, and every status that it answers.

The description is made for tests, which walk the routes and fuzz them by it. It is not served: a stranger who has the
token by accident need not be handed a map, and the controller knows its agent from the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from framehaul.contract.grants import GrantSet
from framehaul.contract.problem import Problem
from framehaul.contract.routes import PROBLEM_MEDIA_TYPE
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import LeaseOrder, OutputReceived

# Bodies are read by our own bounded reader, so FastAPI does not know of them.
BODIES: tuple[type[BaseModel], ...] = (JobSpec, GrantSet, LeaseOrder, OutputReceived)
BODY_STATUSES = (408, 413, 422)
_REFS = "#/components/schemas/{model}"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_BEARER = {"type": "http", "scheme": "bearer"}

Described = dict[str, Any]
# FastAPI's own type for `responses`.
Responses = dict[int | str, Described]


class DescribedApi(FastAPI):
    """An application whose description says what our routes do, not what FastAPI supposes."""

    def openapi(self) -> Described:
        """Give the OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = _corrected(super().openapi())
        return self.openapi_schema


def problems(*statuses: int) -> Responses:
    """Say which problems a route answers besides 401, which every route behind the gate does."""
    schema = {"$ref": _REFS.format(model=Problem.__name__)}
    content = {PROBLEM_MEDIA_TYPE: {"schema": schema}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in (401, *statuses)}


def brings(model: type[BaseModel], status: int) -> Responses:
    """Say that a status besides the route's own brings this message."""
    return {status: {"model": model}}


def bytes_of(media_type: str, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Responses:
    """Say that a status brings bytes of this type, with these headers (each with what it tells)."""
    told = {name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()}
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content, "headers": told}}


def takes(model: type[BaseModel]) -> Described:
    """Say that a route takes this message as its body."""
    return _body("application/json", {"$ref": _REFS.format(model=model.__name__)})


def takes_bytes() -> Described:
    """Say that a route takes bytes as they are."""
    return _body("application/octet-stream", {"type": "string", "format": "binary"})


def heeds(*headers: str) -> Described:
    """Say which request headers a route heeds."""
    return {"parameters": [{"name": name, "in": "header", "schema": {"type": "string"}} for name in headers]}


def _body(media_type: str, schema: Described) -> Described:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _corrected(document: Described) -> Described:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    pairs = [(model, "validation" if model in BODIES else "serialization") for model in (*BODIES, Problem)]
    _, ours = models_json_schema(pairs, ref_template=_REFS)  # type: ignore[arg-type]
    schemas.update(ours["$defs"])
    components["securitySchemes"] = {"token": _BEARER}
    document["security"] = [{"token": []}]
    for operations in document["paths"].values():
        for operation in operations.values():
            _drop_supposed(operation["responses"])
    return document


def _drop_supposed(responses: Described) -> None:
    """Remove the 422 that FastAPI adds wherever a path has a parameter: any text is a job id that may be unknown."""
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
