"""Following a log through all that befalls machines: each byte of what can be had is given once, in its order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.channel import AgentChannel
from controller.cli.log import Line, _lines, _merged
from controller.desk import Desk
from controller.errors import AgentUnreachable
from controller.keepsakes import kept_log
from controller.logs import LogReader, Piece
from controller.providers.base import Instance, InstanceState
from controller.state import StateFolder
from framehaul.contract import routes
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.states import AttemptReason, JobState, LeaseState
from tests.controller.agents import Order, Work
from tests.controller.clouds import Cloud
from tests.controller.desks import HOUR, SPEC, a_batch, a_job_row, a_lease
from tests.controller.hours import ended
from tests.controller.loopback_agent import LoopbackAgent, reply
from tests.controller.sites import Site
from tests.controller.typist import Typist


class Busy(StateFolder):
    """A state folder where some framehaul is at work; a real lock costs whoever asks a quarter of a second."""

    def is_locked(self) -> bool:
        """Say so."""
        return True


class Follower:
    """Somebody who follows the log of a site's only job, from a terminal of their own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.read = b""
        self._task: asyncio.Task[None] | None = None

    def begin(self, *, offset: int = 0) -> None:
        """Start to follow."""
        desk = replace(self.site.desk, state=Busy(self.site.desk.state.root))
        reader = LogReader(desk, self.site.cloud, self.site.job(), "progress", self.site.agents.open_channel)

        async def follow() -> None:
            async for piece in reader.follow(keep_on=True, offset=offset):
                self.read += piece.data

        self._task = asyncio.create_task(follow())

    @property
    def over(self) -> bool:
        """Say whether it ended by itself."""
        return self._task is not None and self._task.done()

    async def leaves(self) -> None:
        """Stop following, and let what went wrong be seen."""
        assert self._task is not None
        await ended(self._task)
        if not self._task.cancelled():
            self._task.result()


def order_of(site: Site, machine: str = "m1") -> Order:
    """Give the job as its machine has it."""
    (order,) = site.cloud.the(machine).agent.orders.values()
    return order


async def test_a_log_is_followed_through_a_cut_link_and_an_agent_that_starts_again(
    site: Site, one_thread: None
) -> None:
    """The machine is out of reach for a while, then back at another address: on from the same byte."""
    site.cloud.work["m1"] = Work(seconds=40)
    site.plan("a.bin")
    follower, engine = Follower(site), site.start()
    await site.clock.until(lambda: site.states() == ["assigned"])
    follower.begin()
    await site.clock.pass_by(5)
    machine, order = site.cloud.the(), order_of(site)
    order.logs["progress"] += b"one\ntw"
    await site.clock.pass_by(5)
    machine.agent.cut = True
    order.logs["progress"] += b"o\nthree\n"
    await site.clock.pass_by(6)
    machine.agent.cut = False
    site.agents.by_address.pop(machine.address)
    machine.address = ("10.9.9.9", 1234)
    site.agents.by_address[machine.address] = machine.agent
    await site.clock.pass_by(6)
    order.logs["progress"] += b"four\n"
    await site.clock.pass_by(5)
    so_far = follower.read
    await site.clock.until(lambda: site.states() == ["published"])
    await site.clock.pass_by(5)
    await site.clock.finish(engine)

    assert so_far == b"progress of attempt 1\none\ntwo\nthree\nfour\n"
    assert follower.over, "a job that left its machine writes no more"
    await follower.leaves()


async def test_a_log_is_followed_on_to_the_next_machine(site: Site, one_thread: None) -> None:
    """An attempt fails: the rest of its log comes from the kept copy, then the next one from its start."""
    site.cloud.work["m1"] = Work(seconds=12, fails=AttemptReason.STALLED)
    site.cloud.work["m2"] = Work(seconds=8)
    site.plan("a.bin")
    follower, engine = Follower(site), site.start()
    await site.clock.until(lambda: site.states() == ["assigned"])
    follower.begin()
    await site.clock.pass_by(5)
    order_of(site).logs["progress"] += b"its last words\n"
    await site.clock.until(lambda: site.states() == ["published"])
    await site.clock.pass_by(5)
    await site.clock.finish(engine)

    assert follower.read == b"progress of attempt 1\nits last words\nprogress of attempt 2\n"
    await follower.leaves()


async def test_earlier_attempts_can_be_read_alone(site: Site, one_thread: None) -> None:
    """Each has its own copy on the laptop."""
    site.cloud.work["m1"] = Work(fails=AttemptReason.WORKER_DIED)
    site.plan("a.bin")
    await site.run()
    reader = LogReader(site.desk, site.cloud, site.job(), "stdout", site.agents.open_channel)

    first = [piece async for piece in reader.follow(keep_on=True, attempt=1)]
    latest = [piece async for piece in reader.follow(keep_on=True)]

    assert [(piece.attempt, piece.data) for piece in first] == [(1, b"stdout of attempt 1\n")]
    assert [(piece.attempt, piece.data) for piece in latest] == [(2, b"stdout of attempt 2\n")]


@pytest.mark.parametrize(
    ("offset", "text"), [(4, b"56789"), (-3, b"789"), (-99, b"123456789"), (99, b""), (0, b"123456789")]
)
async def test_a_log_is_read_from_any_byte(desk: Desk, cloud: Cloud, offset: int, text: bytes) -> None:
    """Counted from its beginning, or back from its end."""
    desk.ledger.add_batch(a_batch(), [a_job_row(state=JobState.PUBLISHED, attempt=1)])
    path = kept_log(desk.state, "b-1-00001", 1, "progress")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"123456789")
    reader = LogReader(desk, cloud, desk.ledger.job("b-1-00001"), "progress")

    assert b"".join([piece.data async for piece in reader.follow(keep_on=False, offset=offset)]) == text


async def test_the_end_is_counted_at_the_machine_while_the_job_is_there(site: Site, one_thread: None) -> None:
    """The last bytes so far, then what comes."""
    site.cloud.work["m1"] = Work(seconds=12)
    site.plan("a.bin")
    follower, engine = Follower(site), site.start()
    await site.clock.until(lambda: bool(site.cloud.the().agent.orders))
    follower.begin(offset=-2)
    await site.clock.pass_by(5)
    order_of(site).logs["progress"] += b"more\n"
    await site.clock.until(lambda: site.states() == ["published"])
    await site.clock.pass_by(5)
    await site.clock.finish(engine)

    assert follower.read == b"1\nmore\n"
    await follower.leaves()


class Elsewhere(Cloud):
    """A cloud whose one machine answers on loopback."""

    address: tuple[str, int]

    async def instances(self) -> list[Instance]:
        """List it."""
        return [Instance("i-1", a_lease().label, InstanceState.RUNNING, self.address)]


async def test_a_reply_that_breaks_off_in_the_middle_is_asked_for_again(
    desk: Desk, cloud: Cloud, clock: object, tmp_path: Path
) -> None:
    """A real connection over TLS, cut after a third of the body: not a byte of the half is taken, none is lost."""
    text = b"the whole story\n" * 100
    following = {routes.NEXT_OFFSET_HEADER.replace("-", "_"): str(len(text))}
    whole = reply(200, text, **following)
    nothing = reply(200, b"", **following)
    cloud.__class__ = Elsewhere
    assert isinstance(cloud, Elsewhere)
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    desk.ledger.intend_lease(a_lease(state=LeaseState.READY, rented_at=HOUR))
    desk.ledger.begin_attempt(desk.ledger.job("b-1-00001"), a_lease(), SPEC)
    async with LoopbackAgent(LeaseSecret(b"\x11" * 32), tmp_path, [whole[: len(whole) // 3], whole, nothing]) as agent:
        cloud.address = agent.address
        reader = LogReader(desk, cloud, desk.ledger.job("b-1-00001"), "progress", AgentChannel)
        reading = asyncio.create_task(_all(reader))
        while not reading.done():
            await asyncio.sleep(0.01)
            clock.advance(1.0)  # type: ignore[attr-defined]

    assert reading.result() == text
    assert [asked.line.split("offset=")[1].split("&")[0] for asked in agent.asked] == ["0", "0", str(len(text))]


async def _all(reader: LogReader) -> bytes:
    return b"".join([piece.data async for piece in reader.follow(keep_on=False)])


async def test_whoever_does_not_follow_is_told_when_nobody_answers(site: Site, one_thread: None) -> None:
    """Half a log that looks like a whole one would be a lie."""
    site.cloud.work["m1"] = Work(seconds=100)
    site.plan("a.bin")
    engine = site.start()
    await site.clock.until(lambda: site.states() == ["assigned"])
    site.cloud.the().agent.cut = True
    reader = LogReader(site.desk, site.cloud, site.job(), "progress", site.agents.open_channel)

    with pytest.raises(AgentUnreachable, match="does not answer"):
        await site.clock.carry(_all(reader))

    await ended(engine)


# -- lines -----------------------------------------------------------------------------------------------------------


async def pieces(*found: Piece) -> AsyncIterator[Piece]:
    """Give these pieces."""
    for piece in found:
        yield piece


async def test_pieces_become_lines_with_their_places() -> None:
    """However they were cut; a line that an attempt left unfinished is not glued to the next one's."""
    source = pieces(Piece(1, 10, b"one\ntw"), Piece(1, 16, b"o\nhal"), Piece(2, 0, b"new\n"), Piece(2, 4, b"\nend"))

    found = [(line.attempt, line.offset, line.data) async for line in _lines("progress", source)]

    assert found == [
        (1, 10, b"one\n"),
        (1, 14, b"two\n"),
        (1, 18, b"hal"),
        (2, 0, b"new\n"),
        (2, 4, b"\n"),
        (2, 5, b"end"),
    ]


async def test_several_streams_are_told_apart_and_none_is_lost() -> None:
    """Each line says where it comes from; what breaks in one ends the reading."""

    async def broken() -> AsyncIterator[Piece]:
        yield Piece(1, 0, b"x\n")
        raise AgentUnreachable("gone")

    both = {"progress": pieces(Piece(1, 0, b"a\nb\n")), "stdout": pieces(Piece(1, 0, b"c"))}
    found = [(line.stream, line.text) async for line in _merged(both)]

    assert sorted(found) == [("progress", "a"), ("progress", "b"), ("stdout", "c")]
    with pytest.raises(AgentUnreachable):
        [line async for line in _merged({"progress": broken()})]


def test_a_line_of_the_story_is_taken_apart_for_machines(desk: Desk) -> None:
    """A line that is no story, or no text, stays whole."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    job = desk.ledger.job("b-1-00001")
    story = Line("progress", 1, 7, b"2026-11-21T12:00:00Z | upscale | clip=- | msg=a | b\n").as_json(job)
    noise = Line("stdout", 1, 0, b"\xff\x1b[2J\n").as_json(job)

    assert (story["at"], story["stage"], story["clip"], story["msg"]) == (
        "2026-11-21T12:00:00Z",
        "upscale",
        "-",
        "a | b",
    )
    assert (story["job"], story["attempt"], story["offset"]) == ("b-1-00001", 1, 7)
    assert "msg" not in noise
    assert "\x1b" not in json.dumps(noise)


def test_a_name_that_is_several_jobs_is_said_and_the_latest_is_read(typist: Typist, desk: Desk) -> None:
    """The others can be had by their ids; for machines each line is one object."""
    for number in (1, 2):
        row = a_job_row(f"b-{number}", created_at=number, state=JobState.PUBLISHED, attempt=1)
        desk.ledger.add_batch(a_batch(f"b-{number}", provider="local", created_at=number), [row])
        path = kept_log(desk.state, f"b-{number}-00001", 1, "progress")
        path.parent.mkdir(parents=True)
        path.write_bytes(f"story {number}\nits end\n".encode())
    typist.state = desk.state.root

    shown, told = (
        typist.types("logs", "clip1.mp4", "--stream", "progress", "--stream", "stdout"),
        typist.types("logs", "b-1-00001", "--json", "--offset", "8"),
    )

    assert shown.out == "progress: story 2\nprogress: its end\n"
    assert "clip1.mp4 is 2 jobs; this is the latest, b-2-00001. The others: b-1-00001." in shown.err
    assert [json.loads(line)["text"] for line in told.out.splitlines()] == ["its end"]
    assert told.err == ""
