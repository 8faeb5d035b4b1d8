"""Inputs that the agent fetches by itself: resumed, retried, and never mixed from two objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from framehaul.contract.spec import InputSpec
from tests.agent.caller import Caller
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, fingerprint, grants, order, reading
from tests.agent.patience import eventually
from tests.emulators.files import FileServer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileServer]:
    """A web server that holds the movie."""
    root = tmp_path / "store"
    root.mkdir()
    (root / "clip.mp4").write_bytes(MOVIE)
    with FileServer(root) as server:
        yield server


async def _order_fetch(caller: Caller, store: FileServer, job_id: str = "job-1", **changes: object) -> None:
    spec = order(job_id, **changes)  # type: ignore[arg-type]
    assert (await caller.put_job(spec)).status_code == 201
    reply = await caller.put_grants(grants(spec, source=reading(f"{store.url}/clip.mp4?X-Amz-Signature=1")))
    assert reply.status_code == 200


def _ranges(store: FileServer) -> list[str | None]:
    return [request["range"] for request in store.log()]


async def test_fetched_by_itself(inside: Inside, store: FileServer) -> None:
    """With an address in the grants nobody has to send anything."""
    await _order_fetch(inside.caller, store)

    assert await inside.caller.pick_up("job-1") == MOVIE
    assert _ranges(store) == [None]


async def test_goes_on_where_a_connection_broke(inside: Inside, store: FileServer) -> None:
    """After a cut only the rest is fetched, on condition that the object is still the same."""
    store.fault("cut_after", bytes=4000, times=2)
    await _order_fetch(inside.caller, store)

    await inside.in_time("delivering")

    assert _ranges(store) == [None, "bytes=4000-", "bytes=8000-"]
    assert store.log()[1]["if_range"]
    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_goes_on_after_a_restart(open_agent: OpenAgent, store: FileServer) -> None:
    """An agent that was ended in the middle of a fetch has lost none of the bytes, and needs no new grants."""
    store.fault("cut_after", bytes=4000, times=1)
    async with open_agent() as first:
        await _order_fetch(first.caller, store)

        async def some_came() -> int:
            return (await first.caller.view("job-1")).inputs["source"].received

        assert await eventually(some_came) == 4000

    async with open_agent() as second:
        assert await second.caller.pick_up("job-1") == MOVIE

    assert _ranges(store) == [None, "bytes=4000-"]


@pytest.mark.parametrize("careless", [False, True], ids=["server-heeds-if-range", "server-ignores-if-range"])
async def test_replaced_object_is_told(inside: Inside, store: FileServer, careless: bool) -> None:
    """An object that is overwritten in the middle fails the attempt, instead of giving a file of two halves."""
    store.fault("cut_after", bytes=4000, times=1)
    store.fault("change_etag", after=1)
    if careless:
        store.fault("ignore_if_range")
    await _order_fetch(inside.caller, store)

    failed = await inside.in_time("failed", "input-mismatch")

    assert "was replaced while it was fetched" in failed.status.message


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("ignore_range", {}),
        ("shift_range", {"by": 7, "times": 1}),
        ("headers", {"set": {"ETag": None, "Last-Modified": None}}),
    ],
    ids=["no-ranges", "another-range", "nothing-to-tell-a-replaced-one-by"],
)
async def test_starts_again_where_it_cannot_go_on(
    inside: Inside, store: FileServer, fault: str, words: dict[str, object]
) -> None:
    """A server that cannot resume, or resumes elsewhere, is asked for the whole."""
    store.fault("cut_after", bytes=4000, times=1)
    store.fault(fault, **words)
    await _order_fetch(inside.caller, store)

    await inside.in_time("delivering")

    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_busy_store_is_asked_when_it_says(inside: Inside, store: FileServer) -> None:
    """Retry-After is heeded, also beyond a minute: not a second earlier."""
    store.fault("status", code=503, retry_after=140, times=1)
    await _order_fetch(inside.caller, store)
    await inside.caller.until("job-1", "fetching", "store-unavailable")
    inside.clock.advance(139)
    assert (await inside.caller.view("job-1")).status.state == "fetching"
    assert len(store.log()) == 1

    await inside.in_time("delivering")

    assert _ranges(store) == [None, None]


async def test_gives_up_on_a_store_that_stays_down(inside: Inside, store: FileServer) -> None:
    """After half an hour without a byte the attempt fails, in a way that another machine may do better."""
    store.fault("status", code=500)
    began = inside.clock.now()
    await _order_fetch(inside.caller, store)

    failed = await inside.in_time("failed", "fetch-failed")

    assert inside.clock.now() - began >= 1800
    assert failed.status.message == (
        "clip.mp4 could not be fetched: the store answered HTTP 500; no byte came for 30 minutes."
    )


async def test_store_that_is_down_for_ten_minutes_is_waited_for(inside: Inside, store: FileServer) -> None:
    """An outage in the middle is told while it lasts, and forgotten when the bytes come again."""
    store.fault("cut_after", bytes=4000, times=1)
    store.fault("status", code=503, after=1)
    await _order_fetch(inside.caller, store)
    began = inside.clock.now()
    told = await inside.in_time("fetching", "store-unavailable")
    assert told.status.message == (
        "clip.mp4 cannot be fetched now: the store answered HTTP 503. It is tried again for 30 minutes."
    )
    assert told.inputs["source"].received == 4000

    async def ten_minutes_later() -> bool:
        inside.clock.advance(20)
        return inside.clock.now() - began > 600

    await eventually(ten_minutes_later)
    store.fault(None)

    done = await inside.in_time("delivering")
    assert done.status.reason != "store-unavailable"
    assert await inside.caller.pick_up("job-1") == MOVIE
    assert _ranges(store)[-1] == "bytes=4000-"


async def test_machine_that_slept_tries_again(inside: Inside, store: FileServer) -> None:
    """An hour that passed in one leap is no store that stays down: it is asked eight times at least."""
    store.fault("status", code=503, times=7)
    await _order_fetch(inside.caller, store)
    await eventually(lambda: len(store.log()) == 1)
    inside.clock.advance(7200)

    await inside.in_time("delivering")

    assert len(store.log()) == 8


async def test_expired_grant_waits_for_the_next_generation(inside: Inside, store: FileServer) -> None:
    """An address that no longer opens is not a failure: with a new one the fetch goes on where it was."""
    store.fault("cut_after", bytes=4000, times=1)
    store.fault("status", code=403, after=1)
    await _order_fetch(inside.caller, store)
    waiting = await inside.in_time("fetching", "grants-expired")
    assert waiting.inputs["source"].received == 4000
    store.fault(None)

    await inside.caller.put_grants(grants(order(), 2, source=reading(f"{store.url}/clip.mp4")))

    assert await inside.caller.pick_up("job-1") == MOVIE
    assert _ranges(store)[-1] == "bytes=4000-"


async def test_grant_that_came_meanwhile_is_used_when_the_first_expires(inside: Inside, store: FileServer) -> None:
    """Generation 2 came in time: once generation 1 is refused nobody waits for a third."""
    store.fault("cut_after", bytes=4000, times=1)
    await _order_fetch(inside.caller, store)
    await eventually(lambda: len(store.log()) == 1)
    await inside.caller.put_grants(grants(order(), 2, source=reading(f"{store.url}/clip.mp4?later")))

    await inside.in_time("delivering")

    assert [request["path"] for request in store.log()] == ["/clip.mp4?X-Amz-Signature=1", "/clip.mp4?later"]
    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_refused_grant_is_tried_again_by_itself(inside: Inside, store: FileServer) -> None:
    """Without a controller the same address is tried every five minutes: a right may be given back."""
    store.fault("status", code=403)
    await _order_fetch(inside.caller, store)
    await inside.caller.until("job-1", "fetching", "grants-expired")
    store.fault(None)
    inside.clock.advance(299)
    await inside.caller.view("job-1")
    assert len(store.log()) == 1

    await inside.in_time("delivering")

    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_old_grant_and_a_vague_refusal_mean_expiry(inside: Inside, store: FileServer) -> None:
    """Some stores answer 400 to an expired address; past its hour that means a new grant is needed."""
    store.fault("status", code=400)
    spec = order()
    await inside.caller.put_job(spec)
    old = reading(f"{store.url}/clip.mp4", expires_at=inside.clock.now() - 1)

    await inside.caller.put_grants(grants(spec, source=old))

    await inside.caller.until("job-1", "fetching", "grants-expired")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("status", {"code": 404}),
        ("headers", {"set": {"Content-Length": "99"}}),
        ("headers", {"set": {"Content-Length": None}}),
    ],
    ids=["gone", "another-length", "more-than-planned"],
)
async def test_another_object_than_planned_fails(
    inside: Inside, store: FileServer, fault: str, words: dict[str, object]
) -> None:
    """What is gone or has another length is not what was planned; no machine would do better."""
    store.root.joinpath("clip.mp4").write_bytes(MOVIE + b"more")
    store.fault(fault, **words)
    await _order_fetch(inside.caller, store)

    await inside.caller.until("job-1", "failed", "input-mismatch")


async def test_same_length_but_other_bytes_fail(inside: Inside, store: FileServer) -> None:
    """A disk's fingerprint is made of content, so a swapped file is noticed."""
    await _order_fetch(
        inside.caller,
        store,
        inputs=(InputSpec(slot="source", name="x", size=len(MOVIE), fingerprint=fingerprint(MOVIE[::-1])),),
    )

    await inside.caller.until("job-1", "failed", "input-mismatch")


async def test_unknown_length_is_fetched_to_its_end(inside: Inside, store: FileServer) -> None:
    """An object whose size nobody knew is whole when the server says so."""
    await _order_fetch(
        inside.caller, store, inputs=(InputSpec(slot="source", name="x", size=None, fingerprint="http:?"),)
    )

    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_unknown_length_is_learnt_from_a_part(inside: Inside, store: FileServer) -> None:
    """A server that sends less than the rest, as it may, does not make a whole of half an object."""
    store.fault("cut_after", bytes=4000, times=1)
    store.fault("short_range", bytes=1000, times=2)
    unpinned = InputSpec(slot="source", name="clip.mp4", size=None, fingerprint="http:?")
    await _order_fetch(inside.caller, store, inputs=(unpinned,))

    await inside.in_time("delivering")

    assert await inside.caller.pick_up("job-1") == MOVIE
    assert _ranges(store) == [None, "bytes=4000-", "bytes=5000-", "bytes=6000-"]


async def test_unreachable_store_fails_with_a_sentence(open_agent: OpenAgent) -> None:
    """A store that refuses the connection is told in a sentence that does not hold its address."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed")

    async with open_agent(transport=httpx.MockTransport(refuse)) as inside:
        await inside.caller.put_job(order())
        await inside.caller.put_grants(grants(order(), source=reading("https://store.example/?X-Amz-Signature=1")))

        failed = await inside.in_time("failed", "fetch-failed")

    told = "clip.mp4 could not be fetched: the store cannot be reached; no byte came for 30 minutes."
    assert failed.status.message == told


async def test_disk_that_fills_up_fails_the_attempt(inside: Inside, store: FileServer) -> None:
    """No room for a fetched input is a reason of its own: a machine with more disk may do better."""
    await inside.caller.put_job(order())
    (inside.folder().parts / "source.in.part").symlink_to("/dev/full")

    await inside.caller.put_grants(grants(order(), source=reading(f"{store.url}/clip.mp4")))

    await inside.caller.until("job-1", "failed", "disk-full")


async def test_fetches_one_job_ahead(inside: Inside, store: FileServer) -> None:
    """While one job computes the next is fetched, and only that one: a long queue must not fill the disk."""
    for number in (1, 2, 3):
        await _order_fetch(inside.caller, store, f"job-{number}", rate_bytes_s=len(MOVIE))
    await inside.caller.until("job-1", "running")

    await eventually(lambda: len(store.log()) == 2)
    third = await inside.caller.view("job-3")
    assert (third.status.stage, third.inputs["source"].received) == ("waits-for-its-turn", 0)

    await inside.work(1)

    await inside.caller.until("job-2", "running")
    await eventually(lambda: len(store.log()) == 3)
