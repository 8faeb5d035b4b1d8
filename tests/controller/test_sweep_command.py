"""The command `sweep`, typed: what it says, to a person and to a machine, and how it ends, at a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from framehaul.clock import CLOCK_URL
from tests.controller.typist import Printed, Typist
from tests.emulators.clock import ClockServer
from tests.emulators.s3_faults import S3Faults
from tests.rclone import KEY_ID, SECRET, Rclone


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rclone]:
    """An S3 server with the bucket `clips`, whose key is in the environment."""
    with Rclone(tmp_path / "store") as running:
        running.bucket("clips")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.endpoint)
        yield running


def begin(server: Rclone, key: str) -> str:
    """Begin an upload that nobody completes."""
    return server.client().create_multipart_upload(Bucket="clips", Key=key)["UploadId"]


def open_uploads(server: Rclone) -> int:
    """Count what is unfinished in the bucket."""
    return len(server.client().list_multipart_uploads(Bucket="clips").get("Uploads", ()))


def swept(typist: Typist, *words: str) -> Printed:
    """Type the command."""
    return typist.types("sweep", *words)


def test_uploads_of_somebody_who_may_be_at_work_are_let_be(typist: Typist, server: Rclone) -> None:
    """They are young; the sentence says so, in a bucket that was named."""
    begin(server, "out/a.mp4")

    printed = swept(typist, "s3://clips/")

    assert printed.code == 0
    assert (
        "Ended 0 unfinished uploads; 1 upload younger than 7d (a minute at least) let be: other laptops may be"
        in printed.out
    )
    assert open_uploads(server) == 1


def test_leftovers_that_are_old_are_named_and_ended(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First rehearsed, which changes nothing; then done, eight days later by the store's own clock."""
    with Rclone(tmp_path / "store", keys=None) as server, S3Faults(server.endpoint, keys={KEY_ID: SECRET}) as later:
        server.bucket("clips")
        upload_id = begin(server, "out/a.mp4")
        later.offset_s = 8.1 * 86400.0
        for name, value in (("ACCESS_KEY_ID", KEY_ID), ("SECRET_ACCESS_KEY", SECRET), ("REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", later.endpoint)
        rehearsed = swept(typist, "s3://clips/out/", "--dry-run")
        done = swept(typist, "s3://clips/out/", "--json")
        left = open_uploads(server)

    assert f"Would end s3://clips/out/a.mp4 (upload {upload_id}, begun 8 days ago" in rehearsed.out
    (found,) = done.document["ended"]
    assert (found["uri"], found["upload"], found["dollars"]) == ("s3://clips/out/a.mp4", upload_id, None)
    assert (done.code, done.document["may_be_billed"], left) == (0, [], 0)


def test_a_laptop_whose_clock_is_ahead_ends_nobody_s_upload(
    typist: Typist, server: Rclone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How old an upload is, the store says: a month of the laptop's own makes none of them old."""
    begin(server, "out/a.mp4")

    with ClockServer(time.time() + 30 * 86400.0) as hour:
        monkeypatch.setenv(CLOCK_URL, hour.url)
        printed = swept(typist, "s3://clips/out/")

    assert (printed.code, open_uploads(server)) == (0, 1)
    assert "Ended 0 unfinished uploads" in printed.out


def test_a_store_that_does_not_answer_is_a_failure_that_is_named(typist: Typist, server: Rclone) -> None:
    """Exit code 1: something may be left there."""
    server.stop()

    printed = swept(typist, "s3://clips/out/")

    assert printed.code == 1
    assert "s3://clips/out/ could not be looked through" in printed.out


@pytest.mark.parametrize("age", ["soon", "2999-01-01", ""])
def test_an_age_that_is_none_is_refused(typist: Typist, age: str) -> None:
    """Before anything is looked at."""
    printed = swept(typist, "--older-than", age)

    assert printed.code == 2
    assert "--older-than" in printed.err
