"""Results are brought home whole and unharmed, or not at all; and what a marker says leads nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.pulling import Brought, Fate, Puller, found_at
from controller.retrieval import PATIENCE_S
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import (
    AccessDenied,
    BadAccount,
    DigestMismatch,
    FramehaulError,
    NoSuchBucket,
    NotFound,
    StoreFull,
    StoreUnavailable,
)
from framehaul.storage.base import Stores
from framehaul.storage.local import LocalStore
from tests.controller.trophies import Trophies, files_in, marker_for, noise, receipt_for
from tests.storage.skipping_clock import SkippingClock

CHUNK = 1000


class Shelf(LocalStore):
    """The disk, as a store that may break off; every span that was asked for is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[tuple[str, int]] = []
        self.breaks: list[int] = []  # after so many bytes of the next reads
        self.when_read: Callable[[], None] = lambda: None
        self.markers_read: list[str] = []
        self.troubles: dict[str, FramehaulError] = {}  # what reading a marker of this name raises

    def get(self, uri: Uri, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give small pieces, and break off where that was ordered."""
        if "/.framehaul/" in uri.key:
            self.markers_read.append(uri.name)
            if uri.name in self.troubles:
                raise self.troubles[uri.name]
            yield from super().get(uri, start, end)
            return
        self.spans.append((uri.name, start))
        left = self.breaks.pop(0) if self.breaks else None
        for piece in super().get(uri, start, end):
            for at in range(0, len(piece), 300):
                self.when_read()
                if left is not None and left <= 0:
                    raise StoreUnavailable("The shelf fell down.")
                left = None if left is None else left - 300
                yield piece[at : at + 300]


class OneShelf(Stores):
    """Stores of which all are one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf

    def open(self, uri: Uri) -> Shelf:
        """Give the shelf."""
        return self.shelf


class Home:
    """A folder that results are brought to, from an output folder."""

    def __init__(self, root: Path) -> None:
        self.trophies = Trophies(root / "out")
        self.into = root / "home"
        self.shelf = Shelf()
        self.clock = SkippingClock()
        self.said: list[str] = []

    def pulls(self, *, replace: bool = False, manifests: bool = True, rehearsal: bool = False) -> list[Brought]:
        """Pull everything that markers vouch for."""
        puller = Puller(
            OneShelf(self.shelf),
            self.clock,
            self.into,
            self.said.append,
            manifests=manifests,
            replace=replace,
            rehearsal=rehearsal,
        )
        found = found_at(parse_uri(f"{self.trophies.root}/"), puller.stores)
        brought = [puller.pull(one, lambda done: None) for one in found]
        puller.tidy()
        return [one for one in brought if one is not None]

    @property
    def part(self) -> Path:
        """The only half that is there."""
        (part,) = (self.into / ".framehaul" / "parts").iterdir()
        return part


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path)


def fates(brought: list[Brought]) -> list[Fate]:
    """Say what became of each."""
    return [one.fate for one in brought]


def test_everything_that_a_marker_vouches_for_comes_home_in_its_folder(home: Home) -> None:
    """Results and manifests, mirrored; what no marker names stays where it is; nothing else is left here."""
    home.trophies.leaves("", {"a.mp4": noise(2500), "a.mp4.manifest.json": b"{}"}, chunk_bytes=CHUNK)
    home.trophies.leaves("deep/er/", {"b c é.mp4": noise(10, 2), "b.manifest.json": b"{2}"})
    (home.trophies.root / "stray.mp4").write_bytes(b"nobody's")

    brought = home.pulls()

    assert fates(brought) == [Fate.FETCHED] * 4
    assert files_in(home.into) == {
        "a.mp4": noise(2500),
        "a.mp4.manifest.json": b"{}",
        "deep/er/b c é.mp4": noise(10, 2),
        "deep/er/b.manifest.json": b"{2}",
    }


def test_manifests_can_be_left(home: Home) -> None:
    """By the slot, whatever they are called."""
    home.trophies.leaves("", {"a.mp4": b"film", "odd name": b"{}"})

    assert [Path(one.path).name for one in home.pulls(manifests=False)] == ["a.mp4"]


def test_what_is_here_is_not_fetched_again(home: Home) -> None:
    """It is hashed here; nothing of it is read from the store."""
    home.trophies.leaves("", {"a.mp4": noise(2500)})
    home.pulls()
    home.shelf.spans.clear()

    assert fates(home.pulls()) == [Fate.HERE]
    assert home.shelf.spans == []


@pytest.mark.parametrize("other", [b"mine", noise(2500, 7), None])
def test_a_different_file_in_the_way_is_not_replaced_unless_asked(home: Home, other: bytes | None) -> None:
    """Of another size, of the same size, or a folder; the rest comes home all the same."""
    home.trophies.leaves("", {"a.mp4": noise(2500), "m.json": b"{}"})
    if other is None:
        (home.into / "a.mp4").mkdir(parents=True)
    else:
        home.into.mkdir()
        (home.into / "a.mp4").write_bytes(other)

    first, second = home.pulls()

    assert (first.fate, second.fate) == (Fate.FAILED, Fate.FETCHED)
    assert "a.mp4' already" in first.why or "is not replaced" in first.why
    assert other is None or (home.into / "a.mp4").read_bytes() == other
    if other is not None:
        assert fates(home.pulls(replace=True)) == [Fate.FETCHED, Fate.HERE]
        assert (home.into / "a.mp4").read_bytes() == noise(2500)


def test_a_rehearsal_says_what_would_be_fetched_and_writes_nothing(home: Home) -> None:
    """Not even a folder."""
    home.trophies.leaves("", {"a.mp4": b"film", "m.json": b"{}"})

    assert fates(home.pulls(rehearsal=True)) == [Fate.WANTED, Fate.WANTED]
    assert not home.into.exists()


def test_a_store_that_breaks_off_is_asked_again_from_the_byte_that_was_reached(home: Home) -> None:
    """With pauses on the clock, and one sentence a trouble."""
    home.trophies.leaves("", {"a.mp4": noise(2500)}, chunk_bytes=CHUNK)
    home.shelf.breaks = [600, 0, 900]

    assert fates(home.pulls()) == [Fate.FETCHED]

    assert home.shelf.spans == [("a.mp4", 0), ("a.mp4", 600), ("a.mp4", 600), ("a.mp4", 1500)]
    assert files_in(home.into) == {"a.mp4": noise(2500)}
    assert home.said == ["The shelf fell down. Trying again."] * 2


def test_a_store_that_stays_away_ends_the_pull_and_the_half_is_gone_on_with(home: Home) -> None:
    """After a quarter of an hour without a byte; the next command fetches only what is lacking."""
    home.trophies.leaves("", {"a.mp4": noise(2500)}, chunk_bytes=CHUNK)
    home.shelf.breaks = [1200] + [0] * 100

    with pytest.raises(StoreUnavailable):
        home.pulls()
    assert sum(home.clock.waits) >= PATIENCE_S
    assert home.part.stat().st_size == 1200

    home.shelf.breaks, home.shelf.spans = [], []
    assert fates(home.pulls()) == [Fate.FETCHED]
    assert home.shelf.spans == [("a.mp4", 1200)]
    assert files_in(home.into) == {"a.mp4": noise(2500)}


@pytest.mark.parametrize("at", range(0, 2500, 490))
def test_an_interrupt_at_any_byte_leaves_a_half_that_is_gone_on_with(home: Home, at: int) -> None:
    """Nothing is placed before all of it is right."""
    home.trophies.leaves("", {"a.mp4": noise(2500)}, chunk_bytes=CHUNK)
    left = [at // 300]

    def press_ctrl_c() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    home.shelf.when_read = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        home.pulls()
    assert not (home.into / "a.mp4").exists()

    home.shelf.when_read = lambda: None
    assert fates(home.pulls()) == [Fate.FETCHED]
    assert home.shelf.spans[-1] == ("a.mp4", at // 300 * 300)
    assert files_in(home.into) == {"a.mp4": noise(2500)}


def test_a_half_that_was_damaged_is_fetched_anew_from_that_chunk_on(home: Home) -> None:
    """What lies here is believed no more than what comes."""
    receipt = home.trophies.leaves("", {"a.mp4": noise(2500)}, chunk_bytes=CHUNK)
    part = home.into / ".framehaul" / "parts" / f"{receipt.outputs[0].sha256}.part"
    part.parent.mkdir(parents=True)
    half = bytearray(noise(2500)[:2200])
    half[1500] ^= 1
    part.write_bytes(half)

    assert fates(home.pulls()) == [Fate.FETCHED]

    assert home.shelf.spans == [("a.mp4", 1000)]
    assert files_in(home.into) == {"a.mp4": noise(2500)}


def test_a_result_that_is_not_what_its_receipt_says_is_told_by_chunk_and_not_placed(home: Home) -> None:
    """The good chunks before it stay for the next try; the others come home."""
    home.trophies.leaves("", {"a.mp4": noise(2500), "m.json": b"{}"}, chunk_bytes=CHUNK)
    damaged = bytearray(noise(2500))
    damaged[1100] ^= 1
    (home.trophies.root / "a.mp4").write_bytes(damaged)

    first, second = home.pulls()

    assert (first.fate, second.fate) == (Fate.FAILED, Fate.FETCHED)
    assert "a.mp4: chunk 1 (from byte 1000) is not what the receipt says." in first.why
    assert not (home.into / "a.mp4").exists()
    assert home.part.read_bytes() == noise(2500)[:1000]


def test_a_result_of_another_size_or_none_is_told(home: Home) -> None:
    """Before a byte is fetched."""
    home.trophies.leaves("", {"a.mp4": noise(25), "m.json": b"{}"})
    (home.trophies.root / "a.mp4").write_bytes(noise(26))
    (home.trophies.root / "m.json").unlink()

    first, second = home.pulls()

    assert "holds 26 bytes, the receipt says 25" in first.why
    assert "Nothing lies at" in second.why
    assert home.shelf.spans == []


def test_a_receipt_that_contradicts_itself_brings_nothing_home(home: Home) -> None:
    """Chunks that are right under a sum that is not."""
    receipt = receipt_for({"a.mp4": noise(2500)}, chunk_bytes=CHUNK)
    liar = receipt.model_copy(update={"outputs": (receipt.outputs[0].model_copy(update={"sha256": "0" * 64}),)})
    home.trophies.vouches(marker_for(liar), "a.mp4")
    (home.trophies.root / "a.mp4").write_bytes(noise(2500))

    (told,) = home.pulls()

    assert (told.fate, "is not what the receipt says" in told.why) == (Fate.FAILED, True)
    assert files_in(home.into) == {}


@pytest.mark.parametrize(
    "folder",
    ["../", "/etc/", "a/../../", "a//", "..", "a", "./", "a/./", "a\\b/", ".ssh/", "a/.git/", "a\x00/", "x\x1b[2J/"],
)
def test_a_marker_cannot_lead_out_of_the_folder(home: Home, folder: str) -> None:
    """Nor into a hidden one, which programs obey; the honest marker beside it is followed."""
    evil = receipt_for({"a.mp4": b"evil"})
    home.trophies.vouches(marker_for(evil, folder), "evil")
    home.trophies.leaves("", {"good.mp4": b"good"})
    before = files_in(home.trophies.root.parent)

    brought = home.pulls()

    assert sorted(fates(brought)) == [Fate.FAILED, Fate.FETCHED]
    assert files_in(home.trophies.root.parent) == before | {"home/good.mp4": b"good"}
    assert "It is no done-marker to trust" in next(one.why for one in brought if one.fate is Fate.FAILED)


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/passwd", "..", "", ".bashrc", "a/b.mp4", "n" * 256])
def test_a_receipt_cannot_name_what_is_no_plain_file(home: Home, name: str) -> None:
    """Whoever may write to the bucket may write a marker."""
    text = marker_for(receipt_for({"@name@": b"evil"})).decode()
    home.trophies.vouches(text.replace("@name@", name).encode(), "evil")

    (told,) = home.pulls()

    assert (told.fate, told.path) == (Fate.FAILED, "")
    assert not home.into.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"receipt": 5}', b"x" * (17 << 20)])
def test_what_is_no_marker_is_told_and_passed_over(home: Home, content: bytes) -> None:
    """However large it is; one of those is not even read."""
    home.trophies.vouches(content, "odd")
    home.trophies.leaves("", {"good.mp4": b"good"})

    assert sorted(fates(home.pulls())) == [Fate.FAILED, Fate.FETCHED]


def test_many_markers_are_read_a_few_ahead(home: Home) -> None:
    """All of them, each once."""
    for number in range(100):
        home.trophies.leaves(f"{number}/", {"a.mp4": noise(8, number)})

    brought = home.pulls()

    assert len({one.path for one in brought}) == len(brought) == 100
    assert set(fates(brought)) == {Fate.FETCHED}


@pytest.mark.parametrize(
    "trouble", [AccessDenied("It is archived."), DigestMismatch("It was replaced."), NotFound("It is gone.")]
)
def test_a_marker_that_cannot_be_read_stops_no_other(home: Home, trouble: FramehaulError) -> None:
    """It is told with what the store says of it; the others come home."""
    for number in range(50):
        home.trophies.leaves(f"{number}/", {"a.mp4": noise(8, number)})
    hidden = home.trophies.vouches(b"{}", "closed")
    home.shelf.troubles[hidden.name] = trouble

    brought = home.pulls()

    assert [one.why for one in brought if one.fate is Fate.FAILED] == [str(trouble)]
    assert fates(brought).count(Fate.FETCHED) == 50


@pytest.mark.parametrize("trouble", [BadAccount("It expired."), NoSuchBucket("Gone."), StoreUnavailable("It is down.")])
def test_what_concerns_every_marker_ends_the_pull(home: Home, trouble: FramehaulError) -> None:
    """A million sentences of one kind would help nobody; and what may work later is no fault of a marker."""
    home.shelf.troubles[home.trophies.vouches(b"{}", "closed").name] = trouble

    with pytest.raises(type(trouble)):
        home.pulls()


def test_of_large_markers_few_are_read_ahead(home: Home) -> None:
    """Whoever may write to the bucket may write many of the largest size: they never lie in memory together."""
    for number in range(10):
        home.trophies.vouches(b" " * (15 << 20), str(number))

    next(found_at(parse_uri(f"{home.trophies.root}/"), OneShelf(home.shelf)))

    assert 1 <= len(home.shelf.markers_read) <= 5


def test_a_disk_without_room_is_said_before_anything_is_fetched(home: Home) -> None:
    """By the receipt's size, in a sentence."""
    home.trophies.root.mkdir()
    size = shutil.disk_usage(home.trophies.root).free + (1 << 40)
    with (home.trophies.root / "a.mp4").open("wb") as file:
        file.truncate(size)  # a hole: it takes no room
    receipt = receipt_for({"a.mp4": b"film"})
    huge = receipt.outputs[0].model_copy(update={"size": size, "chunk_bytes": size, "chunks": ("0" * 64,)})
    home.trophies.vouches(marker_for(receipt.model_copy(update={"outputs": (huge,)})), "a.mp4")

    with pytest.raises(StoreFull, match=r"a\.mp4 needs \d+\.\d\d GB more than the disk of '.*' has free"):
        home.pulls()

    assert home.shelf.spans == []
