"""Grants that no longer open a store: a clear state in which the result stays, until others come."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from framehaul.clock import ManualClock
from framehaul.contract.states import AttemptReason
from tests.agent.patience import eventually
from tests.agent.vault import Attempt, Vault, film

_PARTS = [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture
def attempt(tmp_path: Path, vault: Vault, clock: ManualClock) -> Attempt:
    """600 kB that wait to be uploaded, in eight parts; nobody moves the clock but the test."""
    return Attempt(tmp_path, vault, clock, film())


async def _stopped_in_the_middle(attempt: Attempt) -> None:
    """Let some parts arrive, then refuse the next one, and wait until the agent waits."""
    attempt.vault.proxy.fault("status", code=403, operation="UploadPart", query="partNumber=5")
    async with attempt.delivery():
        await attempt.waits_for_grants()
    attempt.vault.proxy.mend()


async def test_expired_grants_are_renewed_and_finished_parts_kept(attempt: Attempt, vault: Vault) -> None:
    """What has arrived counts for the same upload under new addresses; only the rest is sent."""
    await _stopped_in_the_middle(attempt)
    known = attempt.noted_parts()
    vault.proxy.offset_s = 7200
    vault.proxy.fault("expired")
    vault.proxy.forget()

    async with attempt.delivery() as task:
        await attempt.waits_for_grants("The grants have expired: HTTP 403 (AccessDenied). The result stays on this")
        attempt.assert_kept()
        vault.proxy.offset_s = 0
        attempt.renew(2)
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()
    assert known
    assert known.isdisjoint(vault.sent_parts())


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("deny", {"operation": "UploadPart"}, "The store refuses the upload: HTTP 403 (AccessDenied)."),
        ("status", {"code": 401, "operation": "UploadPart"}, "The store refuses the upload: HTTP 401"),
        ("status", {"code": 301, "operation": "UploadPart"}, "The store refuses the upload: HTTP 301 (Permanent"),
        ("status", {"code": 404, "error": "NoSuchBucket"}, "The store refuses the upload: HTTP 404 (NoSuchBucket)."),
        (
            "status",
            {"code": 400, "error": "EntityTooSmall", "operation": "CompleteMultipartUpload"},
            "The store refuses the upload: HTTP 400 (EntityTooSmall).",
        ),
    ],
    ids=["no-right", "who-are-you", "elsewhere", "no-bucket", "small-parts"],
)
async def test_refusals_keep_the_result_and_name_the_store_s_word(
    attempt: Attempt, vault: Vault, name: str, words: dict[str, Any], told: str
) -> None:
    """Nothing fails by what a store refuses: the state says what it said, without any address, and waits."""
    vault.proxy.fault(name, **words)

    async with attempt.delivery() as task:
        sentence = await attempt.waits_for_grants()
        attempt.assert_kept()
        vault.proxy.mend()
        attempt.renew(2)
        await asyncio.wait_for(task, 120)

    assert sentence.startswith(told)
    assert "http:" not in sentence
    assert "Signature" not in attempt.story()
    attempt.assert_delivered()


async def test_addresses_of_the_future_are_tried_again_by_themselves(
    attempt: Attempt, vault: Vault, clock: ManualClock
) -> None:
    """Without a controller, grants that are not good yet become good: they are looked at every five minutes."""
    vault.proxy.offset_s = -3600
    vault.proxy.fault("future")

    async with attempt.delivery() as task:
        await attempt.waits_for_grants("The grants do not fit the store's clock: HTTP 403 (")
        vault.proxy.offset_s = 0
        asked = vault.proxy.count(operation="UploadPart")
        clock.advance(299)
        await asyncio.sleep(0)
        assert vault.proxy.count(operation="UploadPart") == asked
        clock.advance(1)
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()


async def test_clock_that_is_set_back_does_not_put_off_the_next_try(
    attempt: Attempt, vault: Vault, clock: ManualClock
) -> None:
    """A wait that began a year later by the clock of then ends after five minutes all the same."""
    vault.proxy.fault("deny", operation="UploadPart")

    async with attempt.delivery() as task:
        await attempt.waits_for_grants()
        clock.advance(-365 * 86_400.0)
        vault.proxy.mend()
        attempt.job.bell.ring()  # the wait is reckoned anew

        def five_minutes_later() -> bool:
            clock.advance(60)
            return task.done() or clock.now() > 1_800_000_000.0 - 364 * 86_400.0

        await eventually(five_minutes_later)
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()


@pytest.mark.parametrize("why", ["renewed", "taken-up"])
async def test_bytes_that_flow_again_are_no_waiting_for_a_controller(
    attempt: Attempt, vault: Vault, clock: ManualClock, why: str
) -> None:
    """While a part goes out under new grants, or in a new agent, the reason is no more that grants are wanted."""
    vault.proxy.fault("deny", operation="UploadPart")
    async with attempt.queued() as queue:
        await attempt.waits_for_grants()
        assert not queue.busy()
        vault.proxy.mend()
        held = vault.proxy.fault("stall", operation="UploadPart", times=20)
        if why == "taken-up":
            await queue.close()
            attempt.restart()
            queue.take_up([attempt.job])
        else:
            attempt.renew(2)
        await eventually(held.struck.is_set)

        assert attempt.job.status.reason is AttemptReason.NONE
        assert queue.busy()
        vault.proxy.mend()


async def test_grants_that_open_again_by_themselves_are_no_waiting_either(
    tmp_path: Path, vault: Vault, clock: ManualClock
) -> None:
    """Tried again after five minutes, the first bytes that go out say that nobody is waited for."""
    attempt = Attempt(tmp_path, vault, clock, film(4_000_000))
    big = vault.sign("job-1.mp4", attempt.uploads["result"]).model_copy(update={"first_part_bytes": 4_000_000})
    attempt.grant(2, result=big)
    vault.proxy.fault("deny", operation="UploadPart")
    async with attempt.queued() as queue:
        await attempt.waits_for_grants()
        vault.proxy.mend()
        vault.proxy.fault("stall", operation="UploadPart", bytes=2_000_000, way="up")
        clock.advance(300)

        await eventually(lambda: attempt.job.status.reason is AttemptReason.NONE)

        assert queue.busy()
        vault.proxy.mend()


async def test_refused_body_is_not_sent(tmp_path: Path, vault: Vault, clock: ManualClock) -> None:
    """The store is asked before megabytes go out, so that its refusal is read and nothing is sent in vain."""
    attempt = Attempt(tmp_path, vault, clock, film(20_000_000))
    big = attempt.vault.sign("job-1.mp4", attempt.uploads["result"]).model_copy(update={"first_part_bytes": 20_000_000})
    attempt.grant(2, result=big)
    vault.proxy.fault("deny", operation="UploadPart")

    async with attempt.delivery():
        assert "HTTP 403 (AccessDenied)" in await attempt.waits_for_grants()

    assert vault.proxy.traffic()["up"] == 0


async def test_other_upload_is_begun_anew(attempt: Attempt, vault: Vault) -> None:
    """An upload that somebody ended is told; the next grants name another one, and all parts go there."""
    await _stopped_in_the_middle(attempt)
    vault.end("job-1.mp4", attempt.uploads["result"])
    vault.proxy.forget()

    async with attempt.delivery() as task:
        await attempt.waits_for_grants("The upload of job-1.mp4 was ended by somebody else.")
        attempt.assert_kept()
        attempt.renew(2, attempt.uploads | {"result": vault.begin("job-1.mp4")})
        await asyncio.wait_for(task, 120)

    assert sorted(vault.sent_parts(status=200)) == _PARTS
    attempt.assert_delivered()


async def test_object_of_another_run_is_not_taken_for_ours(attempt: Attempt, vault: Vault) -> None:
    """Where an older object of the same size lies, an ended upload is an ended upload: its middle differs."""
    await _stopped_in_the_middle(attempt)
    older = bytearray(attempt.data)
    older[300_000] ^= 1
    vault.lay("job-1.mp4", bytes(older))
    vault.end("job-1.mp4", attempt.uploads["result"])

    async with attempt.delivery():
        await attempt.waits_for_grants("was ended by somebody else")

    attempt.assert_kept()
    assert attempt.job.journal.slots("delivered") == set()


async def test_object_that_is_not_what_was_sent_is_noticed(attempt: Attempt, vault: Vault) -> None:
    """A store that says yes, does not name the object by its parts, and holds something else is not believed."""
    vault.proxy.fault("other_etag", operation="CompleteMultipartUpload")
    vault.proxy.fault("stall", operation="GetObject")

    async with attempt.delivery() as task:
        await eventually(lambda: vault.proxy.count(operation="GetObject") == 1)
        vault.lay("job-1.mp4", film(seed=2))
        vault.proxy.mend()
        sentence = await attempt.waits_for_grants()
        attempt.assert_kept()
        attempt.renew(2, attempt.uploads | {"result": vault.begin("job-1.mp4")})
        await asyncio.wait_for(task, 120)

    assert sentence.startswith("What the store holds of job-1.mp4 is not what was put together.")
    attempt.assert_delivered()


async def test_too_few_parts_are_named(attempt: Attempt, vault: Vault) -> None:
    """An output that is larger than its grants reach is kept, and told; wider grants take it."""
    small = vault.sign("job-1.mp4", attempt.uploads["result"], parts=3)
    attempt.grant(2, result=small)

    async with attempt.delivery() as task:
        sentence = await attempt.waits_for_grants()
        attempt.assert_kept()
        attempt.renew(3)
        await asyncio.wait_for(task, 120)

    assert sentence.startswith("job-1.mp4 travels in 8 parts, and the grants are for 3.")
    attempt.assert_delivered()


async def test_renewed_addresses_leave_the_receipt_as_it_was(attempt: Attempt, vault: Vault) -> None:
    """It says where each output lies, and holds no address that would open it to whoever finds the receipt."""
    vault.proxy.fault("status", code=403, operation="CompleteMultipartUpload", key="receipts")
    async with attempt.delivery() as task:
        await attempt.waits_for_grants()
        before = attempt.job.receipt
        vault.proxy.mend()
        attempt.renew(2, for_s=4000)
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()
    assert attempt.job.receipt == before
    assert before is not None
    result = before.output("result")
    assert result.uri == str(vault.place("job-1.mp4"))
    assert result.download_url is None
    assert b"Signature" not in before.canonical()


async def test_object_that_is_found_is_where_the_receipt_says(attempt: Attempt, vault: Vault) -> None:
    """Completed unheard, then granted elsewhere, then here again: the receipt names the place where it lies."""
    held = vault.proxy.fault("stall", operation="CompleteMultipartUpload", key="job-1.mp4", bytes=0, way="down")
    async with attempt.delivery():
        await eventually(held.struck.is_set)
    vault.proxy.mend()
    attempt.restart()
    vault.proxy.fault("deny", operation="CompleteMultipartUpload")
    elsewhere = vault.sign("elsewhere.mp4", vault.begin("elsewhere.mp4"), parts=10)
    attempt.grant(2, result=elsewhere)
    async with attempt.delivery() as task:
        await attempt.waits_for_grants()
        vault.proxy.mend()
        attempt.grant(3, result=vault.sign("job-1.mp4", vault.begin("job-1.mp4"), parts=10))
        await asyncio.wait_for(task, 120)

    assert attempt.job.receipt is not None
    assert attempt.job.receipt.output("result").uri == str(vault.place("job-1.mp4"))
    assert vault.read("job-1.mp4") == attempt.data


@pytest.mark.parametrize("folder", [".", "no-such-folder"])
async def test_copy_of_the_receipt_is_private_and_costs_no_result(
    attempt: Attempt, tmp_path: Path, folder: str
) -> None:
    """What is left for whoever started the agent is for its user alone; where it cannot be written nothing fails."""
    copy = tmp_path / folder / "upload_result.json"

    async with attempt.queued(receipt_copy=copy):
        await eventually(lambda: attempt.job.final and not any(attempt.job.folder.outputs.iterdir()))

    attempt.assert_delivered()
    assert folder != "." or (copy.stat().st_mode & 0o077, copy.read_bytes()) == (
        0,
        attempt.job.folder.receipt.read_bytes(),
    )
