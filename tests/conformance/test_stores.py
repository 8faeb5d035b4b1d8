"""What every store promises: the table itself, listing, reading. `test_stores_writing.py` holds the other half.

A newcomer joins with one row in `store_rows.py`; what the row lacks is tested as refused, not skipped.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import framehaul.storage
from framehaul.contract.grants import FileIn, FileOut, HttpGet
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import DigestMismatch, NotFound, NotSupported, StoreError
from framehaul.storage.base import pinned
from tests.conformance.store_rows import (
    BIG,
    FIFTEEN,
    LATER,
    MIB,
    ODD_NAMES,
    ROWS,
    SKILLS,
    Servers,
    Skill,
    Subject,
    at_most,
    every_store,
    stores_and_names,
    stores_apart,
    stores_that,
)
from tests.loopback import loopback

having = pytest.mark.parametrize


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> Iterator[Subject]:
    """Open the row's store on an empty place."""
    with ROWS[request.param].open(tmp_path / "store", servers) as opened:
        yield opened


# The table itself


def test_every_store_has_a_row() -> None:
    """A module that speaks a scheme takes part in this suite under its own name."""
    modules = (
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(framehaul.storage.__path__, "framehaul.storage.")
    )
    speaking = {module.__name__.rpartition(".")[2] for module in modules if hasattr(module, "SCHEMES")}

    assert speaking == {name.partition("-")[0] for name in ROWS}


REFUSED: dict[Skill, tuple[Callable[[Subject], object], ...]] = {
    "list": (lambda s: list(s.store.list(s.base)),),
    "put": (
        lambda s: s.store.put(s.address("new"), [b"x"]),
        lambda s: s.store.put(s.address("new"), [b"x"], replace=True),
    ),
    "grant-write": (
        lambda s: s.store.grant(s.address("new"), "write", expires_at=LATER),
        lambda s: s.store.abort(FileOut(path="/nowhere")),
    ),
}
LACKING = [(name, skill) for name, row in ROWS.items() for skill in SKILLS if skill not in row.skills]


@having(("subject", "skill"), LACKING, indirect=["subject"])
def test_what_a_store_cannot_do_it_refuses_with_a_sentence(subject: Subject, skill: Skill) -> None:
    """A missing skill is NotSupported, which no retry heals; it is never a silent nothing."""
    for call in REFUSED[skill]:
        with pytest.raises(NotSupported, match=r"\w+ \w+ .*\.") as caught:
            call(subject)
        assert not caught.value.retryable


# list


@every_store
def test_an_object_lists_itself(subject: Subject) -> None:
    """An address of one object gives just that object, which can then be pinned."""
    uri = subject.seeded("clip.mp4", FIFTEEN)

    (entry,) = subject.store.list(uri)

    assert (entry.uri, entry.size) == (uri, 15)
    assert pinned(subject.store, entry).fingerprint == subject.store.stat(uri).fingerprint


@every_store
def test_a_missing_object_lists_nothing(subject: Subject) -> None:
    """Nothing there is an empty listing, not an error."""
    assert list(subject.store.list(subject.address("missing.mp4"))) == []


@stores_that("list")
def test_a_missing_folder_lists_nothing(subject: Subject) -> None:
    """A prefix under which nothing was ever put is an empty listing."""
    assert list(subject.store.list(subject.address("no/such/"))) == []


@stores_that("list")
def test_a_listing_is_in_the_order_of_whole_keys(subject: Subject) -> None:
    """Nested objects are included, ordered by the bytes of their full keys: `a-b` before `a/b`, capitals first."""
    names = ["a/b", "a-b", "a.b", "a/b c/d", "a/b.c", "Z", "é", "z/y/x/w", "ab"]
    for name in names:
        subject.seed(name, name.encode())

    entries = list(subject.store.list(subject.base))

    assert [entry.uri for entry in entries] == [subject.address(name) for name in sorted(names, key=str.encode)]
    assert [subject.read(entry.uri) for entry in entries] == [name.encode() for name in sorted(names, key=str.encode)]
    assert [entry.size for entry in entries] == [len(name.encode()) for name in sorted(names, key=str.encode)]


@stores_that("list")
def test_a_prefix_is_a_place_and_not_the_beginning_of_a_text(subject: Subject) -> None:
    """`in/c1` lists what lies in c1, with or without a slash at the end, and nothing of c10."""
    inside = subject.seeded("in/c1/x", b"x")
    subject.seed("in/c10/y", b"y")

    for prefix in ("in/c1", "in/c1/"):
        assert [entry.uri for entry in subject.store.list(subject.address(prefix))] == [inside]


@stores_that("list")
def test_a_listing_is_a_stream(subject: Subject) -> None:
    """It may be left after the first entry, and two may be read side by side."""
    uris = [subject.seeded(f"{number:03}", b"x") for number in range(20)]

    one, other = subject.store.list(subject.base), subject.store.list(subject.base)

    assert next(one).uri == uris[0]
    assert [entry.uri for entry in other] == uris
    assert next(one).uri == uris[1]


# stat


@every_store
def test_an_object_s_date_is_known_and_the_same_in_a_listing(subject: Subject) -> None:
    """In seconds since the epoch, so that what is older than a moment can be left out without reading it."""
    before = time.time()
    uri = subject.seeded("clip.mp4", FIFTEEN)

    (entry,) = subject.store.list(uri)
    found = subject.store.stat(uri).modified

    assert found is not None
    assert entry.modified == found
    assert before - 2 <= found <= time.time() + 1  # HTTP counts whole seconds


@every_store
def test_stat_describes_one_object(subject: Subject) -> None:
    """Size and fingerprint are there, and asking again gives the same."""
    uri = subject.seeded("clip.mp4", FIFTEEN)

    entry = subject.store.stat(uri)

    assert (entry.uri, entry.size) == (uri, 15)
    assert entry.fingerprint
    assert subject.store.stat(uri) == entry


@every_store
def test_another_content_has_another_fingerprint(subject: Subject) -> None:
    """A replaced object is told apart, even when its size stays the same."""
    uri = subject.seeded("clip.mp4", b"one content")
    before = subject.store.stat(uri)
    subject.seed("clip.mp4", b"two content")

    after = subject.store.stat(uri)

    assert after.size == before.size
    assert after.fingerprint != before.fingerprint


ASKED: dict[str, Callable[[Subject, Uri], object]] = {
    "stat": lambda s, uri: s.store.stat(uri),
    "get": lambda s, uri: list(s.store.get(uri)),
    "get a part": lambda s, uri: list(s.store.get(uri, 3, 5)),
    "get an empty part": lambda s, uri: list(s.store.get(uri, 0, 0)),
}


@having("verb", ASKED)
@every_store
def test_missing_is_not_found(subject: Subject, verb: str) -> None:
    """Whatever is asked of a missing object is NotFound, names it, and is not worth a retry."""
    subject.seed("beside.mp4", FIFTEEN)

    with pytest.raises(NotFound, match="missing") as caught:
        ASKED[verb](subject, subject.address("missing.mp4"))

    assert not caught.value.retryable


@every_store
def test_under_an_object_lies_nothing(subject: Subject) -> None:
    """A file is no folder: an address below it is NotFound."""
    subject.seed("clip.mp4", FIFTEEN)

    with pytest.raises(NotFound):
        subject.store.stat(subject.address("clip.mp4/frame"))


# get


@having(
    ("start", "end"), [(0, None), (0, 15), (0, 1), (7, 11), (7, None), (14, 15), (0, 0), (7, 7), (15, 15), (15, None)]
)
@every_store
def test_a_range_gives_exactly_its_bytes(subject: Subject, start: int, end: int | None) -> None:
    """[start, end) as in a slice; the empty range, also at the very end, gives nothing."""
    uri = subject.seeded("clip.mp4", FIFTEEN)

    assert b"".join(subject.store.get(uri, start, end)) == FIFTEEN[start:end]


@having(("start", "end"), [(0, 16), (14, 16), (15, 16), (16, None), (16, 16), (16, 17), (100, 200)])
@every_store
def test_a_range_past_the_end_is_an_error(subject: Subject, start: int, end: int | None) -> None:
    """A short answer is never silence, and asking again does not make the object longer."""
    uri = subject.seeded("clip.mp4", FIFTEEN)

    with pytest.raises(StoreError, match="15") as caught:
        list(subject.store.get(uri, start, end))

    assert not caught.value.retryable


@having(("start", "end"), [(-1, None), (-1, 3), (5, 4), (0, -1)])
@every_store
def test_a_range_that_none_can_satisfy_is_the_callers_mistake(subject: Subject, start: int, end: int | None) -> None:
    """Negative or reversed: refused before the store is asked."""
    with pytest.raises(ValueError, match="not a range"):
        subject.store.get(subject.address("any"), start, end)


@having(("start", "end"), [(0, None), (0, 0)])
@every_store
def test_an_object_without_bytes_is_an_object(subject: Subject, start: int, end: int | None) -> None:
    """Zero bytes long, it is there, and reading it gives nothing."""
    uri = subject.seeded("empty", b"")

    assert subject.store.stat(uri).size == 0
    assert list(subject.store.get(uri, start, end)) == []
    assert [entry.uri for entry in subject.store.list(uri)] == [uri]


@every_store
def test_nothing_is_asked_before_the_first_piece_is(subject: Subject) -> None:
    """A get that is never read costs nothing, so what is missing shows with the first piece."""
    pieces = subject.store.get(subject.address("missing.mp4"))

    with pytest.raises(NotFound):
        next(pieces)


@stores_apart()
def test_a_big_object_is_read_in_bounded_memory(subject: Subject) -> None:
    """32 MiB come in pieces, whole and in order, and never lie in memory together."""
    uri = subject.seeded("big.mp4", bytes(range(256)) * (BIG // 256))
    read, in_order = 0, True

    with at_most(8 * MIB):
        for piece in subject.store.get(uri):
            in_order &= piece[:1] == bytes([read % 256]) and piece[-1] == (read + len(piece) - 1) % 256
            read += len(piece)

    assert (read, in_order) == (BIG, True)


@every_store
def test_an_object_replaced_while_it_is_read_is_never_mixed(subject: Subject) -> None:
    """The reader gets the old version to its end, or DigestMismatch."""
    old, new = b"o" * BIG, b"n" * BIG
    pieces = subject.store.get(subject.seeded("clip.mp4", old))
    read = bytearray(next(pieces))
    subject.seed("clip.mp4", new)

    try:
        for piece in pieces:
            read += piece
    except DigestMismatch:
        assert bytes(read) == old[: len(read)]
    else:
        assert bytes(read) == old


@stores_and_names(ODD_NAMES)
def test_odd_names_are_names(subject: Subject, name: str) -> None:
    """Spaces, quotes, Cyrillic, a newline: found, read, and the same after the address was written down."""
    uri = subject.seeded(name, name.encode())

    (entry,) = subject.store.list(uri)

    assert entry.uri.name == name
    assert parse_uri(str(entry.uri)) == uri
    assert subject.read(entry.uri) == name.encode()


# grant


@every_store
def test_a_grant_to_read_needs_no_store(subject: Subject) -> None:
    """Whoever holds it reads the bytes without any key of ours; asking twice is harmless."""
    uri = subject.seeded("with space.mp4", FIFTEEN)

    for _ in range(2):
        assert bytes_granted(subject.store.grant(uri, "read", expires_at=LATER)) == FIFTEEN


def bytes_granted(grant: object) -> bytes:
    """Use a grant as an agent would: with what stands in it, and nothing else."""
    if isinstance(grant, FileIn):
        return Path(grant.path).read_bytes()
    assert isinstance(grant, HttpGet)
    with httpx.Client(transport=loopback()) as client:
        return client.get(grant.url.get_secret_value()).raise_for_status().content
