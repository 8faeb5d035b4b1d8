"""Whatever a store does wrong, what lies there in the end is the result: whole, once, and with its proofs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.agent.patience import eventually
from tests.agent.vault import Attempt, Skipping, Vault, film

_PARTS = [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.fixture
def clock() -> Skipping:
    """An hour that passes as soon as somebody waits for it."""
    return Skipping()


@pytest.fixture
def attempt(tmp_path: Path, vault: Vault, clock: Skipping) -> Attempt:
    """600 kB that wait to be uploaded, in eight parts."""
    return Attempt(tmp_path, vault, clock, film())


async def test_everything_goes_up_in_parts_and_the_receipt_last(attempt: Attempt, vault: Vault) -> None:
    """Each part is sent once, nothing is asked twice, and who finds the receipt finds all that it tells of."""
    await attempt.delivered()

    attempt.assert_delivered()
    assert sorted(vault.sent_parts()) == _PARTS
    completed = [entry["key"] for entry in vault.proxy.log(operation="CompleteMultipartUpload")]
    assert [key.removeprefix("out/") for key in completed] == [
        "job-1.mp4",
        "job-1.mp4.manifest.json",
        ".framehaul/receipts/job-1.1.json",
    ]
    assert "store-unavailable" not in attempt.story()


@pytest.mark.parametrize("size", [0, 1, 64 << 10, (64 << 10) + 1])
async def test_odd_sizes(tmp_path: Path, vault: Vault, clock: Skipping, size: int) -> None:
    """Nothing, one byte, exactly one part, and one byte more."""
    attempt = Attempt(tmp_path, vault, clock, film(size))

    await attempt.delivered()

    attempt.assert_delivered()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", {"code": 500, "operation": "UploadPart", "times": 3}),
        ("status", {"code": 503, "error": "SlowDown", "times": 12}),
        ("status", {"code": 429, "operation": "CompleteMultipartUpload", "times": 2}),
        ("status", {"code": 400, "error": "RequestTimeout", "operation": "UploadPart", "times": 2}),
        ("status", {"code": 403, "error": "AccessDenied", "message": "Storage cap exceeded", "times": 9}),
        ("status", {"code": 507, "operation": "UploadPart", "times": 5}),
        ("lose_reply", {"operation": "UploadPart", "times": 3}),
        ("error_in_200", {"operation": "CompleteMultipartUpload", "error": "InternalError", "times": 2}),
        ("cut", {"operation": "UploadPart", "bytes": 30_000, "times": 4}),
        ("cut", {"operation": "GetObject", "bytes": 0, "way": "down"}),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "-".join(map(str, value.values())),
)
async def test_what_passes_is_tried_again(attempt: Attempt, vault: Vault, name: str, words: dict[str, Any]) -> None:
    """A store that fails for a while costs time and nothing else."""
    vault.proxy.fault(name, **words)

    await attempt.delivered()

    attempt.assert_delivered()


async def test_retry_after_is_heard_and_pauses_grow(attempt: Attempt, vault: Vault, clock: Skipping) -> None:
    """What the store asks for is waited, else longer and longer, a minute at most; and the status says why."""
    vault.proxy.fault("status", code=503, retry_after=77, operation="CompleteMultipartUpload", times=1)
    vault.proxy.fault("status", code=500, operation="CompleteMultipartUpload", times=10)

    await attempt.delivered()

    attempt.assert_delivered()
    assert clock.naps[0] == 77
    assert all(early < 1.5 * late for early, late in zip(clock.naps[1:5], clock.naps[3:7], strict=True))
    assert 30 <= clock.naps[9] <= 60
    assert "delivering (store-unavailable) The store answered HTTP 500 (InternalError)" in attempt.story()
    assert attempt.story().count("goes on") == 1


async def test_store_that_hangs_is_left_and_asked_again(attempt: Attempt, vault: Vault) -> None:
    """A stall in the middle of a part, or before any answer, ends by a time-out and costs one try."""
    vault.proxy.fault("stall", operation="UploadPart", bytes=20_000, way="up")
    vault.proxy.fault("stall", operation="CompleteMultipartUpload", key="manifest")

    async with attempt.delivery(stall_s=1.5) as task:
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()


async def test_ten_minutes_without_a_store(attempt: Attempt, vault: Vault, clock: Skipping) -> None:
    """While the store is down the result stays, the state says so, and it goes on by itself."""
    vault.proxy.fault("cut", operation="UploadPart", total_bytes=200_000)
    vault.proxy.down()
    down_since = clock.now()

    async with attempt.delivery() as task:
        await eventually(lambda: clock.now() > down_since + 600)
        attempt.assert_kept()
        assert attempt.job.status.reason == "store-unavailable"
        assert attempt.job.status.message == "The store cannot be reached; it is tried again until it works."
        vault.proxy.up()
        await asyncio.wait_for(task, 120)

    attempt.assert_delivered()
    assert len([nap for nap in clock.naps if nap > 61]) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_interrupted_at_any_byte(tmp_path: Path, vault: Vault, clock: Skipping, seed: int) -> None:
    """The line is cut at a drawn byte and the agent dies at another; parts that it had noted are not sent again."""
    draw = Random(seed)
    attempt = Attempt(tmp_path, vault, clock, film(seed=seed))
    for _ in range(3):
        vault.proxy.fault("cut", operation="UploadPart", total_bytes=draw.randrange(1, 200_000))
        known, killed_at = attempt.noted_parts(), draw.randrange(1, 200_000)
        vault.proxy.forget()
        async with attempt.delivery() as task:
            await _until_sent(vault, killed_at, task)
        assert known.isdisjoint(vault.sent_parts())
        vault.proxy.mend()
        attempt.restart()

    if not attempt.job.final:
        await attempt.delivered()

    attempt.assert_delivered()


async def _until_sent(vault: Vault, count: int, task: asyncio.Task[None]) -> None:
    await eventually(lambda: vault.proxy.traffic()["up"] >= count or task.done())


async def test_restarted_agent_sends_no_part_twice(attempt: Attempt, vault: Vault) -> None:
    """What the journal tells of is in the store: the next agent goes on with the parts that are missing."""
    held = vault.proxy.fault("stall", operation="UploadPart", query="partNumber=6")
    assert held is not None
    async with attempt.delivery():
        await eventually(lambda: attempt.noted_parts() == {1, 2, 3, 4, 5, 7, 8})
    vault.proxy.mend()
    vault.proxy.forget()
    attempt.restart()

    await attempt.delivered()

    attempt.assert_delivered()
    assert vault.sent_parts() == [6]


async def test_lost_reply_of_complete_is_no_lost_upload(attempt: Attempt, vault: Vault) -> None:
    """Each complete works and its answer is lost: nothing is sent again, and all counts as delivered."""
    vault.proxy.fault("lose_reply", operation="CompleteMultipartUpload", times=1)
    vault.proxy.fault("error_in_200", operation="CompleteMultipartUpload", key="manifest", done=True)

    await attempt.delivered()

    attempt.assert_delivered()
    assert sorted(vault.sent_parts()) == _PARTS
    assert vault.proxy.count(operation="CompleteMultipartUpload") == 5


async def test_agent_that_dies_after_complete_finds_its_object(attempt: Attempt, vault: Vault) -> None:
    """Killed between the store's answer and its own note, the agent asks what lies there, and believes its digests."""
    held = vault.proxy.fault("stall", operation="CompleteMultipartUpload", key="job-1.mp4", bytes=0, way="down")
    assert held is not None
    async with attempt.delivery():
        await eventually(held.struck.is_set)
    vault.proxy.mend()
    attempt.restart()

    await attempt.delivered()

    attempt.assert_delivered()
    assert sorted(vault.sent_parts()) == _PARTS


@pytest.mark.parametrize("named_by_parts", [True, False])
async def test_an_object_is_looked_at_once_it_is_put_together_unless_its_name_says_what_it_is(
    attempt: Attempt, vault: Vault, named_by_parts: bool
) -> None:
    """Most stores name it by the md5s of its parts: a reading of theirs is saved. Of others the size is asked."""
    if not named_by_parts:
        vault.proxy.fault("other_etag", operation="CompleteMultipartUpload")

    await attempt.delivered()

    attempt.assert_delivered()
    assert vault.proxy.count(operation="GetObject") == (0 if named_by_parts else 3)


async def test_parts_that_the_store_lost_are_sent_again(attempt: Attempt, vault: Vault) -> None:
    """A store that misses a part it had confirmed gets all of them once more."""
    vault.proxy.fault("status", code=400, error="InvalidPart", operation="CompleteMultipartUpload", times=1)

    await attempt.delivered()

    attempt.assert_delivered()
    assert sorted(vault.sent_parts()) == sorted(_PARTS * 2)


async def test_upload_that_was_completed_unheard_is_not_sent_again(attempt: Attempt, vault: Vault) -> None:
    """The reply is lost, then the line; the controller finds no open upload and begins another: nobody needs it."""
    vault.proxy.fault("lose_reply", operation="CompleteMultipartUpload")
    vault.proxy.fault("status", code=403, operation="GetObject")
    async with attempt.delivery():
        assert "HTTP 403" in await attempt.waits_for_grants()
    vault.proxy.mend()
    vault.proxy.forget()
    attempt.renew(2, attempt.uploads | {"result": vault.begin("job-1.mp4")})
    attempt.restart()

    await attempt.delivered()

    attempt.assert_delivered()
    assert vault.sent_parts() == []


async def test_success_of_somebody_else_is_none(attempt: Attempt, vault: Vault) -> None:
    """A page that says 200 to complete ends no upload, though an older object of equal size lies in that place."""
    vault.lay("job-1.mp4", film(seed=9))
    vault.proxy.fault("page_in_200", operation="CompleteMultipartUpload", times=2)

    await attempt.delivered()

    attempt.assert_delivered()


async def test_part_that_is_called_a_success_is_a_part(tmp_path: Path, vault: Vault, clock: Skipping) -> None:
    """rclone answers 200 to a range: an upload whose completion was not heard is found by its later chunks too."""
    attempt = Attempt(tmp_path, vault, clock, film(9_000_000))
    big = vault.sign("job-1.mp4", attempt.uploads["result"]).model_copy(update={"first_part_bytes": 6_000_000})
    attempt.grant(2, result=big)
    vault.proxy.fault("part_as_200")
    vault.proxy.fault("lose_reply", operation="CompleteMultipartUpload", times=1)

    await attempt.delivered()

    attempt.assert_delivered()
    assert [entry["range"] for entry in vault.proxy.log(operation="GetObject")] == [
        "bytes=0-8388607",
        "bytes=8388608-8999999",
    ]


async def test_store_that_knows_no_question_gets_its_parts(tmp_path: Path, vault: Vault, clock: Skipping) -> None:
    """417 means that somebody in between does not know `Expect`: the part is sent without it."""
    attempt = Attempt(tmp_path, vault, clock, film(1000))
    vault.proxy.fault("status", code=417, operation="UploadPart", times=1)

    await attempt.delivered()

    attempt.assert_delivered()
    asked = [entry["headers"].get("expect") for entry in vault.proxy.log(operation="UploadPart")]
    assert asked[:2] == ["100-continue", None]
    assert "store-unavailable" not in attempt.story()
