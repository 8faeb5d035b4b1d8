"""Notice a file that ends before its own header says: an interrupted download or upload.

libav plays such files to where they break off and calls that the end. So the promise is read from the outermost
structure instead, in a few small reads, before anybody rents a machine:

- MP4 (ISO/IEC 14496-12 section 4.2): top-level boxes, each `size(4) type(4)`; size 1 means a 64-bit size follows,
  0 means "to the end of the file".
- Matroska (RFC 8794, RFC 9559): an EBML header, then a Segment whose size is a variable-length integer; all ones mean
  "unknown", as live recordings have.
"""

from __future__ import annotations

import io
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES_THAT_BIND = {b"mdat", b"moof", b"moov"}  # junk after the last box is common, and reads as a box of any size


def missing_bytes(file: BinaryIO, boxes: int = 64) -> int:
    """Count the bytes that the header promises beyond the end of a seekable file; 0 where it promises none.

    Of an mp4 the first so many `boxes` are walked: a long fragmented file has thousands, each only promising itself.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    promised = _matroska_end(file) if file.read(4) == _EBML else _mp4_end(file, size, boxes)
    return max(0, promised - size)


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
    file.seek(4)
    header = _ebml_size(file)
    if header is None:
        return 0
    file.seek(header, io.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    segment = _ebml_size(file)
    return 0 if segment is None else file.tell() + segment


def _ebml_size(file: BinaryIO) -> int | None:
    """Read a variable-length size at the current position; None for "unknown" and for what is none."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()  # leading zero bits + 1, in bytes
    rest = file.read(length - 1)
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 or len(rest) < length - 1 else value
