"""Sweeping: uploads that nobody will complete are ended; what may still be written to is never touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.desk import Desk
from controller.errors import ConfigError
from controller.ledger import OpenUpload
from controller.sweeping import Swept, places_of, sweep
from framehaul.contract.states import JobState
from framehaul.contract.uris import parse_uri
from framehaul.errors import NoSuchBucket
from tests.controller.buckets import Bucket, BucketStores
from tests.controller.desks import HOUR, a_batch, a_job_row
from tests.controller.hours import Hours

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Yardman:
    """Somebody who sweeps a bucket in which a job's results go to b2://clips/out/."""

    def __init__(self, desk: Desk, clock: Hours) -> None:
        self.clock = clock
        self.stores = BucketStores(clock)
        self.desk = replace(desk, stores=self.stores)

    @property
    def bucket(self) -> Bucket:
        """Give the bucket."""
        return self.stores.bucket("clips")

    def job(self, state: JobState = JobState.ASSIGNED, attempt: int = 1, **changes: Any) -> str:
        """Have a job in a state."""
        row = a_job_row(state=state, attempt=attempt, **changes)
        self.desk.ledger.add_batch(a_batch(target="b2://clips/out/"), [row])
        return str(row["id"])

    def begin(self, key: str, job_id: str = "", attempt: int = 1) -> str:
        """Begin an upload; with a job, it is in the ledger."""
        uri = parse_uri(f"b2://clips/{key}")
        upload_id = self.bucket.begin_upload(uri)
        if job_id:
            row = OpenUpload(upload_id, job_id, attempt, "result", str(uri), self.clock.now())
            self.desk.ledger.note_upload(row)
        return upload_id

    def sweep(self, *addresses: str, older_than_s: float = DAY_S, dry_run: bool = False) -> Swept:
        """Sweep, where results go to a folder by the settings."""
        places = places_of(self.desk.ledger, parse_uri("file:///out"), addresses)
        return sweep(self.desk, places, older_than_s, dry_run=dry_run)


@pytest.fixture
def yardman(desk: Desk, clock: Hours) -> Yardman:
    """Somebody with an empty ledger and an empty bucket."""
    return Yardman(desk, clock)


@pytest.mark.parametrize("state", [JobState.PLANNED, JobState.PUBLISHED, JobState.EXCLUDED])
def test_an_upload_of_a_job_that_is_over_is_ended_at_once(yardman: Yardman, state: JobState) -> None:
    """However young: the ledger knows that nobody writes to it."""
    upload_id = yardman.begin("out/a.mp4", yardman.job(state))

    swept = yardman.sweep()

    assert [found.upload.upload_id for found in swept.ended] == [upload_id]
    assert (yardman.bucket.begun, yardman.desk.ledger.open_uploads(), swept.troubles) == ({}, [], [])


@pytest.mark.parametrize("state", [JobState.ASSIGNED, JobState.DELIVERED, JobState.VERIFIED])
def test_an_upload_of_a_running_attempt_is_never_touched(yardman: Yardman, state: JobState) -> None:
    """However old: the agent may be about to complete it."""
    upload_id = yardman.begin("out/a.mp4", yardman.job(state))
    yardman.clock.advance(30 * DAY_S)

    swept = yardman.sweep("b2://clips/", older_than_s=0.0)

    assert (swept.ended, swept.kept_running) == ([], 1)
    assert list(yardman.bucket.begun) == [upload_id]


def test_an_upload_of_an_earlier_attempt_is_ended_while_the_next_one_runs(yardman: Yardman) -> None:
    """It could not be aborted when it should have been."""
    job_id = yardman.job(attempt=2)
    earlier, running = yardman.begin("out/a.mp4", job_id, 1), yardman.begin("out/a.mp4", job_id, 2)

    swept = yardman.sweep()

    assert [found.upload.upload_id for found in swept.ended] == [earlier]
    assert list(yardman.bucket.begun) == [running]


@pytest.mark.parametrize(("age_s", "ended"), [(23 * HOUR_S, 0), (25 * HOUR_S, 1)])
def test_an_upload_that_nobody_here_knows_is_ended_once_it_is_old(yardman: Yardman, age_s: float, ended: int) -> None:
    """It may be another laptop's, at work now; a controller that died before it wrote it down leaves one, too."""
    yardman.job(JobState.PUBLISHED)
    yardman.begin("out/b.mp4")
    yardman.clock.advance(age_s)

    swept = yardman.sweep()

    assert (len(swept.ended), swept.kept_young) == (ended, 1 - ended)
    assert len(yardman.bucket.begun) == 1 - ended


def test_a_minute_is_the_least_age(yardman: Yardman) -> None:
    """An upload is begun a moment before it is in the ledger of whoever is at work."""
    yardman.begin("out/b.mp4")
    yardman.clock.advance(30.0)

    assert yardman.sweep("b2://clips/out/", older_than_s=0.0).kept_young == 1
    yardman.clock.advance(60.0)
    assert len(yardman.sweep("b2://clips/out/", older_than_s=0.0).ended) == 1


def test_only_what_lies_below_known_places_is_looked_at(yardman: Yardman) -> None:
    """Somebody else's uploads in the same bucket are none of our business, unless their place is named."""
    yardman.job(JobState.PUBLISHED)
    yardman.begin("backups/disk.img")
    yardman.clock.advance(30 * DAY_S)

    assert yardman.sweep().ended == []
    assert len(yardman.sweep("b2://clips/backups/").ended) == 1


def test_a_rehearsal_ends_nothing(yardman: Yardman) -> None:
    """It names what would be ended."""
    yardman.begin("out/a.mp4", yardman.job(JobState.EXCLUDED))
    yardman.begin("out/b.mp4")
    yardman.clock.advance(2 * DAY_S)

    swept = yardman.sweep(dry_run=True)

    assert len(swept.ended) == len(yardman.bucket.begun) == 2
    assert len(yardman.desk.ledger.open_uploads()) == 1
    assert yardman.bucket.count("abort") == 0


def test_each_is_told_with_its_age_and_its_job(yardman: Yardman) -> None:
    """Once, though both lists hold it."""
    job_id = yardman.job(JobState.EXCLUDED)
    yardman.begin("out/a.mp4", job_id)
    yardman.clock.advance(2 * DAY_S)

    (found,) = yardman.sweep("b2://clips/").ended

    assert (found.job_id, found.age_s(HOUR + 2 * DAY_S)) == (job_id, 2 * DAY_S)


def test_what_cannot_be_ended_is_named_and_stays_in_the_ledger(yardman: Yardman) -> None:
    """The next sweep tries again."""
    upload_id = yardman.begin("out/a.mp4", yardman.job(JobState.EXCLUDED))
    yardman.bucket.fault("abort_fails")

    swept = yardman.sweep()

    assert (swept.ended, swept.unpaid) == ([], [upload_id])
    assert upload_id in swept.troubles[0]
    assert len(yardman.desk.ledger.open_uploads()) == 1
    yardman.bucket.mend()
    assert len(yardman.sweep().ended) == 1


def test_a_place_that_cannot_be_looked_at_is_named_and_the_rest_is_swept(yardman: Yardman) -> None:
    """A bucket that is down keeps no other from being clean."""
    yardman.stores.bucket("down").fault("down")
    yardman.begin("out/b.mp4")
    yardman.clock.advance(2 * DAY_S)

    swept = yardman.sweep("b2://down/", "b2://clips/")

    assert len(swept.ended) == 1
    assert "b2://down/" in swept.troubles[0]


def test_an_upload_whose_bucket_is_not_found_stays_in_the_ledger(yardman: Yardman) -> None:
    """The endpoint may be another one than before, and the parts lie and are billed where the bucket is."""
    yardman.begin("out/a.mp4", yardman.job(JobState.EXCLUDED))

    def gone(*_: object) -> None:
        raise NoSuchBucket("There is no bucket clips.")

    yardman.bucket.when_asked = gone

    swept = yardman.sweep()

    assert swept.troubles == ["b2://clips/out/a.mp4: upload u1 stays: There is no bucket clips."]
    assert (swept.unpaid, len(yardman.desk.ledger.open_uploads())) == (["u1"], 1)


def test_a_bucket_that_was_named_and_is_not_there_is_a_mistake(yardman: Yardman) -> None:
    """A misspelt one is not clean."""

    def gone(*_: object) -> None:
        raise NoSuchBucket("There is no bucket clibs.", advice="Check its name.")

    yardman.stores.bucket("clibs").when_asked = gone

    with pytest.raises(ConfigError, match=r"There is no bucket clibs\. Check its name"):
        yardman.sweep("b2://clibs/")


def test_a_trial_that_could_not_be_ended_is_swept_though_it_is_young(yardman: Yardman) -> None:
    """Nobody writes to it; the plan that left it said that this command ends it."""
    yardman.begin("out/.framehaul/writable")
    yardman.begin("out/a.mp4")
    yardman.clock.advance(120.0)

    swept = yardman.sweep("b2://clips/")

    assert [found.upload.uri.name for found in swept.ended] == ["writable"]
    assert swept.kept_young == 1


def test_a_place_without_uploads_can_only_be_meant_by_mistake(yardman: Yardman) -> None:
    """The folder of the settings is passed over; one that was named is refused before anything is ended."""
    yardman.begin("out/a.mp4", yardman.job(JobState.EXCLUDED))

    with pytest.raises(ConfigError, match="holds no uploads"):
        yardman.sweep("file:///tmp/")

    assert len(yardman.bucket.begun) == 1
