"""Walk the elements of a Matroska or WebM file (RFC 8794, RFC 9559), header to header, to see that they join.

libav passes over what is damaged in silence and plays on behind it, with the pictures and the sound in between lost.
An element is `id(1-4) size(1-8) content`, both of variable length; a size of all ones means "unknown", as live
recordings have for their Segment and Clusters: such an element ends where one comes that belongs outside.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
_CLUSTER, _BLOCK_GROUP = 0x1F43B675, 0xA0
_ANYWHERE = frozenset({0xEC, 0xBF})  # Void, CRC-32
_CHILDREN = {
    None: {EBML, SEGMENT},
    # SeekHead, Info, Tracks, Cluster, Cues, Attachments, Chapters, Tags
    SEGMENT: {0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367},
    # Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock
    _CLUSTER: {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, _BLOCK_GROUP, 0xAF},
    # Block, BlockVirtual, BlockAdditions, BlockDuration, ReferencePriority, ReferenceBlock, ReferenceVirtual,
    # CodecState, DiscardPadding, Slices, ReferenceFrame
    _BLOCK_GROUP: {0xA1, 0xA2, 0x75A1, 0x9B, 0xFA, 0xFB, 0xFD, 0xA4, 0x75A2, 0x8E, 0xC8},
}
_LONGEST_HEAD = 12


@dataclass(frozen=True)
class Element:
    """Say what an element is, where its content begins, and where that ends; None for "unknown"."""

    kind: int
    body: int
    end: int | None


def element_at(file: BinaryIO, position: int) -> Element | None:
    """Read an element's head; None for what is none."""
    file.seek(position)
    head = file.read(_LONGEST_HEAD)
    length = _length(head)
    if not 0 < length <= 4:
        return None
    size, body = head[length:], position + length + _length(head[length:])
    if not size or not size[0] or len(size) < _length(size):
        return None
    unknown = (1 << 7 * _length(size)) - 1
    value = int.from_bytes(size[: _length(size)], "big") & unknown
    return Element(int.from_bytes(head[:length], "big"), body, None if value == unknown else body + value)


def first_break(file: BinaryIO, elements: int) -> int | None:
    """Give the position from which on a seekable file makes no sense; None where so many `elements` join.

    A file that merely ends early, or has something behind its Segment, does not break in this sense.
    """
    size = file.seek(0, io.SEEK_END)
    inside: list[Element] = []  # the elements that are open, outermost first
    position = 0
    for _ in range(elements):
        element = element_at(file, position)
        _leave(inside, position, element)
        if position >= size or not (inside or (element and _is_child(element, None))):
            return None
        if element is None:
            return None if position + _LONGEST_HEAD > size else position
        if not _fits(file, element, inside, size):
            return position
        if element.kind in _CHILDREN:
            inside.append(element)
            position = element.body
        elif element.end is not None:
            position = element.end
        else:
            return position
    return None


def _leave(inside: list[Element], position: int, element: Element | None) -> None:
    """Close what ends at `position`, or, being of unknown size, at an element that belongs further out."""
    while inside and (end := inside[-1].end) is not None and position >= end:
        inside.pop()
    while element and inside and inside[-1].end is None and not _is_child(element, inside[-1]):
        if not any(_is_child(element, outer) for outer in (None, *inside[:-1])):
            return
        inside.pop()


def _is_child(element: Element, outer: Element | None) -> bool:
    return element.kind in _CHILDREN[outer.kind if outer else None] or element.kind in _ANYWHERE


def _fits(file: BinaryIO, element: Element, inside: list[Element], size: int) -> bool:
    """Say whether an element can be where it is: known there, or followed by one that is; and not beyond its frame."""
    outer = inside[-1] if inside else None
    frame_end = next((frame.end for frame in reversed(inside) if frame.end is not None), None)
    if element.end is not None and frame_end is not None and element.end > frame_end:
        return False
    if _is_child(element, outer):
        return True
    if element.end is None or element.end > size:
        return False
    behind = element_at(file, element.end)
    return element.end == frame_end or (behind is not None and _is_child(behind, outer))


def _length(head: bytes) -> int:
    """Give how many bytes a number has, by its leading zero bits; 9 for what is no number, or nothing."""
    return 9 - head[0].bit_length() if head else 9
