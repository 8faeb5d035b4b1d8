"""What a done-marker says, and how one is read: it lies where others may write, so nothing in it is believed unheld."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from framehaul.contract.naming import check_file_name
from framehaul.contract.receipt import Receipt
from framehaul.storage.base import Entry, Store

# A receipt has 67 bytes a chunk: this is one of several hundred gigabytes.
_MAX_BYTES = 16 << 20
_MOST_TWINS = 1000


class Delivered(BaseModel):
    """One input's results. A later version may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input: str = ""
    folder: str = ""
    receipt: Receipt

    def without_addresses(self) -> Self:
        """Give it as it may lie in a bucket for good: an address that opens without any account is for nobody."""
        outputs = tuple(entry.model_copy(update={"download_url": None}) for entry in self.receipt.outputs)
        return self.model_copy(update={"receipt": self.receipt.model_copy(update={"outputs": outputs})})


class DoneMarker(Delivered):
    """A done-marker; `twins` are other inputs that held the same bytes."""

    twins: tuple[Delivered, ...] = ()

    def every(self) -> tuple[Delivered, ...]:
        """List all that it vouches for."""
        return (self, *self.twins)

    def others(self, one: Delivered) -> tuple[Delivered, ...]:
        """List what it says of other inputs than this; the last word on each."""
        found = {(said.folder, said.input): Delivered(**dict(said)) for said in reversed(self.every())}
        found.pop((one.folder, one.input), None)
        return tuple(found.values())[:_MOST_TWINS]


def is_of_a_size(entry: Entry) -> bool:
    """Say whether an object is small enough to be a marker."""
    return entry.size is not None and entry.size <= _MAX_BYTES


def read_marker(store: Store, entry: Entry) -> DoneMarker:
    """Read one marker; ValueError where it is none, or names what must not be."""
    if not is_of_a_size(entry):
        raise ValueError(f"it has {entry.size} bytes, which no done-marker has")
    marker = DoneMarker.model_validate_json(b"".join(store.get(entry.uri)))
    for one in marker.every():
        _check_folder(one.folder)
        for output in one.receipt.outputs:
            _check_shown(output.name)
    return marker


def _check_folder(folder: str) -> None:
    """Refuse a folder that leads out of the one below which it is meant."""
    if not folder:
        return
    *names, last = folder.split("/")
    if last:
        raise ValueError(f"not a folder: {folder!r}")
    for name in names:
        _check_shown(check_file_name(name))


def _check_shown(name: str) -> None:
    """Refuse what a listing hides: .bashrc, .ssh and their like are no results, and programs obey them."""
    if name.startswith("."):
        raise ValueError(f"a hidden name is not brought home: {name!r}")
