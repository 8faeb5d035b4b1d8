"""Inputs that are sent to the agent: in pieces, resumable, bounded, and held against the plan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.spec import InputSpec, JobSpec, Limits
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, fingerprint, grants, order, reading
from tests.agent.patience import eventually
from tests.agent.served import Home, ServedAgent

ADDRESS = "/jobs/job-1/inputs/source"


def _input(size: int | None, data: bytes = MOVIE) -> tuple[InputSpec, ...]:
    return (InputSpec(slot="source", name="clip.mp4", size=size, fingerprint=fingerprint(data)),)


async def _granted(inside: Inside, spec: JobSpec) -> None:
    assert (await inside.caller.put_job(spec)).status_code == 201
    assert (await inside.caller.put_grants(grants(spec))).status_code == 200


async def test_whole_input_without_a_range(inside: Inside) -> None:
    """A body without Content-Range is the whole file."""
    await _granted(inside, order())

    reply = await inside.caller.client.put(ADDRESS, content=MOVIE)

    assert reply.json() == {"received": len(MOVIE), "size": len(MOVIE), "complete": True}


async def test_empty_input(inside: Inside) -> None:
    """A file of no bytes arrives too, and comes out as one."""
    await inside.caller.ship(order(data=b""), b"")

    assert await inside.caller.pick_up("job-1") == b""


async def test_input_of_unknown_length(inside: Inside) -> None:
    """Where the order tells no size, the range's total, or the end of the body, does."""
    await _granted(inside, order(inputs=_input(None)))
    half = await inside.caller.put_input("job-1", MOVIE, 0, 5000)

    async def rest() -> AsyncIterator[bytes]:
        yield MOVIE[5000:]

    whole = await inside.caller.client.put(
        ADDRESS, content=rest(), headers={"Content-Range": f"bytes 5000-{len(MOVIE) - 1}/{len(MOVIE)}"}
    )

    assert half.json() == {"received": 5000, "size": None, "complete": False}
    assert whole.json()["complete"] is True
    view = await inside.caller.until("job-1", "delivering")
    assert view.inputs["source"].received == len(MOVIE)


async def test_sender_that_lost_the_last_answer_learns_that_all_is_there(inside: Inside) -> None:
    """The last piece, sent again, is answered with the full length, whatever the job does meanwhile."""
    await inside.caller.ship(order())
    await inside.caller.receipt("job-1")

    again = assert_refused(await inside.caller.put_input("job-1", MOVIE, 9000), 409, "wrong-offset")

    assert again.model_extra == {"offset": len(MOVIE)}


@pytest.mark.parametrize(
    ("content_range", "body", "status", "name"),
    [
        ("bytes 0-99/200", MOVIE[:100], 422, "wrong-size"),
        ("bytes 0-99/10240", MOVIE[:101], 422, "bad-range"),
        ("bytes 0-99/10240", MOVIE[:99], 422, "bad-range"),
        ("bytes 9-5/10240", b"", 422, "bad-range"),
        ("bytes 0-10240/10240", b"", 422, "bad-range"),
        ("bytes */10240", b"", 422, "bad-range"),
        ("bytes=0-99", MOVIE[:100], 422, "bad-range"),
        ("bytes 0-99/99999999999999999999999", MOVIE[:100], 422, "bad-range"),
        ("bytes 100-199/10240", MOVIE[:100], 409, "wrong-offset"),
    ],
)
async def test_bad_ranges_bring_nothing(
    inside: Inside, content_range: str, body: bytes, status: int, name: str
) -> None:
    """A piece that contradicts the order, or itself, leaves no byte."""
    await _granted(inside, order())

    reply = await inside.caller.client.put(ADDRESS, content=body, headers={"Content-Range": content_range})

    assert_refused(reply, status, name)
    assert (await inside.caller.view("job-1")).inputs["source"].received == 0


async def test_more_bytes_than_announced_are_dropped(inside: Inside) -> None:
    """A body that outgrows its range is refused, and what came before it stays as it was."""
    await _granted(inside, order())
    await inside.caller.put_input("job-1", MOVIE, 0, 1000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield MOVIE

    reply = await inside.caller.client.put(
        ADDRESS, content=endless(), headers={"Content-Range": f"bytes 1000-1999/{len(MOVIE)}"}
    )

    assert_refused(reply, 422, "too-many-bytes")
    assert (await inside.caller.view("job-1")).inputs["source"].received == 1000


async def test_limit_holds_where_no_size_was_told(inside: Inside) -> None:
    """max_input_bytes bounds what the order did not."""
    await _granted(inside, order(inputs=_input(None), limits=Limits(max_input_bytes=5000)))

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield MOVIE

    assert_refused(await inside.caller.client.put(ADDRESS, content=endless()), 422, "too-many-bytes")
    assert_refused(await inside.caller.put_input("job-1", MOVIE, 0, 100), 413, "input-too-big")


async def test_other_bytes_than_planned_are_dropped(inside: Inside) -> None:
    """A file that changed at home after the plan is not worked on; the right one may still come."""
    await _granted(inside, order())

    assert_refused(await inside.caller.put_input("job-1", MOVIE[::-1]), 422, "input-mismatch")
    assert (await inside.caller.view("job-1")).inputs["source"].received == 0
    await inside.caller.put_input("job-1", MOVIE)
    assert await inside.caller.pick_up("job-1") == MOVIE


@pytest.mark.parametrize("slot", ["result", "manifest", "nothing", "source.in"])
async def test_only_the_orders_slots_are_there(inside: Inside, slot: str) -> None:
    """A slot that the order does not name is no file to write to."""
    await _granted(inside, order())

    assert_refused(await inside.caller.put_input("job-1", MOVIE, slot=slot), 404, "unknown-slot")


async def test_hostile_slot_reaches_no_file(inside: Inside) -> None:
    """A path in the place of a slot is no route."""
    await _granted(inside, order())

    assert_refused(await inside.caller.put_input("job-1", MOVIE, slot="..%2f..%2fsource"), 404, "no-such-route")


async def test_input_needs_a_grant_to_come_this_way(inside: Inside) -> None:
    """An input that is to be fetched from a store cannot be slipped in by another way."""
    await inside.caller.put_job(order())
    assert_refused(await inside.caller.put_input("job-1", MOVIE), 409, "not-granted")

    await inside.caller.put_grants(grants(order(), source=reading("http://127.0.0.1:1/clip.mp4")))

    assert_refused(await inside.caller.put_input("job-1", MOVIE), 409, "not-granted")


async def test_stopped_job_takes_no_input(inside: Inside) -> None:
    """Sending to a job that has ended is told, not swallowed."""
    await _granted(inside, order())
    await inside.caller.delete("job-1")
    await inside.caller.until("job-1", "stopped")

    assert_refused(await inside.caller.put_input("job-1", MOVIE), 409, "not-fetching")


async def test_one_sender_at_a_time(inside: Inside) -> None:
    """While one sends, another is told to wait, and cannot mix its bytes in."""
    await _granted(inside, order())
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield MOVIE[:100]
        await go_on.wait()
        yield MOVIE[100:]

    first = asyncio.create_task(inside.caller.client.put(ADDRESS, content=slowly()))
    await eventually(lambda: _is_refused_as_busy(inside))
    go_on.set()

    assert (await first).json()["complete"] is True
    assert await inside.caller.pick_up("job-1") == MOVIE


async def _is_refused_as_busy(inside: Inside) -> bool:
    return "busy" in (await inside.caller.put_input("job-1", b"", slot="source")).text


async def test_disk_that_is_too_small_is_told_before_the_bytes_come(inside: Inside) -> None:
    """An input that cannot fit is refused at its first piece; later there may be room."""
    spec = order(inputs=_input(1 << 50), limits=Limits(max_input_bytes=1 << 50))
    await _granted(inside, spec)

    reply = await inside.caller.client.put(ADDRESS, content=b"x", headers={"Content-Range": f"bytes 0-0/{1 << 50}"})

    assert assert_refused(reply, 507, "disk-full").retryable


async def test_disk_that_fills_up_is_told(inside: Inside) -> None:
    """No room left in the middle of a piece is a problem that may pass; the agent and the job go on."""
    await _granted(inside, order())
    part = inside.folder().parts / "source.in.part"
    part.symlink_to("/dev/full")

    assert assert_refused(await inside.caller.put_input("job-1", MOVIE), 507, "disk-full").retryable

    part.unlink()
    await inside.caller.put_input("job-1", MOVIE)
    assert await inside.caller.pick_up("job-1") == MOVIE


async def test_interrupted_sender_goes_on_where_it_was(tmp_path: Path) -> None:
    """What arrived before a connection broke is kept; the next piece starts there."""
    home = Home(tmp_path / "home", LeaseSecret.new())
    with ServedAgent(home) as served:
        async with served.caller() as caller:
            await caller.put_job(order())
            await caller.put_grants(grants(order()))
            async with served.client() as doomed:
                with contextlib.suppress(httpx.TransportError, ConnectionResetError):
                    await doomed.put(ADDRESS, content=_breaks_after(MOVIE[:3000]), headers={"Content-Length": "10240"})

            async def some_came() -> int:
                return (await caller.view("job-1")).inputs["source"].received

            assert await eventually(some_came) == 3000
            assert (await caller.put_input("job-1", MOVIE, 3000)).json()["complete"] is True
            assert await caller.pick_up("job-1") == MOVIE


async def _breaks_after(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise ConnectionResetError
