"""Which files are taken where inputs may overlap: each once, and each counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.inputs.patterns import is_pattern
from controller.inputs.selection import Selection, SetAside
from controller.spool import Register
from framehaul.contract.uris import Uri
from framehaul.storage.base import Entry


@dataclass
class Choice:
    """What was decided so far. `below` is a file's path below the input that was named."""

    selection: Selection
    aside: SetAside
    judged: Register = field(default_factory=Register)
    taken: Register = field(default_factory=Register)

    def falls_on(self, entry: Entry, below: str) -> bool:
        """Decide on a file that no other input can yield."""
        return self.selection.takes(below, entry.modified, self.aside)

    def falls_once_on(self, entry: Entry, below: str) -> bool:
        """Decide on a file; below another input the same file has another path, and may fit after all."""
        address = str(entry.uri)
        if address in self.taken or not self.judged.add(f"{address}\n{below}"):
            return False
        return self.falls_on(entry, below) and self.taken.add(address)


def may_meet(one: Uri, other: Uri) -> bool:
    """Say whether two inputs may yield the same file, as far as their names tell."""
    if (one.scheme, one.authority) != (other.scheme, other.authority):
        return False
    first, second = _stem(one), _stem(other)
    return first.startswith(second) or second.startswith(first)


def meeting(named: Sequence[Uri]) -> list[bool]:
    """Say of each input whether it may meet any of the others; of many thousand at the price of sorting them.

    In order, whatever begins with a stem follows right behind it: what stands in `above` begins the present one.
    """
    meets, above = [False] * len(named), list[int]()
    for at in sorted(range(len(named)), key=lambda at: (named[at].scheme, named[at].authority, _stem(named[at]))):
        while above and not may_meet(named[above[-1]], named[at]):
            above.pop()
        if above:
            meets[at] = meets[above[-1]] = True
        above.append(at)
    return meets


def _stem(uri: Uri) -> str:
    """Give the part of a key that stands in every file that it may name."""
    plain: list[str] = []
    for name in uri.key.rstrip("/").split("/"):
        if is_pattern(name):
            break
        plain.append(name)
    return "/".join(plain)
