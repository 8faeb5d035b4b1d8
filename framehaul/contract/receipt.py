"""The proof that an agent hands over: per output its size, sha256, and a digest per 8 MiB.

The receipt is held against the store; the sentinel only says that this very attempt wrote this very receipt.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from framehaul.contract.spec import FileName
from framehaul.contract.wire import Epoch, JobId, Sha256, Slot, Wire
from framehaul.errors import ContractError

CHUNK_BYTES = 8 << 20


class OutputReceipt(Wire):
    """What one output holds, and where it was put."""

    slot: Slot
    name: FileName
    uri: str
    size: Annotated[int, Field(ge=0)]
    sha256: Sha256
    chunk_bytes: Annotated[int, Field(ge=1)] = CHUNK_BYTES
    chunks: tuple[Sha256, ...]
    download_url: str | None = None

    @model_validator(mode="after")
    def _chunks_cover_the_size(self) -> OutputReceipt:
        expected = -(-self.size // self.chunk_bytes)
        if len(self.chunks) != expected:
            raise ValueError(f"{self.size} bytes are {expected} chunks, the receipt has {len(self.chunks)}")
        return self


class Receipt(Wire):
    """All outputs of one attempt, the manifest included."""

    version: Literal[1] = 1
    job_id: JobId
    attempt: Annotated[int, Field(ge=1)]
    spec_digest: Sha256
    outputs: Annotated[tuple[OutputReceipt, ...], Field(min_length=1)]
    finished_at: Epoch

    def output(self, slot: str) -> OutputReceipt:
        """Find one slot's entry."""
        for entry in self.outputs:
            if entry.slot == slot:
                return entry
        raise ContractError(f"The receipt of {self.job_id} has no output slot {slot!r}.")


class Sentinel(Wire):
    """The last file that an attempt writes. Yesterday's proves nothing: job, attempt and digest must match."""

    job_id: JobId
    attempt: int
    receipt_sha256: Sha256

    def vouches_for(self, receipt: Receipt) -> bool:
        """Say whether this sentinel was written for this receipt."""
        told = (receipt.job_id, receipt.attempt, receipt.digest())
        return (self.job_id, self.attempt, self.receipt_sha256) == told


class ChunkHasher:
    """Hash a stream as a whole and per 8 MiB, in one pass."""

    def __init__(self, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.chunk_bytes = chunk_bytes
        self.size = 0
        self._whole = hashlib.sha256()
        self._chunk = hashlib.sha256()
        self._chunks: list[str] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the stream."""
        view = memoryview(data).cast("B")
        self._whole.update(view)
        while view:
            room = self.chunk_bytes - self.size % self.chunk_bytes
            piece, view = view[:room], view[room:]
            self._chunk.update(piece)
            self.size += len(piece)
            if self.size % self.chunk_bytes == 0:
                self._close_chunk()

    def receipt(self, slot: str, name: str, uri: str) -> OutputReceipt:
        """Give the entry of the bytes so far."""
        unfinished = (self._chunk.hexdigest(),) if self.size % self.chunk_bytes else ()
        return OutputReceipt(
            slot=slot,
            name=name,
            uri=uri,
            size=self.size,
            sha256=self._whole.hexdigest(),
            chunk_bytes=self.chunk_bytes,
            chunks=(*self._chunks, *unfinished),
        )

    def _close_chunk(self) -> None:
        self._chunks.append(self._chunk.hexdigest())
        self._chunk = hashlib.sha256()
