"""From bucket to bucket: the machine fetches and delivers by itself, and one listing tells what is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.demo import SAMPLE
from framehaul.contract.manifest import Manifest
from tests.journeys.bucket import OBJECT_READS, Bucket, serving
from tests.journeys.person import Person
from tests.media.judge import Judge, sound_packets

_ENHANCE = ("--pipeline", "enhance", "--mode", "upscale", "--end", "0.5")


@pytest.fixture
def bucket(person: Person, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket, and a laptop that knows its key."""
    with serving(tmp_path / "store") as bucket:
        person.environment.update(bucket.environment)
        yield bucket


def _enhances(person: Person, bucket: Bucket, *more: str) -> str:
    ended = person.runs("run", bucket.address("in/"), "--to", bucket.address("out/"), *_ENHANCE, *more)
    assert ended.code == 0, ended.text
    assert person.agents() == [], "nothing is left running"
    assert bucket.unfinished() == [], "no upload is left that somebody pays for"
    return ended.text


@pytest.mark.slow
def test_a_batch_from_bucket_to_bucket_is_done_once_and_again_only_where_something_changed(
    person: Person, bucket: Bucket, judge: Judge, tmp_path: Path
) -> None:
    """First run, second run, changed parameters, replaced input: each does just what is new, decided by names alone."""
    original = SAMPLE.read_bytes()
    bucket.lay("in/trip/clip.mp4", original)

    told = _enhances(person, bucket)
    (result,) = bucket.results()
    assert "1 of 1 result verified against the store" in told
    assert result.startswith("out/trip/clip_upscaled_")
    (receipt,) = bucket.receipts()
    manifest = Manifest.model_validate_json(bucket.read(f"{result}.manifest.json"))
    assert manifest.outputs[0].sha256 == receipt.outputs[0].sha256
    assert len(bucket.markers()) == 1
    assert not bucket.proxy.log(operation="GetObject", key="in/trip", presigned=False, status=200), "only ranges"
    _is_enlarged(judge, bucket.folder / result, tmp_path)

    bucket.proxy.forget()
    assert "Nothing is left to do." in _enhances(person, bucket)
    assert bucket.proxy.count(operation=OBJECT_READS, key="in/") == 0, "decided without opening any object"

    _enhances(person, bucket, "--param", "crf=30")
    assert len(bucket.results()) == len(bucket.markers()) == 2

    bucket.lay("in/trip/clip.mp4", _another(original))
    told = _enhances(person, bucket)
    assert len(bucket.results()) == len(bucket.markers()) == 3
    assert bucket.read(result), "what was made before is still there"
    results = json.loads(bucket.read("out/results.json"))
    assert "X-Amz-Signature" not in json.dumps(results), "an address that opens the result is for the laptop alone"
    assert "X-Amz-Signature" in told or "http" in told


def _another(video: bytes) -> bytes:
    """Give the same film as other bytes: a free box at the end."""
    return video + (16).to_bytes(4, "big") + b"free" + b"\0" * 8


def _is_enlarged(judge: Judge, result: Path, tmp_path: Path) -> None:
    before, after = judge.video(SAMPLE), judge.video(result)
    assert (after["width"], after["height"]) == (2 * before["width"], 2 * before["height"])
    times = judge.picture_times(result)
    assert times == judge.picture_times(SAMPLE)[: len(times)]
    assert len(times) > 5
    assert sound_packets(result)


def test_results_inside_of_the_input_prefix_are_no_inputs(person: Person, bucket: Bucket) -> None:
    """The output prefix lies inside the input's; the second run finds one input, and it is done."""
    bucket.lay("a.bin", b"a" * 5000)
    words = ("run", bucket.address(""), "--pipeline", "copy", "--to", bucket.address("done/"))

    first, second = person.runs(*words), person.runs(*words)

    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert "Nothing is left to do." in second.text
    assert len(bucket.results("done/")) == 1


@pytest.mark.parametrize("name", ["with space.bin", 'it\'s "so".bin', "Кошка на крыше.bin", "n" * 200 + ".bin"])
def test_odd_keys_make_the_whole_way(person: Person, bucket: Bucket, name: str) -> None:
    """Spaces, quotes, Cyrillic, long names: fetched, delivered and found under the same name."""
    bucket.lay(f"in/{name}", name.encode())

    ended = person.runs("run", bucket.address("in/"), "--pipeline", "copy", "--to", bucket.address("out/"))

    assert ended.code == 0, ended.text
    (result,) = bucket.results()
    assert bucket.read(result) == name.encode()
    assert Path(result).name.startswith(name.removesuffix(".bin")[:150])


def test_a_file_of_this_disk_goes_to_a_bucket_and_comes_home_by_pull(
    person: Person, bucket: Bucket, tmp_path: Path
) -> None:
    """Mixed ends: the input is sent by the laptop, the machine delivers to the store, `pull` brings it back proven."""
    source = tmp_path / "mine" / "a.bin"
    source.parent.mkdir()
    source.write_bytes(b"mine" * 5000)

    ended = person.runs("run", str(source), "--pipeline", "copy", "--to", bucket.address("out/"))
    pulled = person.runs("pull", "--into", "home")
    again = person.runs("pull", bucket.address("out/"), "--into", "home")

    assert ended.code == pulled.code == again.code == 0, ended.text + pulled.text + again.text
    (home,) = (path for path in (person.home / "home").rglob("a_result_*.bin"))
    assert home.read_bytes() == source.read_bytes()


def test_a_bucket_s_file_comes_home_to_this_disk(person: Person, bucket: Bucket) -> None:
    """The reverse: the machine fetches by itself, the laptop brings the result home."""
    bucket.lay("in/a.bin", b"b" * 5000)

    ended = person.runs("run", bucket.address("in/a.bin"), "--pipeline", "copy", "--to", str(person.out))

    assert ended.code == 0, ended.text
    (result,) = person.out.glob("a_result_*.bin")
    assert result.read_bytes() == b"b" * 5000
