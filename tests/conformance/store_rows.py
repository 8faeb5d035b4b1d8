"""The table of stores: each row opens one with an empty place in it, and says what it can do."""

from __future__ import annotations

import itertools
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from framehaul.contract.uris import Uri
from framehaul.storage.accounts import Account
from framehaul.storage.base import Store
from framehaul.storage.http import HttpStore
from framehaul.storage.local import LocalStore
from framehaul.storage.s3 import open_store
from tests.emulators.files import FileServer
from tests.loopback import loopback
from tests.rclone import MotoServer, Rclone
from tests.storage.skipping_clock import SkippingClock

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Skill = Literal["list", "put", "grant-write"]
SKILLS: tuple[Skill, ...] = ("list", "put", "grant-write")


@dataclass(frozen=True)
class Subject:
    """A store under test. `seed` lays or replaces an object behind the store's back, in one step."""

    store: Store
    base: Uri
    seed: Callable[[str, bytes], None]
    address: Callable[[str], Uri]

    def seeded(self, name: str, content: bytes) -> Uri:
        """Lay an object and give its address."""
        self.seed(name, content)
        return self.address(name)

    def read(self, uri: Uri) -> bytes:
        """Read a whole object through the store."""
        return b"".join(self.store.get(uri))


class Servers:
    """Real servers, started when a row first needs them and stopped when the session ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._numbers = itertools.count()

    @cached_property
    def rclone(self) -> Rclone:
        """Give one that checks signatures."""
        return self._running.enter_context(Rclone(self._folder / "rclone"))

    @cached_property
    def moto(self) -> MotoServer:
        """Give one whose etags, parts and conditions are like Amazon's."""
        return self._running.enter_context(MotoServer())

    @cached_property
    def seeds_rclone(self) -> S3Client:
        """Give the client that lays objects behind the store's back; making one takes longer than a test."""
        return self._running.enter_context(closing(self.rclone.client()))

    @cached_property
    def seeds_moto(self) -> S3Client:
        """Give the same for moto."""
        return self._running.enter_context(closing(self.moto.client()))

    def bucket_name(self) -> str:
        """Name a bucket that no test has had."""
        return f"clips-{next(self._numbers)}"

    def stop(self) -> None:
        """End those that run."""
        self._running.close()


@dataclass(frozen=True)
class Row:
    """How to open one, in a fresh folder, and which of the SKILLS it has; the others must be refused.

    `refused_names` are those of the ODD_NAMES that this server itself does not take, each with the reason.
    `shares_memory` says why memory cannot be measured with this server.
    """

    open: Callable[[Path, Servers], AbstractContextManager[Subject]]
    skills: frozenset[Skill]
    refused_names: Mapping[str, str] = field(default_factory=dict)
    shares_memory: str = ""


@contextmanager
def _local(tmp: Path, _: Servers) -> Iterator[Subject]:
    base = Uri("file", "", f"{tmp}/base/")
    yield Subject(LocalStore(), base, lambda name, content: _lay(tmp / "base" / name, content), base.join)


@contextmanager
def _http(tmp: Path, _: Servers) -> Iterator[Subject]:
    with (
        FileServer(tmp) as server,
        closing(HttpStore(transport=loopback(), clock=SkippingClock())) as store,
    ):
        base = Uri("http", server.url.removeprefix("http://"), "")
        yield Subject(store, base, lambda name, content: _lay(tmp / name, content), lambda name: base.join(quote(name)))


@contextmanager
def _rclone(_: Path, servers: Servers) -> Iterator[Subject]:
    name = servers.bucket_name()
    servers.rclone.bucket(name)
    with _bucket(servers.rclone, servers.seeds_rclone, name) as subject:
        yield subject


@contextmanager
def _moto(_: Path, servers: Servers) -> Iterator[Subject]:
    name = servers.bucket_name()
    servers.seeds_moto.create_bucket(Bucket=name)
    with _bucket(servers.moto, servers.seeds_moto, name) as subject:
        yield subject


@contextmanager
def _bucket(server: Rclone | MotoServer, seeds: S3Client, name: str) -> Iterator[Subject]:
    base = Uri("b2", name, "base/")
    account = Account(SecretStr(server.key_id), SecretStr(server.secret), endpoint=server.endpoint)
    with closing(open_store(base, account, SkippingClock())) as store:

        def seed(name: str, content: bytes) -> None:
            seeds.put_object(Bucket=base.authority, Key=base.key + name, Body=content)

        assert list(store.list(base)) == []  # what botocore reads of its own, once, is not of any claim about memory
        yield Subject(store, base, seed, base.join)


def _lay(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(draft).replace(path)


# One row a store, under the name of its module; `-` and a word tell apart the servers that it is tried on.
ROWS: dict[str, Row] = {
    "local": Row(_local, frozenset(SKILLS)),
    "http": Row(_http, frozenset()),
    "s3": Row(_rclone, frozenset(SKILLS), refused_names={"new\nline.mp4": "rclone answers 500 to a line break"}),
    "s3-moto": Row(
        _moto,
        frozenset(SKILLS),
        refused_names={"new\nline.mp4": "moto's router knows no line break and answers 404"},
        shares_memory="moto keeps what it holds in this very process",
    ),
}

every_store = pytest.mark.parametrize("subject", ROWS, indirect=True)


def stores_that(skill: Skill) -> pytest.MarkDecorator:
    """Run a claim for each row with this skill; `test_what_a_store_cannot_do…` takes the others."""
    return pytest.mark.parametrize(
        "subject", [name for name, row in ROWS.items() if skill in row.skills], indirect=True
    )


def stores_apart(skill: Skill | None = None) -> pytest.MarkDecorator:
    """Run a claim about memory for each row where ours can be told from the server's."""
    rows = (name for name, row in ROWS.items() if not row.shares_memory and (skill is None or skill in row.skills))
    return pytest.mark.parametrize("subject", list(rows), indirect=True)


def stores_and_names(
    names: Sequence[str], skill: Skill | None = None, *, refused: bool = False
) -> pytest.MarkDecorator:
    """Run a claim for each row and each name that its server takes, or does not."""
    cases = [
        pytest.param(row, name, id=f"{row}-{name}")
        for row in ROWS
        for name in names
        if (name in ROWS[row].refused_names) == refused and (skill is None or skill in ROWS[row].skills)
    ]
    return pytest.mark.parametrize(("subject", "name"), cases, indirect=["subject"])


MIB = 1 << 20
BIG = 32 * MIB
LATER = 4e9
FIFTEEN = b"0123456789abcde"
ODD_NAMES = (
    "with space.mp4",
    'quote\'s "double".mp4',
    "Кошка на крыше.mp4",
    "new\nline.mp4",
    "100%.mp4",
    "%41.mp4",
    "what?#+&=.mp4",
    "🎬.mp4",
    "-rf",
    "~root",
    "back\\slash.mp4",
    "n" * 255,
)


@contextmanager
def at_most(peak_bytes: int) -> Iterator[None]:
    """Watch the peak of Python's memory inside of a `with`."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < peak_bytes, f"{peak} bytes at once"
