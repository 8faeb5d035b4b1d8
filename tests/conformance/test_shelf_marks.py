"""The shelf of millions of objects names done-markers as the contract does, without asking it."""

from __future__ import annotations

from framehaul.contract.naming import DONE_PREFIX, done_marker
from tests.emulators.s3_population import Formula, buckets

DIGEST = "d" * 64


def test_marks_are_those_of_the_contract() -> None:
    """Every marker that a plan makes up is the one that our own rule gives for that input, in byte order."""
    clips = {"pattern": "in/{i:06d}.mp4", "count": 2500}
    marks = {"marks": f"out/{DONE_PREFIX}", "of": 0, "step": 500, "start": 1, "digest": DIGEST}
    page = buckets({"buckets": {"clips": [clips, marks]}})["clips"].page("out/", "", "", 1000)

    etags = [Formula("in/{i:06d}.mp4", 2500).etag(number) for number in range(1, 2500, 500)]
    expected = sorted(f"out/{done_marker(f's3:etag:{etag}', DIGEST)}" for etag in etags)
    assert [thing.key for thing in page.things] == expected
