"""The shelf lists what its plan makes up as a real store would; judged by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulators.s3_population import Formula
from tests.emulators.s3_shelf import S3Shelf
from tests.emulators.test_programs import program
from tests.rclone import s3_client

CLIPS = {"pattern": "in/{folder:03d}/clip №{i:06d}.mp4", "count": 2500}
MILLION = {"buckets": {"clips": [{"pattern": "in/{i:07d}.mp4", "count": 1_000_000}]}}


def listed(shelf: S3Shelf, **words: Any) -> Iterator[dict[str, Any]]:
    """List all pages with boto3."""
    client = s3_client(shelf.endpoint, "anyone", "anything")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="clips", **words):
        yield dict(page)
    client.close()


def keys(pages: Iterator[dict[str, Any]]) -> list[str]:
    return [thing["Key"] for page in pages for thing in page.get("Contents", [])]


def test_every_key_comes_once_and_in_byte_order() -> None:
    """Three pages bring 2,500 keys with their sizes, etags and hours, Cyrillic and spaces unharmed."""
    with S3Shelf({"buckets": {"clips": [CLIPS]}}) as shelf:
        pages = list(listed(shelf))
        asked = shelf.counts()

    things = [thing for page in pages for thing in page["Contents"]]
    clips = Formula(**CLIPS)  # type: ignore[arg-type]
    assert [thing["Key"] for thing in things] == [clips.key(number) for number in range(2500)]
    assert things[1234]["ETag"] == f'"{clips.etag(1234)}"'
    assert (things[1234]["Size"], things[1234]["LastModified"].timestamp()) == clips.thing(1234)[1::2]
    assert asked == {"ListObjectsV2": 3}


def test_rows_are_merged_where_one_lies_inside_another() -> None:
    """Outputs below the inputs' prefix come between them, as bytes sort, and a prefix leaves the others out."""
    marks = {"marks": "in/000/out/.framehaul/done/", "of": 0, "step": 2, "digest": "d" * 64}
    with S3Shelf({"buckets": {"clips": [{**CLIPS, "count": 20}, marks]}}) as shelf:
        everything = keys(listed(shelf, PaginationConfig={"PageSize": 7}))
        below = keys(listed(shelf, Prefix="in/000/out/"))
        after = keys(listed(shelf, StartAfter=everything[3]))

    assert len(everything) == 30
    assert everything == sorted(everything, key=str.encode)
    assert below == [key for key in everything if "out" in key]
    assert after == everything[4:]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_folders_are_folded(size: int) -> None:
    """With a delimiter each folder comes once, whatever the pages' size, beside the objects that lie in none."""
    folders = {"pattern": "in/{folder:03d}/clip {i:06d}.mp4", "count": 2500}
    lone = {"pattern": "in/{i:03d}", "count": 2}
    with S3Shelf({"buckets": {"clips": [folders, lone]}}) as shelf:
        pages = list(listed(shelf, Prefix="in/", Delimiter="/", PaginationConfig={"PageSize": size}))

    found = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
    assert found == ["in/000/", "in/001/", "in/002/"]
    assert keys(iter(pages)) == ["in/000", "in/001"]


def test_a_file_of_keys_will_do(tmp_path: Path) -> None:
    """Keys come sorted, with what was said of them."""
    (tmp_path / "keys").write_text('b\t5\tabc\t86400\na\nc "&<\t6\tabd\t86400\n')
    with S3Shelf({"buckets": {"clips": [{"keys_file": str(tmp_path / "keys")}]}}) as shelf:
        (page,) = listed(shelf)

    told = [(thing["Key"], thing["Size"], thing["LastModified"].timestamp()) for thing in page["Contents"]]
    assert told[1:] == [("b", 5, 86400), ('c "&<', 6, 86400)]
    assert told[0][:2] == ("a", 0)


def test_it_describes_and_refuses_and_counts() -> None:
    """HEAD tells of an object and a bucket; a GET or PUT is refused and seen in the counts."""
    clips = Formula(**CLIPS)  # type: ignore[arg-type]
    with S3Shelf({"buckets": {"clips": [CLIPS]}}) as shelf:
        client = s3_client(shelf.endpoint, "anyone", "anything")
        head = client.head_object(Bucket="clips", Key=clips.key(7))
        client.head_bucket(Bucket="clips")
        uploads = client.list_multipart_uploads(Bucket="clips")
        for call in (client.get_object, client.put_object):
            with pytest.raises(ClientError, match="NotImplemented"):
                call(Bucket="clips", Key=clips.key(7))
        for bucket, key in (("clips", "nothing"), ("nowhere", clips.key(7))):
            with pytest.raises(ClientError, match="404"):
                client.head_object(Bucket=bucket, Key=key)
        client.close()

    assert (head["ContentLength"], head["ETag"]) == (clips.thing(7).size, f'"{clips.etag(7)}"')
    assert "Uploads" not in uploads
    assert shelf.counts() == {
        **{"HeadObject": 3, "HeadBucket": 1, "ListMultipartUploads": 1},
        **{"GetObject": 1, "PutObject": 1},
    }


def test_the_program_finds_its_place_among_a_million(tmp_path: Path) -> None:
    """A page in the middle of a million keys is found without walking to it."""
    (tmp_path / "plan").write_text(json.dumps(MILLION))
    with program("tests.emulators.s3_shelf", "--plan", str(tmp_path / "plan")) as http:
        client = s3_client(str(http.base_url), "anyone", "anything")
        page = client.list_objects_v2(Bucket="clips", StartAfter="in/0500000.mp4")
        client.close()
        counts = http.get("/_control/counts").json()
        http.post("/_control/forget").raise_for_status()
        assert http.get("/_control/counts").json() == {}

    assert [page["Contents"][place]["Key"] for place in (0, 999)] == ["in/0500001.mp4", "in/0501000.mp4"]
    assert page["IsTruncated"] is True
    assert counts == {"ListObjectsV2": 1}
