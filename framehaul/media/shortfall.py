"""Notice a file that ends before its own header says, or has a hole: an interrupted download or upload.

libav plays such files to where they break off and calls that the end, or passes over the hole. So the promise is read
from the outermost structure instead, in a few small reads, before anybody rents a machine:

- MP4 (ISO/IEC 14496-12 section 4.2): top-level boxes, each `size(4) type(4)`; size 1 means a 64-bit size follows,
  0 means "to the end of the file".
- Matroska (RFC 8794, RFC 9559): an EBML header, then a Segment that states its size or not, and in it elements that
  join (see matroska.py).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from framehaul.media import matroska

_EBML = matroska.EBML.to_bytes(4, "big")
_BOXES_THAT_BIND = {b"mdat", b"moof", b"moov"}  # junk after the last box is common, and reads as a box of any size


@dataclass(frozen=True)
class Extent:
    """Say how many bytes of a file are there, up to its end or its first hole, of how many that it promises."""

    intact: int
    promised: int

    @property
    def missing(self) -> int:
        """Count the bytes that are promised and not there; what lies behind a hole counts as missing."""
        return self.promised - self.intact


def extent_of(file: BinaryIO, boxes: int = 64, elements: int = 16) -> Extent:
    """Hold a seekable file against what it promises.

    Up to so many `boxes` of an mp4 or `elements` of an mkv are walked: a long file has many, and each costs a read.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != _EBML:
        return Extent(size, max(size, _mp4_end(file, size, boxes)))
    hole = matroska.first_break(file, elements)
    return Extent(size if hole is None else hole, max(size, _matroska_end(file)))


def _mp4_end(file: BinaryIO, size: int, boxes: int) -> int:
    """Walk the top-level boxes."""
    position = 0
    for _ in range(boxes):
        file.seek(position)
        head = file.read(16)
        kind, length = head[4:8], int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or length < 8:
            return 0
        position += length
        if position > size:
            return position if kind in _BOXES_THAT_BIND else 0
    return 0


def _matroska_end(file: BinaryIO) -> int:
    """Give where the Segment ends; 0 where it does not say."""
    header = matroska.element_at(file, 0)
    segment = matroska.element_at(file, header.end) if header and header.end else None
    return segment.end or 0 if segment and segment.kind == matroska.SEGMENT else 0
