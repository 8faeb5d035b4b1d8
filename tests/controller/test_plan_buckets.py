"""A plan over buckets, against real servers: what is done is told from listings alone, and no name can do harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.desk import Desk
from controller.planning import Plan, make_plan
from controller.remote_index import RemoteIndex
from controller.settings import Settings
from framehaul.clock import SystemClock
from framehaul.contract.naming import done_marker
from framehaul.storage.accounts import Account
from framehaul.storage.base import Stores
from tests.controller.desks import HOUR
from tests.controller.folders import names, outputs
from tests.emulators.s3_faults import S3Faults
from tests.emulators.s3_shelf import S3Shelf
from tests.rclone import Rclone

SAMPLE = Path(__file__).parents[2] / "samples" / "clip.mp4"


class Counter:
    """Plans over a bucket of a real server, and the requests that each took."""

    def __init__(self, desk: Desk, folder: Path, proxy: S3Faults, keys: tuple[str, str], index: Path) -> None:
        self.desk, self.folder, self.proxy, self.index = desk, folder, proxy, RemoteIndex(index)
        account = Account(SecretStr(keys[0]), SecretStr(keys[1]), None, proxy.endpoint, "us-east-1", path_style=True)
        self.stores = Stores({"s3": account}, SystemClock())

    def write(self, name: str, content: bytes) -> None:
        """Put an object there, behind the proxy's back."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def plan(self, **more: Any) -> Plan:
        """Plan, counted from nothing."""
        self.proxy.forget()
        said = {
            "inputs": ("s3://clips/in/",),
            "to": "s3://clips/out/",
            "pipeline": "copy",
            "refresh_remote_index": True,
        }
        return make_plan(Settings(**(said | more)), self.desk.ledger, self.stores, HOUR, index=self.index)

    def finish(self, plan: Plan) -> None:
        """Leave the markers that a run leaves."""
        for job in plan.jobs:
            self.write("out/" + done_marker(job.source.fingerprint, plan.params_digest), b"{}")

    def asked(self) -> set[str]:
        """Name the kinds of requests that the last plan took."""
        return {entry["operation"] for entry in self.proxy.log()}


@pytest.fixture
def counter(desk: Desk, tmp_path: Path) -> Iterator[Counter]:
    """`rclone serve s3` with a bucket, and a proxy before it that counts."""
    with Rclone(tmp_path / "store") as server, S3Faults(server.endpoint) as proxy:
        keys = (server.key_id, server.secret)
        made = Counter(desk, server.bucket("clips"), proxy, keys, tmp_path / "index.sqlite")
        yield made
        made.stores.close()


LISTED = {"ListObjectsV2"}


def test_what_is_done_is_told_without_opening_an_object(counter: Counter) -> None:
    """Two inputs with one stem, changed parameters, a replaced input: each right, and only listings were asked for."""
    counter.write("in/clip.mp4", b"one")
    counter.write("in/clip.mkv", b"another")

    first = counter.plan()
    assert (names(first), counter.asked()) == (["clip.mkv", "clip.mp4"], LISTED)
    assert len(set(outputs(first))) == 2
    counter.finish(first)

    assert (names(counter.plan()), counter.asked()) == ([], LISTED)
    assert (names(counter.plan(params={"rate_bytes_s": 5})), counter.asked()) == (["clip.mkv", "clip.mp4"], LISTED)

    counter.write("in/clip.mp4", b"two")
    replaced = counter.plan()
    assert (names(replaced), len(replaced.done), counter.asked()) == (["clip.mp4"], 1, LISTED)


def test_videos_that_are_done_are_not_looked_into(counter: Counter) -> None:
    """Headers are read of what is to be done alone."""
    counter.write("in/clip.mp4", SAMPLE.read_bytes())
    videos = {"pipeline": "enhance", "params": {"scale": 2}}

    first = counter.plan(**videos)
    assert first.jobs[0].media is not None
    assert "GetObject" in counter.asked()
    counter.finish(first)

    assert (names(counter.plan(**videos)), counter.asked()) == ([], LISTED)
    assert (len(counter.plan(**videos, probe_files=0, redo=True).jobs), counter.asked()) == (1, LISTED)


@pytest.mark.parametrize(
    ("inputs", "to"),
    [("s3://clips/", "s3://clips/out/"), ("s3://clips/", "s3://clips/"), ("s3://clips/in/", "s3://clips/")],
    ids=["output in input", "output is input", "input in output"],
)
def test_no_result_is_an_input_again(counter: Counter, inputs: str, to: str) -> None:
    """Wherever the one prefix lies in the other."""
    for name in ("in/a.mp4", "in/sub/b.mp4"):
        counter.write(name, name.encode())
    plan = counter.plan(inputs=(inputs,), to=to)
    wanted = names(plan)
    folder = to.removeprefix("s3://clips/")
    for job in plan.jobs:
        result = f"{folder}{job.source.folder}{job.outputs[0].name}"
        counter.write(result, b"result of " + job.source.name.encode())
        counter.write(f"{result}.manifest.json", b"{}")
        counter.write(folder + done_marker(job.source.fingerprint, plan.params_digest), b"{}")
    counter.write(f"{folder}results.json", b"{}")

    again = counter.plan(inputs=(inputs,), to=to)

    assert sorted(Path(name).name for name in wanted) == ["a.mp4", "b.mp4"]
    assert (names(again), len(again.done), counter.asked()) == ([], 2, LISTED)


LONG = "/".join(f"{number:02}" + "x" * 200 for number in range(4))  # 811 bytes
ODD = {
    "in/with space.mp4": "",
    'in/quote\'s "double".mp4': "",
    "in/Кошка на крыше.mp4": "",
    "in/100%+&=?#.mp4": "",
    "in/[brackets]*.mp4": "",
    f"in/{LONG}/clip.mp4": "",
    f"in/{LONG}/{'y' * (1024 - len(LONG) - 8)}.mp4": "the store takes 1024",  # a key of 1,024 bytes
    f"in/{'z' * 300}.mp4": "255 bytes",
    "in/../b.mp4": "'..'",
    "in/a/../../c.mp4": "'..'",
    "in/./d.mp4": "'.'",
    "in/two//slashes.mp4": "two slashes",
    "in/back\\slash.mp4": "not a plain file name",
    "in/new\nline.mp4": "control characters",
}


def test_a_key_is_worked_on_or_refused_by_one_line(desk: Desk, tmp_path: Path) -> None:
    """Spaces, quotes, Cyrillic, 1,024 bytes, and what would lead out of the results' folder; the rest goes on."""
    listed = [key for key in ODD if "\n" not in key]  # a file of keys has one a line
    (tmp_path / "keys").write_text("".join(f"{key}\t9\t{'e' * 31}{number:x}\t0\n" for number, key in enumerate(listed)))
    with S3Shelf({"buckets": {"clips": [{"keys_file": str(tmp_path / "keys")}]}}) as shelf:
        account = Account(SecretStr("k"), SecretStr("s"), None, shelf.endpoint, "us-east-1", path_style=True)
        with Stores({"s3": account}, SystemClock()) as stores:
            settings = Settings(inputs=("s3://clips/in/",), to="s3://clips/out/", pipeline="copy")
            plan = make_plan(settings, desk.ledger, stores, HOUR)

    refused = {refusal.uri.removeprefix("s3://clips/"): refusal.why for refusal in plan.refused}
    taken = {f"in/{name}" for name in names(plan)}
    assert taken == {key for key in listed if not ODD[key]}
    assert set(refused) == {key for key in listed if ODD[key]}
    for key, why in refused.items():
        assert ODD[key] in why, (key, why)
        assert "\n" not in why
    for name in outputs(plan):
        assert not {"..", ".", ""} & set(name.split("/"))
        assert len(f"out/{name}.manifest.json".encode()) <= 1024
