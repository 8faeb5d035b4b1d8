"""Inputs of many bytes: the beginning is asked for by itself, the rest at once, and never two objects are mixed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import Inside
from tests.agent.letters import grants, order, reading
from tests.agent.vault import film
from tests.emulators.files import FileServer

_BEGINNING = 8 << 20
_FILM = film(_BEGINNING + 500_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileServer]:
    """A web server that holds a long film."""
    root = tmp_path / "store"
    root.mkdir()
    (root / "clip.mp4").write_bytes(_FILM)
    with FileServer(root) as server:
        yield server


async def _order(inside: Inside, store: FileServer) -> None:
    spec = order(data=_FILM)
    assert (await inside.caller.put_job(spec)).status_code == 201
    reply = await inside.caller.put_grants(grants(spec, source=reading(f"{store.url}/clip.mp4")))
    assert reply.status_code == 200


def _ranges(store: FileServer) -> list[str | None]:
    return [request["range"] for request in store.log()]


async def test_a_long_object_comes_in_two_requests(inside: Inside, store: FileServer) -> None:
    """However long it is; the second one is good for the same object alone."""
    await _order(inside, store)

    assert await inside.caller.pick_up("job-1") == _FILM
    assert _ranges(store) == [f"bytes=0-{_BEGINNING - 1}", f"bytes={_BEGINNING}-"]
    assert store.log()[1]["if_range"]


@pytest.mark.parametrize(
    ("fault", "words", "asked"),
    [
        ("cut_after", {"bytes": 4000, "times": 1}, ["bytes=0-8388607", "bytes=4000-"]),
        ("cut_after", {"bytes": 100_000, "times": 2}, ["bytes=0-8388607", "bytes=100000-", "bytes=200000-"]),
        ("shift_range", {"by": 7, "times": 1}, ["bytes=0-8388607"] * 2 + ["bytes=8388608-"]),
        ("ignore_range", {}, ["bytes=0-8388607"]),
        ("headers", {"set": {"ETag": None, "Last-Modified": None}}, ["bytes=0-8388607", None]),
    ],
    ids=["cut-in-the-beginning", "cut-twice", "another-range", "no-ranges", "nothing-to-tell-a-replaced-one-by"],
)
async def test_whatever_the_store_makes_of_a_range_the_object_comes_whole(
    inside: Inside, store: FileServer, fault: str, words: dict[str, object], asked: list[str | None]
) -> None:
    """A cut is taken up where it was; a store that knows no ranges, or sends another one, gives the whole as well."""
    store.fault(fault, **words)
    await _order(inside, store)

    await inside.in_time("delivering")

    assert await inside.caller.pick_up("job-1") == _FILM
    assert _ranges(store) == asked


@pytest.mark.parametrize("careless", [False, True], ids=["server-heeds-if-range", "server-ignores-if-range"])
async def test_an_object_that_is_replaced_after_its_beginning_is_told(
    inside: Inside, store: FileServer, careless: bool
) -> None:
    """The rest of another object is never put behind it."""
    store.fault("change_etag", after=1)
    if careless:
        store.fault("ignore_if_range")
    await _order(inside, store)

    assert "was replaced while it was fetched" in (await inside.in_time("failed")).status.message


async def test_a_part_that_is_called_a_success_is_a_part(inside: Inside, store: FileServer) -> None:
    """rclone answers 200 to a range, and tells it in Content-Range alone."""
    store.fault("part_as_200")
    await _order(inside, store)

    assert await inside.caller.pick_up("job-1") == _FILM
    assert len(store.log()) == 2


@pytest.mark.parametrize("length", [0, 1000, _BEGINNING])
async def test_an_object_that_is_shorter_than_planned_is_refused_at_once(
    inside: Inside, store: FileServer, tmp_path: Path, length: int
) -> None:
    """After its beginning, at the latest; nothing is tried again."""
    (tmp_path / "store" / "clip.mp4").write_bytes(_FILM[:length])
    await _order(inside, store)

    assert f"has {length} bytes; {len(_FILM)} were planned" in (await inside.in_time("failed")).status.message
    assert len(store.log()) == 1
