"""Addresses to fetch results by: for whoever asked, with their end, and in no file."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.desk import Desk
from controller.downloads import with_downloads
from controller.report import results_of, write_results
from controller.terminal.tables import show_report
from framehaul.errors import BadAccount
from tests.controller.buckets import BucketStores
from tests.controller.desks import HOUR
from tests.controller.endings import failed, kept, published

WEEK = "2027-01-22T08:00:00Z"


@pytest.fixture
def far(desk: Desk) -> Desk:
    """A desk whose results go to a bucket."""
    return replace(desk, stores=BucketStores(desk.clock))


def told(desk: Desk, count: int = 1, place: str = "b2://clips/out") -> dict[str, Any]:
    """Report on so many jobs that are done, and one that failed."""
    rows = []
    for number in range(1, count + 1):
        uris = {slot: f"{place}/clip{number}.mp4.{slot}" for slot in ("result", "manifest")}
        rows.append(published(number, figures={"seconds": 4.0, "uris": uris}))
    batch = kept(desk, *rows, failed(count + 1), target=f"{place}/")
    return with_downloads(desk, results_of(desk.ledger, batch, HOUR))


def shown(results: dict[str, Any]) -> str:
    """Print the report for a person."""
    console = Console(file=io.StringIO(), width=200)
    show_report(console, results, "b2://clips/out/results.json", others_at_work=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_output_of_a_published_job_has_an_address_and_its_end(far: Desk) -> None:
    """For a week, which is as long as any store signs; a job that failed has none."""
    done, excluded = json.loads(json.dumps(told(far)))["jobs"]

    assert [output["slot"] for output in done["outputs"]] == ["result", "manifest"]
    for output in done["outputs"]:
        assert output["download_url"].startswith(f"mem://clips/out/clip1.mp4.{output['slot']}?until=")
        assert output["download_url_expires_at"] == WEEK
    assert "download_url" not in json.dumps(excluded)


def test_the_report_beside_the_outputs_holds_no_such_address(far: Desk) -> None:
    """Neither there nor in the state folder: whoever holds one reads the object without an account."""
    told(far)
    (batch,) = far.ledger.batches()
    results = results_of(far.ledger, batch, HOUR)

    where = write_results(far, batch, results)

    assert where == "b2://clips/out/results.json"
    stores = far.stores
    assert isinstance(stores, BucketStores)
    for raw in (stores.bucket("clips").objects["out/results.json"], far.state.results(batch.id).read_bytes()):
        assert b"mem://" not in raw
        assert b"download_url" not in raw


def test_a_person_sees_one_line_a_result_while_they_are_few(far: Desk) -> None:
    """The result's, not the manifest's."""
    text = shown(told(far, 2))

    assert f"Fetch clip1.mp4.result until {WEEK}: mem://clips/out/clip1.mp4.result?until=" in text
    assert text.count("mem://") == 2


def test_a_person_with_many_results_is_told_where_the_addresses_are(far: Desk) -> None:
    """Six lines of signatures would bury the report."""
    text = shown(told(far, 6))

    assert "mem://" not in text
    assert f"Addresses to fetch the results by, good until {WEEK}: with --json." in text


def test_results_in_a_folder_have_a_path_and_no_address(desk: Desk, tmp_path: Path) -> None:
    """Nobody else could read there anyway."""
    results = told(desk, place=f"file://{tmp_path}/out")

    assert "download_url" not in json.dumps(results)
    assert "Fetch" not in shown(results)


def test_a_report_is_told_though_no_address_can_be_signed(far: Desk) -> None:
    """The key is gone from the environment; the results are where they are."""
    stores = far.stores
    assert isinstance(stores, BucketStores)
    stores.locked = BadAccount("No key.")

    assert "download_url" not in json.dumps(told(far))
