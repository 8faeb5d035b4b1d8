"""Upload one slot in parts, go on where an earlier try ended, and prove that the object which lies there is ours."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from random import randrange
from xml.sax.saxutils import escape

from agent.attempts.answers import PartsRefused, Refused, UploadGone
from agent.attempts.parts import Part, PartBook, Tally, cut
from agent.attempts.receipts import proof_of, same_places
from agent.attempts.storeline import Door, StoreClient
from agent.jobs.job import Job
from framehaul.contract.grants import MultipartPut
from framehaul.contract.receipt import OutputReceipt

# Measured against rclone on loopback: 4 at once are as fast as 8, and 2 are slower where a store hashes what comes.
_AT_ONCE = 4
_MD5 = re.compile(r"[0-9a-f]{32}")
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

_log = logging.getLogger(__name__)


class SlotUpload:
    """One slot's way into the store, begun anew for every upload id.

    The parts need no proof, so they go out while the outputs are still being hashed; `proved` returns when the receipt
    is on disk, and only then is an object made of them.
    """

    def __init__(
        self, store: StoreClient, job: Job, slot: str, path: Path, tally: Tally, proved: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._job = job
        self._slot = slot
        self._path = path
        self._tally = tally
        self._proved = proved
        self._door = Door(job, slot)
        self._book = PartBook(job, slot)

    async def run(self) -> None:
        """Return when the object lies in the store; Refused when other grants are needed, Superseded when they came."""
        grant = self._door.grant()
        if self._book.began_elsewhere(grant.upload_id) and await self._lies_there():
            _log.info("%s: an earlier upload had been completed", self._path.name)
            return await self._store.abort(grant)
        try:
            await self._put_together(grant)
        except UploadGone as exc:
            if not await self._lies_there():
                raise Refused(f"The upload of {self._path.name} was ended by somebody else. {exc}") from exc

    async def _put_together(self, grant: MultipartPut) -> None:
        parts = cut(self._path.stat().st_size, grant)
        if len(parts) > (granted := len(grant.part_urls)):
            raise Refused(f"{self._path.name} travels in {len(parts)} parts, and the grants are for {granted}.")
        etags = self._book.etags(grant.upload_id, parts)
        try:
            await self._send_and_complete(parts, etags)
        except PartsRefused:
            # A store that lost a part it had confirmed: all of them once more, and then it is for somebody else.
            await self._send_and_complete(parts, {})

    async def _send_and_complete(self, parts: list[Part], etags: dict[int, str]) -> None:
        self._tally.expect(self._slot, sum(part.size for part in parts))
        for number in etags:
            self._tally.count(self._slot, number, parts[number - 1].size)
        await self._send([part for part in parts if part.number not in etags], etags)
        await self._proved()
        self._door.grant()  # the last chance to hear of another place
        same_places(self._job)
        made = await self._store.complete(self._door, _list_of(parts, etags))
        # A store that names the object by its parts, as nearly all do, has said that it is ours.
        if made != _name_of_parts(etags) and not await self._lies_there():
            raise Refused(f"What the store holds of {self._path.name} is not what was put together.")

    async def _send(self, missing: list[Part], etags: dict[int, str]) -> None:
        """Send several parts at once; the first that is refused ends the others."""
        left = iter(missing)

        async def carry() -> None:
            with closing(self._store.part_line()) as line:
                for part in left:
                    etag = await self._store.put_part(self._door, line, self._path, part, self._counter(part))
                    self._book.add(self._door.grant().upload_id, part, etag)
                    etags[part.number] = etag

        await _all_or_none([asyncio.create_task(carry()) for _ in missing[:_AT_ONCE]])

    def _counter(self, part: Part) -> Callable[[int], None]:
        return lambda sent: self._tally.count(self._slot, part.number, sent)

    async def _lies_there(self) -> bool:
        """Say whether the object in that place is ours, and not one that lay there before: by size and by chunks."""
        await self._proved()
        same_places(self._job)  # where it is found is where the receipt must say that it lies
        proof = await asyncio.to_thread(proof_of, self._job, self._slot)
        for number in _samples(len(proof.chunks)):
            found = await self._store.read_back(self._door, number * proof.chunk_bytes, _length(proof, number))
            if found is None or found[0] != proof.size:
                return False
            if proof.chunks and hashlib.sha256(found[1]).hexdigest() != proof.chunks[number]:
                return False
        return True


async def _all_or_none(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for all; the first that fails ends the others, and its error is raised.

    Not a TaskGroup: Python 3.11's forgets that it was cancelled itself where a task of its fails in the same moment.
    """
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()


def _samples(count: int) -> list[int]:
    """Choose the first chunk, the last, and one between; an empty object is looked at once."""
    between = {randrange(1, count - 1)} if count > 2 else set()
    return sorted({0, max(count - 1, 0)} | between)


def _length(proof: OutputReceipt, number: int) -> int:
    return min(proof.chunk_bytes, proof.size - number * proof.chunk_bytes)


def _name_of_parts(etags: dict[int, str]) -> str | None:
    """Give the entity tag of an object that was made of just these parts: the md5 of their md5s, and their number.

    None where the parts' own tags are no md5s. https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    tags = [etags[number].strip('"') for number in sorted(etags)]
    if not all(_MD5.fullmatch(tag) for tag in tags):
        return None
    whole = hashlib.md5(bytes.fromhex("".join(tags)), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(tags)}"


def _list_of(parts: list[Part], etags: dict[int, str]) -> str:
    """Write what `complete` wants to be sent."""
    lines = (
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(etags[part.number])}</ETag></Part>"
        for part in parts
    )
    return f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{"".join(lines)}</CompleteMultipartUpload>'
