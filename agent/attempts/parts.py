"""Cut an output into parts, remember on disk which of them the store has, and count what went out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from agent.errors import AttemptFailed
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED, PART
from framehaul.contract.grants import MultipartPut, part_sizes
from framehaul.contract.states import AttemptReason

# Small enough for a slow line to take one within the time that a stall is given, large enough to cost no CPU.
_PIECE_BYTES = 256 << 10

_FAILED = AttemptReason.DELIVERY_FAILED

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """One part: its number from 1 on, and where in the file it lies."""

    number: int
    start: int
    size: int


def cut(total: int, grant: MultipartPut) -> list[Part]:
    """Give the parts in which a file of this size travels."""
    sizes = part_sizes(total, grant.first_part_bytes, grant.growth)
    starts = accumulate(sizes[:-1], initial=0)
    return [Part(number, start, size) for number, (start, size) in enumerate(zip(starts, sizes, strict=True), 1)]


class PartBook:
    """The journal's memory of one slot's parts. Those of an output that was made anew since do not count."""

    def __init__(self, job: Job, slot: str) -> None:
        self._journal = job.journal
        self._slot = slot

    def etags(self, upload_id: str, parts: list[Part]) -> dict[int, str]:
        """Map the parts that this upload has, cut as they are now, to what the store calls them."""
        cuts = {(part.number, part.start, part.size) for part in parts}
        return {
            int(str(entry["number"])): str(entry["etag"])
            for entry in self._entries()
            if entry["upload_id"] == upload_id and (entry["number"], entry["start"], entry["size"]) in cuts
        }

    def began_elsewhere(self, upload_id: str) -> bool:
        """Say whether parts of this slot went to another upload than this."""
        return any(entry["upload_id"] != upload_id for entry in self._entries())

    def add(self, upload_id: str, part: Part, etag: str) -> None:
        """Note a part. A full disk costs the note, and after a restart the part is sent again."""
        try:
            self._journal.add(
                PART,
                slot=self._slot,
                upload_id=upload_id,
                number=part.number,
                start=part.start,
                size=part.size,
                etag=etag,
            )
        except OSError as exc:
            _log.warning("%s: part %d cannot be noted: %s", self._slot, part.number, exc)

    def _entries(self) -> Iterator[dict[str, object]]:
        return (dict(entry) for entry in self._journal.since(COMPUTED, PART) if entry["slot"] == self._slot)


class Tally:
    """Count the bytes of all slots of a job, part by part; a part that is sent again counts anew."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._totals: dict[str, int] = {}
        self._sent: dict[tuple[str, int], int] = {}

    def expect(self, slot: str, total: int, *, arrived: bool = False) -> None:
        """Learn how much a slot has; nothing of it has gone out, or all."""
        self._totals[slot] = total
        self._sent = {key: count for key, count in self._sent.items() if key[0] != slot}
        self._sent[slot, 0] = total if arrived else 0

    def count(self, slot: str, number: int, sent: int) -> None:
        """Say how much of a part went out."""
        self._sent[slot, number] = sent
        self._job.progress(sum(self._sent.values()), sum(self._totals.values()))


async def pieces(path: Path, part: Part, on_sent: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """Read a part piece by piece, off the event loop; a piece counts as sent once the next one is asked for."""
    sent = 0
    while sent < part.size:
        data = await asyncio.to_thread(_read, path, part.start + sent, min(_PIECE_BYTES, part.size - sent))
        yield data
        sent += len(data)
        on_sent(sent)


def _read(path: Path, start: int, size: int) -> bytes:
    # Opened for each piece: an upload that is cancelled leaves no file open under a thread that still reads.
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            data = file.read(size)
    except OSError as exc:
        raise AttemptFailed(_FAILED, f"{path.name} cannot be read from the disk: {exc.strerror}.") from exc
    if not data:
        raise AttemptFailed(_FAILED, f"{path.name} has become shorter than it was.")
    return data
