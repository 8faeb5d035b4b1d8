"""Whatever breaks between bucket and bucket: the result arrives once, proven, and is not made twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from framehaul.clock import CLOCK_URL
from framehaul.contract.states import JobState, LeaseState
from tests.emulators.clock import ClockServer
from tests.journeys.bucket import Bucket, serving
from tests.journeys.passing import FAST_S, SLOWLY_S, passing
from tests.journeys.person import Person, eventually

_CONTENT = bytes(range(256)) * 80


@pytest.fixture
def bucket(person: Person, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket, and a laptop that knows its key."""
    with serving(tmp_path / "store") as bucket:
        person.environment.update(bucket.environment)
        yield bucket


@pytest.fixture
def hour(person: Person) -> Iterator[ClockServer]:
    """The shared clock of laptop and agents; the store keeps its own, which is months away."""
    server = ClockServer()
    person.environment[CLOCK_URL] = server.url
    yield server
    server.close()


def _words(bucket: Bucket, rate: int | None = None) -> list[str]:
    slow = [] if rate is None else ["--param", f"rate_bytes_s={rate}"]
    return ["run", bucket.address("in/"), "--pipeline", "copy", "--to", bucket.address("out/"), *slow]


@pytest.mark.slow
@pytest.mark.parametrize("machine_left", [True, False])
def test_a_result_that_was_delivered_while_nobody_watched_is_proven_and_not_made_again(
    person: Person, bucket: Bucket, hour: ClockServer, machine_left: bool
) -> None:
    """Controller killed after shipping: result, manifest and receipt reach the store, and the machine leaves.

    Whoever comes back, even when the machine is gone with its disk, verifies and reports without computing.
    """
    bucket.lay("in/x.bin", _CONTENT)
    with passing(hour, SLOWLY_S):
        command = person.types(*_words(bucket, rate=100))  # 200 seconds of work
        eventually("the job runs", person.drafts)
    person.kills(command)

    with passing(hour, FAST_S):
        eventually("the agent left by itself", lambda: not person.agents())

    (result,) = bucket.results()
    assert bucket.read(result) == _CONTENT
    (receipt,) = bucket.receipts()
    assert bucket.read(f"{result}.manifest.json")
    assert bucket.markers() == [], "only a proof writes the marker"
    if not machine_left:
        (label,) = (person.home / "state" / "local-cloud").iterdir()
        shutil.rmtree(label)

    bucket.proxy.forget()
    with passing(hour, SLOWLY_S):
        ended = person.runs("resume")

    assert ended.code == 0, ended.text
    (job,) = person.jobs()
    assert (job.state, job.attempt, job.receipt) == (JobState.PUBLISHED, 1, receipt)
    assert bucket.results() == [result]
    assert len(bucket.markers()) == 1
    assert bucket.proxy.count(operation="UploadPart") == 0, "nothing was delivered twice"
    assert [lease.state for lease in person.leases()] == [LeaseState.GONE]


@pytest.mark.slow
def test_a_store_that_is_down_for_ten_minutes_costs_ten_minutes(
    person: Person, bucket: Bucket, hour: ClockServer
) -> None:
    """In the middle of the delivery nothing answers; laptop and machine wait, and go on where they were."""
    bucket.lay("in/x.bin", _CONTENT)
    with passing(hour, SLOWLY_S):
        command = person.types(*_words(bucket, rate=1000))
        eventually("the job runs", person.drafts)
        bucket.proxy.down()
        began = hour.hour.told()["now"]
    with passing(hour, FAST_S):
        eventually("ten minutes passed", lambda: hour.hour.told()["now"] - began > 600)
    bucket.proxy.up()
    with passing(hour, FAST_S):
        ended = person.ends(command)

    assert ended.code == 0, ended.text
    (result,) = bucket.results()
    assert bucket.read(result) == _CONTENT
    (job,) = person.jobs()
    assert (job.state, job.attempt) == (JobState.PUBLISHED, 1)


def test_a_laptop_whose_clock_is_months_ahead_works(person: Person, bucket: Bucket, hour: ClockServer) -> None:
    """What is signed is signed by the store's clock, for the laptop and for the machine."""
    bucket.lay("in/x.bin", _CONTENT)
    bucket.proxy.fault("future")
    bucket.proxy.fault("expired")

    with passing(hour, SLOWLY_S):
        ended = person.runs(*_words(bucket))

    assert ended.code == 0, ended.text
    (result,) = bucket.results()
    assert bucket.read(result) == _CONTENT


@pytest.mark.slow
def test_an_input_that_is_replaced_while_it_waits_is_not_worked_on(person: Person, bucket: Bucket) -> None:
    """The machine notices by the store's own tag; the job fails with a sentence, and the next run plans it anew."""
    bucket.lay("in/1.bin", _CONTENT * 10)
    bucket.lay("in/2.bin", b"old" * 1000)
    held = bucket.proxy.fault("stall", operation="GetObject", key="in/2.bin", seconds=100, presigned=True)
    assert held is not None
    command = person.types(*_words(bucket, rate=400_000))
    assert held.struck.wait(60)
    bucket.lay("in/2.bin", b"new" * 1000)
    held.release()

    ended = person.ends(command)
    again = person.runs(*_words(bucket, rate=400_000))

    assert ended.code == 1, ended.text
    assert "2.bin was replaced since it was planned" in ended.text
    assert again.code == 0, again.text
    assert sorted(map(bucket.read, bucket.results())) == sorted([_CONTENT * 10, b"new" * 1000])


@pytest.mark.slow
def test_an_agent_killed_in_the_middle_of_its_delivery_goes_on(person: Person, bucket: Bucket) -> None:
    """SIGKILL while a part is on its way: the next agent on that disk delivers, and nothing is computed again."""
    bucket.lay("in/x.bin", _CONTENT * 100)
    held = bucket.proxy.fault("stall", operation="UploadPart", bytes=300_000, seconds=100)
    assert held is not None
    command = person.types(*_words(bucket))
    assert held.struck.wait(60)
    for process in person.agents():
        process.kill()
    held.release()

    ended = person.ends(command)

    assert ended.code == 0, ended.text
    (result,) = bucket.results()
    assert bucket.read(result) == _CONTENT * 100
    (job,) = person.jobs()
    assert (job.state, job.attempt) == (JobState.PUBLISHED, 1)
    assert bucket.unfinished() == []
