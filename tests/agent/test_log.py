"""The log: bytes from an offset, and a long poll that wakes when there is more."""

from __future__ import annotations

import asyncio

import pytest

from framehaul.contract.jobdir import LogLine
from framehaul.contract.routes import NEXT_OFFSET_HEADER
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import grants, order
from tests.agent.patience import eventually


async def _end(inside: Inside) -> int:
    await inside.caller.until("job-1", "fetching")
    return int((await inside.caller.log("job-1")).headers[NEXT_OFFSET_HEADER])


async def test_log_goes_on_from_an_offset(inside: Inside) -> None:
    """Reading in two steps gives what reading at once gives, and every line has the one form."""
    await inside.caller.ship(order())
    await inside.caller.pick_up("job-1")

    whole = await inside.caller.log("job-1")
    first = whole.content[:30]
    rest = await inside.caller.log("job-1", offset=30)

    assert first + rest.content == whole.content
    assert rest.headers[NEXT_OFFSET_HEADER] == str(len(whole.content))
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    stages = [LogLine.parse(line).stage for line in whole.text.splitlines()]
    assert stages[0] == "queued"
    assert stages[-1] == "delivered"


async def test_offset_beyond_the_end_tells_the_end(inside: Inside) -> None:
    """A reader with another attempt's offset is not kept waiting, and learns where it is."""
    await inside.caller.put_job(order())
    end = await _end(inside)

    reply = await inside.caller.log("job-1", offset=10**9, wait=30)

    assert (reply.content, reply.headers[NEXT_OFFSET_HEADER]) == (b"", str(end))


async def test_reader_of_an_earlier_attempt_finds_the_new_story(inside: Inside) -> None:
    """An offset of a longer, earlier log is answered at once with a smaller one; from 0 on the new story is read."""
    await inside.caller.put_job(order())
    await inside.caller.put_grants(grants(order()))
    await inside.caller.delete("job-1")
    await inside.caller.until("job-1", "stopped")
    old = int((await inside.caller.log("job-1")).headers[NEXT_OFFSET_HEADER])
    await inside.caller.put_job(order(attempt=2))
    await inside.caller.until("job-1", "fetching")

    lost = await inside.caller.log("job-1", offset=old, wait=30)

    assert lost.content == b""
    assert int(lost.headers[NEXT_OFFSET_HEADER]) < old
    again = await inside.caller.log("job-1", offset=0, wait=30)
    assert "attempt 2" in again.text.splitlines()[0]


async def test_reader_that_breaks_off_anywhere_reads_each_byte_once(inside: Inside) -> None:
    """Whatever part of each answer arrives, the next offset is what was read: together they are the log."""
    await inside.caller.ship(order())
    await inside.caller.pick_up("job-1")
    whole = (await inside.caller.log("job-1")).content

    read = b""
    while len(read) < len(whole):
        answer = (await inside.caller.log("job-1", offset=len(read), wait=30)).content
        read += answer[: 1 + len(answer) // 2]  # and here the connection breaks

    assert read == whole
    end = await inside.caller.log("job-1", offset=len(read), wait=30)
    assert (end.content, end.headers[NEXT_OFFSET_HEADER]) == (b"", str(len(whole)))


async def test_long_poll_wakes_when_there_is_more(inside: Inside) -> None:
    """A reader at the end gets the next line when it is written, though the clock stands still."""
    await inside.caller.put_job(order())
    end = await _end(inside)
    reader = asyncio.create_task(inside.caller.log("job-1", offset=end, wait=30))
    await asyncio.sleep(0)

    await inside.caller.put_grants(grants(order()))

    assert "generation 1" in (await reader).text


async def test_long_poll_ends_with_its_time(inside: Inside) -> None:
    """Nothing new for the whole wait is an empty answer."""
    await inside.caller.put_job(order())
    end = await _end(inside)
    reader = asyncio.create_task(inside.caller.log("job-1", offset=end, wait=30))

    def time_is_up() -> bool:
        inside.clock.advance(10)
        return reader.done()

    await eventually(time_is_up)
    assert (reader.result().content, reader.result().headers[NEXT_OFFSET_HEADER]) == (b"", str(end))


async def test_ended_job_keeps_nobody_waiting(inside: Inside) -> None:
    """At the end of a final job's log there is nothing to wait for."""
    await inside.caller.put_job(order())
    await inside.caller.delete("job-1")
    await inside.caller.until("job-1", "stopped")
    end = (await inside.caller.log("job-1")).headers[NEXT_OFFSET_HEADER]

    assert (await inside.caller.log("job-1", offset=end, wait=30)).content == b""


async def test_removed_job_wakes_its_readers(inside: Inside) -> None:
    """A reader of a job that is deleted is answered at once."""
    await inside.caller.put_job(order())
    end = await _end(inside)
    reader = asyncio.create_task(inside.caller.log("job-1", offset=end, wait=30))
    await asyncio.sleep(0)

    await inside.caller.delete("job-1")

    assert "asked-to-stop" in (await reader).text


@pytest.mark.parametrize(
    "query",
    [
        {"offset": -1},
        {"offset": "x"},
        {"offset": 1 << 70},
        {"wait": 31},
        {"wait": "nan"},
        {"stream": "../spec.json"},
        {"ofset": 5},
    ],
)
async def test_odd_questions_are_refused(inside: Inside, query: dict[str, object]) -> None:
    """Offsets, waits and streams that make no sense are a problem, not a guess."""
    await inside.caller.put_job(order())

    assert_refused(await inside.caller.log("job-1", **query), 422, "bad-request")


async def test_worker_output_is_a_stream_of_its_own(inside: Inside) -> None:
    """What the pipeline prints is found under stream=stdout; a job that printed nothing has an empty one."""
    await inside.caller.ship(order())
    await inside.caller.receipt("job-1")
    inside.folder().stdout_log.write_bytes("Привет\n".encode())

    reply = await inside.caller.log("job-1", stream="stdout", offset=2)

    assert reply.text == "ривет\n"


async def test_preview_is_there_once_it_was_made(inside: Inside) -> None:
    """Until the worker has made a picture there is a problem in its place."""
    await inside.caller.put_job(order())
    assert_refused(await inside.caller.client.get("/jobs/job-1/preview"), 404, "no-preview")

    inside.folder().preview.write_bytes(b"\xff\xd8 picture")

    reply = await inside.caller.client.get("/jobs/job-1/preview")
    assert (reply.content, reply.headers["content-type"]) == (b"\xff\xd8 picture", "image/jpeg")
    assert (await inside.caller.view("job-1")).has_preview
