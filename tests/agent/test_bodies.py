"""Every body that a route takes is held to its form: fields, types, text, depth and size."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.app import create_api
from agent.http.bodies import MAX_JSON_BYTES
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import LeaseOrder, OutputReceived
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import grants, order

_SPEC = order(rate_bytes_s=1000)
# A sound body for every route that takes one.
SOUND: dict[str, dict[str, Any]] = {
    "PUT /jobs/{job_id}": _SPEC.model_dump(mode="json"),
    "PUT /jobs/{job_id}/grants": grants(_SPEC).model_dump(mode="json"),
    "POST /lease": LeaseOrder(deadline=4e9).model_dump(mode="json"),
    "POST /jobs/{job_id}/outputs/{slot}/received": OutputReceived(size=1, sha256="0" * 64).model_dump(mode="json"),
}
_DEEP = 10_000
_BROKEN = {
    "nothing": b"",
    "cut": b'{"version": 1',
    "a-list": b"[]",
    "null": b"null",
    "not-utf-8": b'{"job_id": "\xff\xfe"}',
    "utf-16": '{"version": 1}'.encode("utf-16"),
    "half-a-surrogate": b'{"job_id": "\\ud800"}',
    "nul": b'{"job_id": "a\\u0000b"}',
    "two-texts": b"{} {}",
    "deep-lists": b'{"params": ' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    "deep-objects": b'{"params": ' + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b"}",
    "long-number": b'{"attempt": ' + b"9" * 100_000 + b"}",
    "infinite": b'{"created_at": 1e999}',
    "not-a-number": b'{"created_at": NaN}',
}

Steps = tuple[str | int, ...]


def _sites(value: Any, at: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Walk every object, list and leaf of a body, itself the first."""
    yield at, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield from _sites(part, (*at, step))


def _with(body: dict[str, Any], at: Steps, value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    place = changed
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value
    return dict(changed)


def _of_another_type(value: Any) -> Any:
    """Give what a careless writer might send instead: a number as text, text as a number, a list as an object."""
    match value:
        case bool() | int() | float():
            return str(value)
        case str():
            return 7
        case list():
            return {}
        case _:
            return []


async def _send(inside: Inside, label: str, content: bytes) -> Any:
    method, path = label.split()
    address = path.format(job_id="job-1", slot="result")
    return await inside.caller.client.request(method, address, content=content)


async def test_table_names_every_route_with_a_body(inside: Inside) -> None:
    """A route that comes to take a body cannot be forgotten by the tests of this file."""
    paths = create_api(inside.agent).openapi()["paths"]
    taking = {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }

    assert taking == set(SOUND)


@pytest.mark.parametrize("label", SOUND)
async def test_unknown_fields_are_refused(inside: Inside, label: str) -> None:
    """A field that the message does not know is refused at every depth, and leaves nothing."""
    sites = [at for at, value in _sites(SOUND[label]) if isinstance(value, dict)]
    for at in sites:
        body = _with(SOUND[label], (*at, "surprise"), 1)
        reply = await _send(inside, label, json.dumps(body).encode())
        name = "bad-params" if at == ("params",) else "bad-request"
        assert "surprise" in assert_refused(reply, 422, name).detail, at

    assert inside.agent.store.all() == []
    assert inside.agent.lease.order is None


@pytest.mark.parametrize("label", SOUND)
async def test_wrong_types_are_refused_not_guessed(inside: Inside, label: str) -> None:
    """Text is no number and a number no text, in every field: what were guessed would hash to another order."""
    sites = [(at, value) for at, value in _sites(SOUND[label]) if at and at[0] != "params"]
    assert len(sites) >= 2
    for at, value in sites:
        body = _with(SOUND[label], at, _of_another_type(value))
        told = assert_refused(await _send(inside, label, json.dumps(body).encode()), 422, "bad-request")
        assert str(at[0]) in told.detail, at

    assert inside.agent.store.all() == []


@pytest.mark.parametrize("broken", _BROKEN)
@pytest.mark.parametrize("label", SOUND)
async def test_broken_text_is_refused(inside: Inside, label: str, broken: str) -> None:
    """What is no JSON object, or not text at all, or nested ten thousand deep, is a problem and no accident."""
    assert_refused(await _send(inside, label, _BROKEN[broken]), 422, "bad-request")


@pytest.mark.parametrize("label", SOUND)
async def test_big_bodies_are_refused(inside: Inside, label: str) -> None:
    """A byte more than 1 MiB is too much, though the text is sound."""
    sound = json.dumps(SOUND[label]).encode()

    reply = await _send(inside, label, sound + b" " * (MAX_JSON_BYTES + 1 - len(sound)))

    assert_refused(reply, 413, "too-big")


async def test_sound_bodies_are_taken(inside: Inside) -> None:
    """The bodies that the other tests break are taken as they are."""
    sound = {label: json.dumps(body).encode() for label, body in SOUND.items()}

    statuses = {label: (await _send(inside, label, sound[label])).status_code for label in SOUND}

    assert statuses == dict(zip(SOUND, (201, 200, 200, 409), strict=True))  # no result is there yet
    assert JobSpec.model_validate(SOUND["PUT /jobs/{job_id}"]) == _SPEC
