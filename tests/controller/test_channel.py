"""The channel: it speaks to the one agent whose certificate it knows, and every answer ends as one of two errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.channel import AgentChannel
from controller.errors import AgentError, AgentUnreachable
from framehaul.contract.grants import GrantSet, RelayIn, RelayOut
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.spec import JobSpec
from framehaul.contract.status import HealthState, LeaseOrder
from framehaul.errors import InputError
from tests.controller.agents import entry_of
from tests.controller.desks import HOUR, SPEC
from tests.controller.loopback_agent import LoopbackAgent, reply

SECRET = LeaseSecret(b"\x11" * 32)
HEALTH = reply(200, json.dumps({"state": "ready", "watchdog_armed": True, "version": "1"}))
MIB = 1 << 20

Call = Callable[[AgentChannel], Awaitable[object]]
CALLS: dict[str, Call] = {
    "health": lambda channel: channel.health(),
    "info": lambda channel: channel.info(),
    "put_job": lambda channel: channel.put_job(JobSpec.model_validate(SPEC)),
    "put_grants": lambda channel: channel.put_grants(a_grant()),
    "job": lambda channel: channel.job("j"),
    "remove_job": lambda channel: channel.remove_job("j"),
    "log": lambda channel: channel.log("j", "progress", 0),
    "preview": lambda channel: channel.preview("j"),
    "heartbeat": lambda channel: channel.heartbeat(LeaseOrder(deadline=HOUR)),
    "drain": lambda channel: channel.drain(),
    "put_input": lambda channel: channel.put_input("j", "source", Path(__file__), offset=0, total=10),
    "output": lambda channel: read_output(channel),
    "received": lambda channel: channel.received("j", entry_of("result", "a.mp4", b"a")),
}
# What has no body to be read, so that any success is one.
SILENT = {"put_grants", "remove_job", "log", "preview", "put_input", "output", "received"}


def a_grant() -> GrantSet:
    """Grant something."""
    return GrantSet(job_id="j", attempt=1, generation=1, inputs={"source": RelayIn()}, outputs={"result": RelayOut()})


async def read_output(channel: AgentChannel, offset: int = 0, into: bytearray | None = None) -> bytes:
    """Read an output to its end; what came before an error is left in `into`."""
    got = bytearray() if into is None else into
    async with channel.output("j", "result", offset) as pieces:
        async for piece in pieces:
            got += piece
    return bytes(got)


@asynccontextmanager
async def agent(
    folder: Path, *answers: bytes, secret: LeaseSecret | None = SECRET, reads_body: bool = True
) -> AsyncIterator[tuple[LoopbackAgent, AgentChannel]]:
    """Have a server that answers so, and a channel of the lease to it."""
    async with (
        LoopbackAgent(secret, folder, answers, reads_body) as server,
        AgentChannel(server.address, SECRET) as channel,
    ):
        yield server, channel


# -- whom it speaks to -----------------------------------------------------------------------------------------------


async def test_the_agent_of_the_lease_is_spoken_to(tmp_path: Path) -> None:
    """By its certificate, with the lease's token; neither token nor secret stands in the address."""
    async with agent(tmp_path, HEALTH) as (server, channel):
        health = await channel.health()

    assert (health.state, health.watchdog_armed) == (HealthState.READY, True)
    (asked,) = server.asked
    assert asked.line == "GET /health HTTP/1.1"
    assert asked.headers["authorization"] == f"bearer {SECRET.token}"


@pytest.mark.parametrize("name", CALLS)
async def test_whoever_has_another_certificate_learns_nothing(tmp_path: Path, name: str) -> None:
    """Not the token, not the order: the connection ends before a request is written."""
    async with agent(tmp_path, HEALTH, secret=LeaseSecret(b"\x22" * 32)) as (server, channel):
        with pytest.raises(AgentUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await CALLS[name](channel)

    assert server.asked == []


async def test_plain_http_is_not_spoken(tmp_path: Path) -> None:
    """A server without a certificate gets nothing that it could read."""
    async with agent(tmp_path, HEALTH, secret=None) as (server, channel):
        with pytest.raises(AgentUnreachable):
            await channel.health()

    assert server.asked == []


async def test_a_proxy_of_the_user_s_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no business between the laptop and a pinned certificate."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async with agent(tmp_path, HEALTH) as (_, channel):
        assert (await channel.health()).state is HealthState.READY


# -- no answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
async def test_where_nobody_listens_the_agent_is_unreachable(tmp_path: Path, name: str) -> None:
    """Whatever is asked; and trying again can help."""
    async with LoopbackAgent(SECRET, tmp_path) as server:
        address = server.address

    async with AgentChannel(address, SECRET) as channel:
        with pytest.raises(AgentUnreachable) as told:
            await CALLS[name](channel)

    assert told.value.retryable
    assert SECRET.token not in str(told.value)


BROKEN = {
    "nothing": b"",
    "no-http": b"220 mail.example ESMTP\r\n",
    "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Len",
    "half-a-body": reply(200, b"half", Content_Length="9"),
    "not-gzip": reply(200, b"no gzip at all", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("answer", BROKEN)
async def test_an_answer_that_breaks_off_is_none(tmp_path: Path, name: str, answer: str) -> None:
    """Be it no HTTP, half of it, or packed in a way that it is not."""
    async with agent(tmp_path, BROKEN[answer]) as (_, channel):
        with pytest.raises(AgentUnreachable):
            await CALLS[name](channel)


@pytest.mark.parametrize("name", CALLS)
async def test_a_channel_that_was_closed_is_unreachable(tmp_path: Path, name: str) -> None:
    """Whoever still holds it when the machine goes gets an error that he knows."""
    async with agent(tmp_path, HEALTH) as (_, channel):
        await channel.close()
        with pytest.raises(AgentUnreachable):
            await CALLS[name](channel)


# -- a problem -------------------------------------------------------------------------------------------------------

PROBLEM = {
    "type": "urn:framehaul:problem:job-differs",
    "title": "job differs",
    "status": 409,
    "detail": "Another order lies here.",
    "advice": "Wait for its end.",
    "something_new": [1, 2],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("retryable", [True, False])
async def test_a_problem_is_told_with_its_name_and_its_fate(tmp_path: Path, name: str, retryable: bool) -> None:
    """Which problem, whether trying again can help, what to do; a field of a later version does no harm."""
    answer = reply(409, json.dumps({**PROBLEM, "retryable": retryable}), Content_Type="application/problem+json")
    async with agent(tmp_path, answer) as (_, channel):
        with pytest.raises(AgentError) as told:
            await CALLS[name](channel)

    assert (told.value.problem.name, told.value.problem.status) == ("job-differs", 409)
    assert told.value.retryable is retryable
    assert str(told.value) == "job differs Another order lies here. Wait for its end."


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        reply(502, "<html>Bad Gateway</html>"),
        reply(403, b"\xff\xfe"),
        reply(500, b""),
        reply(400, json.dumps({"title": 5})),
        reply(404, json.dumps({**PROBLEM, "status": 200})),
        reply(302, b"", Location="https://example.invalid/health"),
        reply(304, b""),
    ],
    ids=["html", "no-text", "empty", "no-problem", "status-differs", "redirect", "not-modified"],
)
async def test_a_refusal_in_other_words_is_a_problem_too(tmp_path: Path, name: str, answer: bytes) -> None:
    """Something between us and the agent answered, or it is none of ours; no redirection is followed."""
    async with agent(tmp_path, answer) as (server, channel):
        with pytest.raises(AgentError) as told:
            await CALLS[name](channel)

    assert 400 <= told.value.problem.status < 600
    assert len(server.asked) == 1


ODD = {
    "empty": b"",
    "text": b"It works!",
    "null": b"null",
    "list": b"[]",
    "other-shape": b'{"jobs": {}}',
    "unknown-field": b'{"state": "ready", "watchdog_armed": true, "version": "1", "extra": 1}',
    "unknown-state": b'{"state": "asleep", "watchdog_armed": true, "version": "1"}',
    "no-utf8": b'{"state": "\xff"}',
}


@pytest.mark.parametrize("name", sorted(set(CALLS) - SILENT))
@pytest.mark.parametrize("body", ODD)
async def test_an_answer_that_is_odd_is_an_error_of_the_agent(tmp_path: Path, name: str, body: str) -> None:
    """Never a success, never a traceback: no JSON, JSON of another shape, a state that nobody knows."""
    async with agent(tmp_path, reply(200, ODD[body])) as (_, channel):
        with pytest.raises(AgentError) as told:
            await CALLS[name](channel)

    assert told.value.problem.title == "The agent's answer is odd."


@pytest.mark.parametrize("told", ["", "soon", "-5", "1e3"])
async def test_a_log_without_an_offset_to_go_on_from_is_odd(tmp_path: Path, told: str) -> None:
    """Reading on from anywhere would repeat or skip."""
    headers = {"X_Next_Offset": told} if told else {}
    async with agent(tmp_path, reply(200, b"a line", **headers)) as (_, channel):
        with pytest.raises(AgentError, match="odd"):
            await channel.log("j", "progress", 0)


# -- bytes -----------------------------------------------------------------------------------------------------------


async def test_a_log_is_read_from_an_offset(tmp_path: Path) -> None:
    """The agent names the offset to go on from."""
    async with agent(tmp_path, reply(200, b"more", X_Next_Offset="14")) as (server, channel):
        assert await channel.log("j", "stdout", 10, wait_s=20.0) == (b"more", 14)

    assert server.asked[0].line == "GET /jobs/j/log?stream=stdout&offset=10&wait=20 HTTP/1.1"


async def test_an_output_is_read_from_an_offset(tmp_path: Path) -> None:
    """What is there already is not asked for again."""
    async with agent(tmp_path, reply(206, b"the rest")) as (server, channel):
        assert await read_output(channel, 5) == b"the rest"

    assert server.asked[0].headers["range"] == "bytes=5-"


async def test_what_came_of_an_output_before_the_link_broke_is_given(tmp_path: Path) -> None:
    """The bytes first, the error then, so that they need not be sent again."""
    got = bytearray()
    async with agent(tmp_path, reply(200, b"x" * MIB, Content_Length=str(9 * MIB))) as (_, channel):
        with pytest.raises(AgentUnreachable):
            await read_output(channel, into=got)

    assert got == b"x" * MIB


async def test_a_fault_of_the_reader_is_not_blamed_on_the_agent(tmp_path: Path) -> None:
    """A full disk on the laptop is a full disk."""
    async with agent(tmp_path, reply(200, b"bytes")) as (_, channel):
        with pytest.raises(OSError, match="full"):
            async with channel.output("j", "result", 0):
                raise OSError("the disk is full")


@pytest.mark.parametrize(("offset", "expected"), [(0, (0, 64 * MIB)), (64 * MIB, (64 * MIB, 70 * MIB))])
async def test_one_request_carries_at_most_64_mib(tmp_path: Path, offset: int, expected: tuple[int, int]) -> None:
    """So that a broken connection costs little; the range says which bytes of how many these are."""
    film = tmp_path / "film.mp4"
    film.touch()
    with film.open("r+b") as file:
        file.truncate(70 * MIB)
    start, end = expected

    async with agent(tmp_path, b"", reads_body=False) as (server, channel):
        with pytest.raises(AgentUnreachable):
            await channel.put_input("j", "source", film, offset=offset, total=70 * MIB)

    (asked,) = server.asked
    assert asked.line == "PUT /jobs/j/inputs/source HTTP/1.1"
    assert asked.headers["content-range"] == f"bytes {start}-{end - 1}/{70 * MIB}"
    assert asked.headers["content-length"] == str(end - start)


async def test_the_bytes_from_the_offset_on_are_sent(tmp_path: Path) -> None:
    """Those, and no others."""
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(range(200)))

    async with agent(tmp_path, reply(200, "{}")) as (server, channel):
        await channel.put_input("j", "source", film, offset=150, total=200)

    assert server.asked[0].body == bytes(range(150, 200))
    assert server.asked[0].headers["content-range"] == "bytes 150-199/200"


async def test_an_empty_input_is_sent_as_nothing(tmp_path: Path) -> None:
    """There is no range of no bytes."""
    film = tmp_path / "film.mp4"
    film.touch()

    async with agent(tmp_path, reply(200, "{}")) as (server, channel):
        await channel.put_input("j", "source", film, offset=0, total=0)

    assert server.asked[0].body == b""
    assert server.asked[0].headers["content-length"] == "0"
    assert "content-range" not in server.asked[0].headers


async def test_an_input_that_became_shorter_is_the_person_s_matter(tmp_path: Path) -> None:
    """The file changed under us: neither the agent nor the link is to blame."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"short")

    async with agent(tmp_path, reply(200, "{}")) as (_, channel):
        with pytest.raises(InputError, match=r"film\.mp4 became shorter while it was sent"):
            await channel.put_input("j", "source", film, offset=0, total=100)


async def test_orders_and_grants_go_out_as_they_are_hashed(tmp_path: Path) -> None:
    """Byte for byte the canonical JSON, so that both sides speak of one digest."""
    spec = JobSpec.model_validate(SPEC)
    async with agent(tmp_path, reply(200, "{}")) as (server, channel):
        await channel.put_grants(a_grant())
        with pytest.raises(AgentError):
            await channel.put_job(spec)

    assert [asked.body for asked in server.asked] == [a_grant().canonical(), spec.canonical()]
    assert all(asked.headers["content-type"] == "application/json" for asked in server.asked)
