"""Bringing results home: resumed after any break, whole or not at all, and never over somebody else's file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from controller.channel import AgentChannel
from controller.collect import collect
from controller.desk import Desk
from controller.errors import AgentUnreachable, ProofFailed
from controller.ledger import Job
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.receipt import Receipt
from framehaul.contract.status import OutputReceived
from framehaul.contract.uris import parse_uri
from framehaul.errors import AlreadyExists
from framehaul.storage.local import LocalStore
from tests.controller.agents import entry_of, refusal
from tests.controller.desks import HOUR, a_batch, a_job_row, heard

MIB = 1 << 20
RESULT = bytes(range(256)) * 4096 * 3  # three MiB
MANIFEST = b'{"a": "manifest"}'


@dataclass
class Outlet:
    """An agent's output routes. `serve` says what is sent of the bytes from the offset on."""

    outputs: dict[str, bytes]
    serve: Callable[[bytes], AsyncIterator[bytes]] | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def receipt(self) -> Receipt:
        """Promise the outputs as they are."""
        entries = tuple(entry_of(slot, f"a_{slot}.bin", data, MIB) for slot, data in self.outputs.items())
        return Receipt(job_id="b-1-00001", attempt=1, spec_digest="0" * 64, outputs=entries, finished_at=HOUR)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await request.aread()
        slot = request.url.path.split("/")[4]
        if request.method == "POST":
            found = OutputReceived.model_validate_json(request.content)
            entry = self.receipt().output(slot)
            if (found.size, found.sha256) != (entry.size, entry.sha256):
                return refusal(409, "digest-differs", retryable=True)
            self.told.append(slot)
            return httpx.Response(200, text="{}")
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append((slot, start))
        rest = self.outputs[slot][start:]
        return httpx.Response(200, content=self.serve(rest) if self.serve else rest)


@dataclass
class Home:
    """The laptop: its desk, a job, and the folder that results go to."""

    desk: Desk
    job: Job
    folder: Path

    async def collect(self, outlet: Outlet, receipt: Receipt | None = None) -> None:
        """Bring everything home."""
        async with AgentChannel(("10.0.0.1", 1), LeaseSecret.new(), httpx.MockTransport(outlet.answer)) as channel:
            target = parse_uri(f"{self.folder}/")
            await collect(self.desk, channel, self.job, receipt or outlet.receipt(), LocalStore(), target)

    def results(self) -> dict[str, bytes]:
        """Read what lies in the folder, drafts and all."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()} if self.folder.exists() else {}

    def inbox(self) -> list[int]:
        """Give the sizes of what lies in the inbox."""
        return [path.stat().st_size for path in self.desk.state.inbox(self.job.id).iterdir()]


@pytest.fixture
def home(desk: Desk, tmp_path: Path) -> Home:
    """A laptop that expects one job's results."""
    desk.ledger.add_batch(a_batch(), [a_job_row()])
    return Home(desk, desk.ledger.job("b-1-00001"), tmp_path / "out")


async def breaks_after(data: bytes, count: int) -> AsyncIterator[bytes]:
    """Send so many bytes, then lose the link."""
    yield data[:count]
    raise httpx.ReadError("the link broke")


async def without_end(piece: bytes) -> AsyncIterator[bytes]:
    """Send on and on."""
    while True:
        yield piece


async def damaged(data: bytes) -> AsyncIterator[bytes]:
    """Send everything, with one bit flipped."""
    yield data[:-1]
    yield bytes([data[-1] ^ 1])


async def test_results_come_home_whole_and_the_agent_hears_of_each(home: Home) -> None:
    """Under their names, byte for byte; nothing of them is left in the inbox."""
    outlet = Outlet({"result": RESULT, "manifest": MANIFEST})

    await home.collect(outlet)

    assert home.results() == {"a_result.bin": RESULT, "a_manifest.bin": MANIFEST}
    assert outlet.told == ["result", "manifest"]
    assert home.inbox() == []
    assert heard(home.desk).transfers[-1] == ("fetching a_manifest.bin", len(MANIFEST), len(MANIFEST))


async def test_a_fetch_that_broke_off_is_resumed(home: Home) -> None:
    """What came before is kept in the inbox, never in the folder; only the rest is asked for again."""
    outlet = Outlet({"result": RESULT}, serve=lambda rest: breaks_after(rest, MIB))
    with pytest.raises(AgentUnreachable):
        await home.collect(outlet)
    assert (home.results(), home.inbox(), outlet.told) == ({}, [MIB], [])

    with pytest.raises(AgentUnreachable):
        await home.collect(outlet)
    outlet.serve = None
    await home.collect(outlet)

    assert outlet.asked == [("result", 0), ("result", MIB), ("result", 2 * MIB)]
    assert home.results() == {"a_result.bin": RESULT}


async def test_a_half_of_another_attempt_is_not_gone_on_with(home: Home) -> None:
    """Its bytes belong to another result, though the names are the same."""
    first = Outlet({"result": RESULT}, serve=lambda rest: breaks_after(rest, MIB))
    with pytest.raises(AgentUnreachable):
        await home.collect(first)
    second = Outlet({"result": RESULT[::-1]})

    await home.collect(second)

    assert second.asked == [("result", 0)]
    assert home.results() == {"a_result.bin": RESULT[::-1]}


async def test_damaged_bytes_are_thrown_away_and_reported(home: Home) -> None:
    """They reach neither the folder nor the next try, of which there are two more before the job is given up."""
    outlet = Outlet({"result": RESULT}, serve=damaged)

    with pytest.raises(ProofFailed, match=r"a_result\.bin arrived damaged"):
        await home.collect(outlet)

    assert (home.results(), home.inbox(), outlet.told) == ({}, [], [])
    outlet.serve = None
    await home.collect(outlet)
    assert outlet.asked == [("result", 0)] * 4
    assert home.results() == {"a_result.bin": RESULT}


async def test_a_bad_half_from_before_costs_a_second_fetch_and_not_the_result(home: Home) -> None:
    """A power cut may leave zeros where bytes should be; the result still lies on its machine."""
    outlet = Outlet({"result": RESULT})
    inbox = home.desk.state.inbox(home.job.id)
    inbox.mkdir(parents=True)
    (inbox / f"{outlet.receipt().outputs[0].sha256}.part").write_bytes(bytes(MIB))

    await home.collect(outlet)

    assert outlet.asked == [("result", MIB), ("result", 0)]
    assert home.results() == {"a_result.bin": RESULT}


async def test_no_more_is_taken_than_was_promised(home: Home) -> None:
    """An agent that never stops sending does not fill the laptop's disk."""
    outlet = Outlet({"result": RESULT}, serve=lambda rest: without_end(rest[:MIB]))

    with pytest.raises(ProofFailed):
        await home.collect(outlet)

    assert max(done for _, done, _ in heard(home.desk).transfers) <= len(RESULT) + MIB
    assert home.results() == {}


async def test_fewer_bytes_than_promised_are_no_result(home: Home) -> None:
    """Also where the agent calls it the end."""
    receipt = Outlet({"result": RESULT}).receipt()

    with pytest.raises(ProofFailed, match="arrived damaged"):
        await home.collect(Outlet({"result": RESULT[:-1]}), receipt)

    assert home.results() == {}


async def test_a_crash_between_the_put_and_the_ledger_is_made_good(home: Home) -> None:
    """Whoever comes next finds the result, proves that it is ours, tells the agent, and fetches nothing."""
    outlet = Outlet({"result": RESULT, "manifest": MANIFEST})
    await home.collect(outlet)
    outlet.asked.clear()

    await home.collect(outlet)

    assert outlet.asked == []
    assert outlet.told == ["result", "manifest"] * 2
    assert home.results() == {"a_result.bin": RESULT, "a_manifest.bin": MANIFEST}


async def test_a_crash_between_the_fetch_and_the_put_costs_no_second_fetch(home: Home) -> None:
    """What is whole in the inbox is put."""
    outlet = Outlet({"result": RESULT})
    inbox = home.desk.state.inbox(home.job.id)
    inbox.mkdir(parents=True)
    (inbox / f"{outlet.receipt().outputs[0].sha256}.part").write_bytes(RESULT)

    await home.collect(outlet)

    assert outlet.asked == []
    assert (home.results(), home.inbox()) == ({"a_result.bin": RESULT}, [])


@pytest.mark.parametrize("theirs", [b"somebody else's", RESULT[:-1] + b"!", b""], ids=["other", "same-size", "empty"])
async def test_somebody_else_s_file_is_not_overwritten(home: Home, theirs: bytes) -> None:
    """It stays as it is, the error says what is in the way and what to do, and the machine keeps the result."""
    home.folder.mkdir()
    (home.folder / "a_result.bin").write_bytes(theirs)
    outlet = Outlet({"result": RESULT})

    with pytest.raises(AlreadyExists) as told:
        await home.collect(outlet)

    assert home.results() == {"a_result.bin": theirs}
    assert f"Something else lies at file://{home.folder}/a_result.bin, and is not replaced" in told.value.message
    assert told.value.advice
    assert outlet.told == []


async def test_a_file_that_appears_during_the_fetch_is_not_overwritten_either(home: Home) -> None:
    """The look before the fetch is not what protects it."""

    async def interrupted(rest: bytes) -> AsyncIterator[bytes]:
        home.folder.mkdir()
        (home.folder / "a_result.bin").write_bytes(b"somebody else's")
        yield rest

    with pytest.raises(AlreadyExists, match="Something else lies at"):
        await home.collect(Outlet({"result": RESULT}, serve=interrupted))

    assert home.results() == {"a_result.bin": b"somebody else's"}


async def test_an_empty_result_is_a_result(home: Home) -> None:
    """It is put, and the agent hears of it."""
    outlet = Outlet({"result": b""})

    await home.collect(outlet)

    assert (home.results(), outlet.told) == ({"a_result.bin": b""}, ["result"])


async def test_two_outputs_of_the_same_bytes_are_two_files(home: Home) -> None:
    """Though they share a name in the inbox."""
    await home.collect(Outlet({"one": RESULT, "two": RESULT}))

    assert home.results() == {"a_one.bin": RESULT, "a_two.bin": RESULT}
    assert (home.folder / "a_one.bin").stat().st_nlink == 1
