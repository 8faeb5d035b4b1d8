"""Results that are fetched from the agent: ranged, named by content, and kept until somebody has them."""

from __future__ import annotations

import hashlib

import pytest

from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, order

_ETAG = f'"{hashlib.sha256(MOVIE).hexdigest()}"'


async def _computed(inside: Inside) -> None:
    await inside.caller.ship(order())
    await inside.caller.receipt("job-1")


@pytest.mark.parametrize(
    ("asked", "content_range", "content"),
    [
        ("bytes=0-0", "bytes 0-0/10240", MOVIE[:1]),
        ("bytes=100-199", "bytes 100-199/10240", MOVIE[100:200]),
        ("bytes=10000-", "bytes 10000-10239/10240", MOVIE[10000:]),
        ("bytes=-40", "bytes 10200-10239/10240", MOVIE[-40:]),
        ("bytes=10000-999999", "bytes 10000-10239/10240", MOVIE[10000:]),
    ],
)
async def test_ranges(inside: Inside, asked: str, content_range: str, content: bytes) -> None:
    """A range gives these bytes and says which they are."""
    await _computed(inside)

    reply = await inside.caller.get_output("job-1", Range=asked)

    assert (reply.status_code, reply.headers["Content-Range"], reply.headers["ETag"]) == (206, content_range, _ETAG)
    assert reply.content == content


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "frames=0-1", "bytes=5-2", "bytes=-", "nonsense"])
async def test_odd_ranges_give_the_whole(inside: Inside, asked: str) -> None:
    """A range header that means nothing to us is ignored, as RFC 9110 allows."""
    await _computed(inside)

    reply = await inside.caller.get_output("job-1", Range=asked)

    assert (reply.status_code, reply.content) == (200, MOVIE)


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
async def test_range_beyond_the_end(inside: Inside, asked: str) -> None:
    """Asking behind the end is told the length."""
    await _computed(inside)

    reply = await inside.caller.get_output("job-1", Range=asked)

    assert_refused(reply, 416, "bad-range")
    assert reply.headers["Content-Range"] == "bytes */10240"


async def test_going_on_with_other_bytes_gives_the_whole(inside: Inside) -> None:
    """Who resumes a download of something else gets all of what is here now."""
    await _computed(inside)

    same = await inside.caller.get_output("job-1", **{"Range": "bytes=5-", "If-Range": _ETAG})
    other = await inside.caller.get_output("job-1", **{"Range": "bytes=5-", "If-Range": '"yesterday"'})

    assert (same.status_code, other.status_code) == (206, 200)
    assert other.content == MOVIE


async def test_nothing_to_fetch_before_it_is_made(inside: Inside) -> None:
    """An output that is not there yet is a matter of waiting; a slot that nobody ordered never comes."""
    await inside.caller.put_job(order())

    assert assert_refused(await inside.caller.get_output("job-1"), 409, "not-ready").retryable
    assert_refused(await inside.caller.get_output("job-1", "video"), 404, "unknown-slot")
    assert_refused(await inside.caller.get_output("job-1", "..%2fspec.json"), 404, "no-such-route")


@pytest.mark.parametrize("changes", [{"size": 1}, {"sha256": "0" * 64}])
async def test_damaged_arrival_is_not_delivered(inside: Inside, changes: dict[str, object]) -> None:
    """A fetcher that holds other bytes than the receipt names is told to fetch again."""
    await inside.caller.ship(order())
    receipt = await inside.caller.receipt("job-1")

    refused = await inside.caller.received("job-1", receipt.output("result"), **changes)

    assert assert_refused(refused, 409, "digest-differs").retryable
    await inside.caller.received("job-1", receipt.output("manifest"))
    assert (await inside.caller.view("job-1")).status.state == "delivering"


async def test_saying_it_twice_is_saying_it_once(inside: Inside) -> None:
    """An acknowledgement whose answer was lost is repeated, also after the last one."""
    await inside.caller.ship(order())
    receipt = await inside.caller.receipt("job-1")

    for _ in range(2):
        for entry in receipt.outputs:
            assert (await inside.caller.received("job-1", entry)).status_code == 200

    assert (await inside.caller.view("job-1")).status.state == "delivered"


async def test_undelivered_results_are_not_deleted_by_a_slip(inside: Inside) -> None:
    """DELETE keeps what nobody has fetched, unless it says that it may go."""
    await _computed(inside)

    refused = assert_refused(await inside.caller.delete("job-1"), 409, "undelivered")
    assert "manifest, result" in refused.detail
    assert (await inside.caller.get_output("job-1")).content == MOVIE
    assert (await inside.caller.delete("job-1", discard="true")).status_code == 202
    await inside.caller.until("job-1", "stopped", "asked-to-stop")
    assert (await inside.caller.delete("job-1")).status_code == 204
    assert list((inside.home / "jobs").iterdir()) == []


async def test_inputs_go_as_soon_as_the_outputs_are_made(inside: Inside) -> None:
    """A result that waits for its fetcher does not keep its input on the rented disk."""
    await _computed(inside)

    folder = inside.folder()
    assert list(folder.inputs.iterdir()) == []
    assert list(folder.parts.iterdir()) == []
    assert (await inside.caller.view("job-1")).inputs["source"].complete
