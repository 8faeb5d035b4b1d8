"""What an agent takes as an order, and what it refuses before anything is kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from agent.http.bodies import MAX_JSON_BYTES
from framehaul.contract.spec import InputSpec, Limits, OutputSlot
from framehaul.contract.status import LeaseOrder
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, fingerprint, grants, order

_SOURCE = InputSpec(slot="source", name="clip.mp4", size=len(MOVIE), fingerprint=fingerprint(MOVIE))


async def test_shipping_twice_is_shipping_once(inside: Inside) -> None:
    """The same order again finds the job that the first one made."""
    first = await inside.caller.put_job(order())
    again = await inside.caller.put_job(order())

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["spec_digest"] == order().digest()
    assert len((await inside.caller.client.get("/jobs")).json()["jobs"]) == 1


async def test_another_order_under_the_same_id_is_refused(inside: Inside) -> None:
    """Two controllers, or one with a bug, cannot overwrite each other's work."""
    await inside.caller.put_job(order())

    refused = await inside.caller.put_job(order(created_at=1_700_000_000.0))

    assert_refused(refused, 409, "job-differs")
    assert (await inside.caller.view("job-1")).spec_digest == order().digest()


async def test_next_attempt_waits_for_the_end_of_this_one(inside: Inside) -> None:
    """An attempt that still runs is not replaced; one that has ended gives its place to the next."""
    caller = inside.caller
    await caller.put_job(order())
    assert_refused(await caller.put_job(order(attempt=2)), 409, "job-differs")

    await caller.delete("job-1")
    await caller.until("job-1", "stopped", "asked-to-stop")
    taken = await caller.put_job(order(attempt=2))

    assert taken.status_code == 201
    view = await caller.view("job-1")
    assert (view.attempt, view.grants_generation) == (2, 0)
    assert_refused(await caller.put_job(order(attempt=1)), 409, "job-differs")


async def test_delivered_job_is_not_done_again(inside: Inside) -> None:
    """A later attempt at what has been delivered is a mistake, and says so."""
    await inside.caller.ship(order())
    await inside.caller.pick_up("job-1")

    assert_refused(await inside.caller.put_job(order(attempt=2)), 409, "job-differs")


@pytest.mark.parametrize(
    ("changes", "status", "name"),
    [
        ({"surprise": 1}, 422, "bad-request"),
        ({"version": 2}, 422, "bad-request"),
        ({"pipeline": "colourise"}, 422, "unknown-pipeline"),
        ({"pipeline": "../copy"}, 422, "bad-request"),
        ({"pipeline_digest": "0" * 64}, 409, "pipeline-differs"),
        ({"params": {"rate_bytes_s": 0}}, 422, "bad-params"),
        ({"params": {"speed": "fast"}}, 422, "bad-params"),
        ({"inputs": []}, 422, "bad-inputs"),
        ({"outputs": [OutputSlot(slot="video", name="x.mp4").model_dump()]}, 422, "unknown-slot"),
        ({"outputs": [{"slot": "result", "name": "../../etc/passwd"}]}, 422, "bad-request"),
        ({"outputs": [{"slot": "../result", "name": "x"}]}, 422, "bad-request"),
        ({"inputs": [_SOURCE.model_dump() | {"name": "a/../../b"}]}, 422, "bad-request"),
        ({"manifest_name": "..\\manifest"}, 422, "bad-request"),
        ({"limits": Limits(max_input_bytes=100).model_dump()}, 422, "input-too-big"),
        ({"job_id": "job-2"}, 422, "id-differs"),
        ({"job_id": "../../tmp"}, 422, "bad-request"),
    ],
)
async def test_refused_orders_leave_nothing(inside: Inside, changes: dict[str, object], status: int, name: str) -> None:
    """Each mistake has a name, and makes no folder."""
    refused = await inside.caller.put_job(order(), **changes)

    assert_refused(refused, status, name)
    assert list((inside.home / "jobs").iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '"job"', '{"params": {"x": NaN}}', "{" * 5000, "\ud800"])
async def test_broken_bodies_are_told(inside: Inside, text: str) -> None:
    """What is no order at all is a problem too, not a traceback."""
    body = text.encode(errors="surrogatepass")

    assert_refused(await inside.caller.client.put("/jobs/job-1", content=body), 422, "bad-request")


async def test_numbers_that_are_none_are_refused(inside: Inside) -> None:
    """NaN, which JSON does not know, cannot come in and break the digest."""
    body = json.dumps(order().model_dump(mode="json") | {"params": {"rate_bytes_s": float("nan")}})

    assert_refused(await inside.caller.client.put("/jobs/job-1", content=body), 422, "bad-request")


@pytest.mark.parametrize("told", [True, False], ids=["length-told", "chunked"])
async def test_oversized_bodies_are_refused(inside: Inside, told: bool) -> None:
    """A message is at most 1 MiB, whether its length is announced or not."""
    content = b" " * (MAX_JSON_BYTES + 1)

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    reply = await inside.caller.client.put("/jobs/job-1", content=content if told else pieces())

    assert_refused(reply, 413, "too-big")


async def test_draining_agent_takes_no_new_job(inside: Inside) -> None:
    """After /drain a new order is refused, and one that is here already is still known."""
    caller = inside.caller
    await caller.put_job(order())

    view = (await caller.client.post("/drain")).json()

    assert view["draining"] is True
    assert (await caller.client.get("/health")).json()["state"] == "draining"
    assert (await caller.put_job(order())).status_code == 200
    assert_refused(await caller.put_job(order("job-2")), 503, "draining")


async def test_drained_agent_finishes_what_it_has(inside: Inside) -> None:
    """Draining stops nothing that was shipped."""
    await inside.caller.put_job(order())
    await inside.caller.client.post("/drain")

    await inside.caller.ship(order())

    assert await inside.caller.pick_up("job-1") == MOVIE


@pytest.mark.parametrize(
    ("method", "address", "status", "name"),
    [
        ("GET", "/jobs/nobody", 404, "unknown-job"),
        ("GET", "/jobs/..", 404, "no-such-route"),
        ("GET", "/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd/log", 404, "no-such-route"),
        ("GET", "/jobs/..%00/log", 404, "unknown-job"),
        ("DELETE", "/jobs/.gone-1-job", 404, "unknown-job"),
        ("GET", "/docs", 404, "no-such-route"),
        ("GET", "/openapi.json", 404, "no-such-route"),
        ("POST", "/jobs", 405, "no-such-method"),
        ("GET", "/jobs/nobody/preview", 404, "unknown-job"),
        ("POST", "/lease", 422, "bad-request"),
    ],
)
async def test_every_error_is_a_problem(inside: Inside, method: str, address: str, status: int, name: str) -> None:
    """Whatever goes wrong, and whoever notices, the answer has one shape."""
    assert_refused(await inside.caller.client.request(method, address), status, name)


async def test_unforeseen_error_tells_nothing_of_the_code(inside: Inside, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the agent's is a 500 problem; the traceback is in its log alone."""
    await inside.caller.put_job(order())
    inside.folder().progress_log.unlink()
    inside.folder().progress_log.mkdir()

    reply = await inside.caller.log("job-1")

    told = assert_refused(reply, 500, "agent-failed")
    assert "IsADirectory" not in reply.text
    assert "IsADirectoryError" in caplog.text
    assert told.retryable


async def test_heartbeat_is_answered_with_the_lease(inside: Inside) -> None:
    """POST /lease renews the TTL and says what is undelivered."""
    await inside.caller.ship(order())
    await inside.caller.receipt("job-1")
    heartbeat = LeaseOrder(deadline=inside.clock.now() + 3600, ttl_s=60, grace_s=10)

    view = (await inside.caller.client.post("/lease", content=heartbeat.canonical())).json()

    assert view["silent_after"] == inside.clock.now() + 70
    assert view["undelivered"] == ["job-1"]


async def test_grants_before_their_job_find_nobody(inside: Inside) -> None:
    """Grants do not make a job."""
    assert_refused(await inside.caller.put_grants(grants(order())), 404, "unknown-job")
