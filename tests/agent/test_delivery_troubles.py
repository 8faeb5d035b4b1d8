"""A result that is made is delivered in the end, whatever goes wrong with the machine, the line or the store."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from agent.attempts.patience import asked_pause_s
from framehaul.clock import ManualClock
from framehaul.contract.states import AttemptReason, AttemptState
from tests.agent.patience import eventually
from tests.agent.vault import Attempt, Vault, film

_WRONG_HOUR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.fixture
def attempt(tmp_path: Path, vault: Vault, clock: ManualClock) -> Attempt:
    """600 kB that wait to be uploaded, in eight parts."""
    return Attempt(tmp_path, vault, clock, film())


async def _waits(attempt: Attempt, word: str) -> None:
    """Wait until the status says so; the result is kept meanwhile."""

    def told() -> bool:
        status = attempt.job.status
        return status.reason is AttemptReason.STORE_UNAVAILABLE and word in status.message

    await eventually(told)
    assert attempt.job.status.state is AttemptState.DELIVERING
    assert attempt.job.output_path("result").exists()


async def _ends(attempt: Attempt, clock: ManualClock) -> None:
    """Let minutes pass until the attempt has ended, and its disk is cleared up."""

    def ended() -> bool:
        clock.advance(60)
        return attempt.job.final and not any(attempt.job.folder.outputs.iterdir())

    await eventually(ended)


async def test_full_disk_is_waited_for(attempt: Attempt, clock: ManualClock) -> None:
    """What has arrived and cannot be noted is no failure: the status names the disk, and with room it is noted."""
    journal = attempt.job.folder.journal
    aside = journal.rename(journal.with_name("aside"))
    journal.symlink_to("/dev/full")

    async with attempt.queued():
        await _waits(attempt, "The machine's disk is full")
        aside.replace(journal)
        await _ends(attempt, clock)

    attempt.assert_delivered()


@pytest.mark.parametrize("name", ["manifest", "receipt", "sentinel"])
async def test_proof_that_cannot_be_written_is_written_later(attempt: Attempt, clock: ManualClock, name: str) -> None:
    """A fault that nobody foresaw, at any of the last files, costs time and no result."""
    path = getattr(attempt.job.folder, name)
    path.mkdir()

    async with attempt.queued():
        await _waits(attempt, "The delivery broke off (IsADirectoryError)")
        path.rmdir()
        await _ends(attempt, clock)

    attempt.assert_delivered()


async def test_outputs_that_are_gone_fail_whatever_else_is_broken(attempt: Attempt) -> None:
    """Waiting brings them back to nobody; and a folder that cannot be cleared does not keep that from being said."""
    attempt.job.output_path("result").unlink()
    attempt.job.folder.parts.rmdir()
    attempt.job.folder.parts.write_text("no folder")

    async with attempt.queued():
        await eventually(lambda: attempt.job.final)

    assert attempt.job.status.state is AttemptState.FAILED
    assert attempt.job.status.message == "The outputs are gone from the disk."


class BrokenLine(httpx.AsyncHTTPTransport):
    """A line whose first answer is broken below HTTP."""

    broken = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Break once, as OpenSSL does at a record that it cannot read."""
        if self.broken:
            self.broken = False
            raise ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]")
        return await super().handle_async_request(request)


async def test_broken_tls_is_a_broken_line(attempt: Attempt, clock: ManualClock) -> None:
    """An error of OpenSSL's that httpx does not translate is tried again like any other."""
    async with attempt.queued(line=BrokenLine()):
        await _ends(attempt, clock)

    attempt.assert_delivered()
    assert "broke off" not in attempt.story()


@pytest.mark.parametrize("told", ["²", _WRONG_HOUR, "soon", "-1"])
async def test_odd_retry_after_is_no_reason_to_fail(
    attempt: Attempt, vault: Vault, clock: ManualClock, told: str
) -> None:
    """A store that asks for patience in words that mean nothing is asked again after a pause of ours."""
    vault.proxy.fault("status", code=503, retry_after=told, operation="CompleteMultipartUpload", times=2)

    async with attempt.queued():
        await _ends(attempt, clock)

    attempt.assert_delivered()
    assert "broke off" not in attempt.story()


@pytest.mark.parametrize(
    ("told", "pause_s"),
    [("7", 7.0), ("²", 0.0), (_WRONG_HOUR, 0.0), ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0), ("", 0.0)],
)
def test_what_retry_after_asks_for(told: str, pause_s: float) -> None:
    """Seconds, or an hour of the store's own; of anything else nothing is asked."""
    head = [(b"Retry-After", told.encode("latin-1")), (b"Date", b"Fri, 15 Jan 2027 08:00:00 GMT")]

    assert asked_pause_s(httpx.Response(503, headers=head)) == pause_s
