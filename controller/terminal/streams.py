"""Streams that outlast their readers: who reads must decide neither how a command ends nor its exit code.

Light on purpose: this is loaded before everything else.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutlastingFile(io.FileIO):
    """Take what nobody can be given any more as written, and remember why."""

    trouble: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        """Write, as long as that works."""
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as exc:
                self.trouble = exc
        return memoryview(data).nbytes


def outlast_readers() -> None:
    """Put such streams in the places of stdout and stderr; what the shell closed (`>&-`) leads nowhere.

    Closed descriptors are filled first: else the next file that is opened, the ledger, would be stdout to a child.
    """
    for descriptor in range(3):
        _fill(descriptor)
    sys.stdout, sys.stderr = _outlasting(sys.stdout, 1), _outlasting(sys.stderr, 2)


def trouble_of(stream: TextIO) -> OSError | None:
    """Say why nothing arrives there any more: BrokenPipeError where the reader left; None while all is well."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.trouble if isinstance(raw, OutlastingFile) else None


def _fill(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
        os.set_inheritable(descriptor, True)


def _outlasting(stream: TextIO | None, descriptor: int) -> TextIO:
    """Build a stream on the same descriptor that writes as the one before did."""
    held = io.BufferedWriter(OutlastingFile(descriptor, "wb", closefd=False))
    if not isinstance(stream, io.TextIOWrapper):
        return io.TextIOWrapper(held, encoding="utf-8", errors="replace")
    stream.flush()
    return io.TextIOWrapper(
        held,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
