"""Carry a source's sound into another file, packet by packet: nothing is decoded, and times move by one amount."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from framehaul.errors import MediaError, TruncatedMedia
from framehaul.media.containers import Container
from framehaul.media.gate import DEFAULT_LIMITS, Limits, open_media
from framehaul.media.span import UNCUT, Cut

# Other stream metadata (mkvmerge's statistics, vendor ids) tells of the old file.
_KEPT_METADATA = ("language", "title", "handler_name")
_OPUS_RATE, _ROUNDED_S = 48_000, Fraction(1, 1000)  # mkv's times are whole milliseconds
_STEP_BACK_S = 1  # streams of one moment lie about so far apart in a file


class CopiedSound:
    """Read the audio streams of `source` a second time, beside the decoder, and mux them as the video advances.

    A second reader costs one more pass over a local file and keeps sound out of the picture queues.
    Of a `cut`, those packets are taken that begin within it, and their times count from its origin.
    A container without edit lists gets none that the source's edit list hides, or that lies before zero: its muxer
    would move everything, the pictures too, to make room.
    `left_behind` names the audio streams that `container` does not take. Call `join` once, then `mux_until`, then
    `close`; always from one thread at a time. Raises TruncatedMedia where the file ends within a packet, unless
    `allow_truncated` makes that the end of the sound.
    """

    def __init__(
        self,
        source: Path,
        container: Container,
        *,
        cut: Cut = UNCUT,
        allow_truncated: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.left_behind: tuple[str, ...] = ()
        self._name = source.name
        self._allowed = container.audio
        self._hides_sound = container.hides_sound
        self._cut = cut
        self._allow_truncated = allow_truncated
        self._input, self._packets = _wound(source, cut, limits)
        self._targets: dict[int, AudioStream] = {}
        self._unfinished: set[int] = set()
        self._next: Packet[AudioStream] | None = None

    @property
    def streams(self) -> int:
        """Count the streams that are copied."""
        return len(self._targets)

    def join(self, output: OutputContainer) -> None:
        """Add a stream to `output` for each one that it takes. Call before anything is muxed."""
        for stream in self._input.streams.audio:
            if self._takes(output, stream):
                self._targets[stream.index] = _like(output, stream)
            else:
                self.left_behind += (f"audio {_codec(stream)}",)
        self._unfinished = set(self._targets)
        self._next = self._following()

    def mux_until(self, output: OutputContainer, time_s: Fraction | None) -> None:
        """Mux every packet that is due by `time_s` of the output; all that are left for None."""
        while self._next is not None and (time_s is None or _due_s(self._next) - self._cut.origin_s <= time_s):
            packet, self._next = self._next, self._following()
            self._shift(packet)
            packet.stream = self._targets[packet.stream_index]
            output.mux_one(packet)

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def _takes(self, output: OutputContainer, stream: AudioStream) -> bool:
        codec = _codec(stream)
        if self._allowed is not None:
            return codec in self._allowed
        return stream.codec_context is not None and stream.codec_context.codec.name in output.supported_codecs

    def _following(self) -> Packet[AudioStream] | None:
        """Give the next packet of the cut."""
        while self._unfinished and (packet := self._read()) is not None:
            if packet.stream_index not in self._unfinished:
                continue
            due_s = _due_s(packet)
            if self._cut.is_beyond(due_s):
                self._unfinished.remove(packet.stream_index)
            elif not self._cut.is_before(due_s) and not self._is_hidden(packet, due_s):
                return packet
        return None

    def _is_hidden(self, packet: Packet[AudioStream], due_s: Fraction) -> bool:
        """Say whether a packet is outside of the source's edit list or before zero, and the target cannot say so."""
        if self._hides_sound:
            return False
        return packet.is_discard or due_s < self._cut.origin_s - _lead_in_s(packet.stream)

    def _read(self) -> Packet[AudioStream] | None:
        """Read on to the next packet with something in it; an empty one is PyAV's request to flush a decoder."""
        try:
            packet = next((packet for packet in self._packets if packet.size), None)
        except FFmpegError:
            if self._allow_truncated:
                return None
            raise
        if packet is None:
            return None
        if packet.is_corrupt:  # libav's mark for one that the file ends within
            if self._allow_truncated:
                return None
            raise TruncatedMedia(f"{self._name} breaks off within its sound.")
        if packet.dts is None and packet.pts is None:
            raise MediaError(f"{self._name} has sound without time stamps.")
        return packet

    def _shift(self, packet: Packet[AudioStream]) -> None:
        origin = round(self._cut.origin_s / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - origin
        packet.dts = None if packet.dts is None else packet.dts - origin


def _wound(source: Path, cut: Cut, limits: Limits) -> tuple[InputContainer, Iterator[Packet[AudioStream]]]:
    """Open the source where all sound of the cut lies ahead: a second before, further if need be, or the beginning."""
    container = open_media(source, limits)
    back_s = Fraction(_STEP_BACK_S)
    first_s = Fraction(container.start_time or 0, av.time_base)
    while cut.start_s is not None and container.streams.audio and cut.start_s - back_s > first_s:
        try:
            container.seek(int((cut.start_s - back_s) * av.time_base))
            packets = container.demux(audio=tuple(range(len(container.streams.audio))))
            found = next((packet for packet in packets if packet.size), None)
        except FFmpegError:  # it cannot be sought
            break
        if found is not None and _has_time(found) and _due_s(found) <= cut.start_s:
            return container, cast("Iterator[Packet[AudioStream]]", chain([found], packets))
        back_s *= 2
    if cut.start_s is not None:
        container.close()
        container = open_media(source, limits)
    return container, container.demux(container.streams.audio)


def _like(output: OutputContainer, stream: AudioStream) -> AudioStream:
    copy = output.add_stream_from_template(stream)
    copy.metadata.update({key: stream.metadata[key] for key in _KEPT_METADATA if key in stream.metadata})
    copy.disposition = stream.disposition
    return copy


def _lead_in_s(stream: AudioStream) -> Fraction:
    """Give how far before zero mkv takes sound: as far as Opus says in its own head (RFC 7845 section 5.1)."""
    head = (stream.codec_context.extradata if stream.codec_context else None) or b""
    if not head.startswith(b"OpusHead"):
        return Fraction(0)
    return Fraction(int.from_bytes(head[10:12], "little"), _OPUS_RATE) + _ROUNDED_S


def _codec(stream: AudioStream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context else "unknown"


def _has_time(packet: Packet[AudioStream]) -> bool:
    return packet.dts is not None or packet.pts is not None


def _due_s(packet: Packet[AudioStream]) -> Fraction:
    ticks = packet.pts if packet.dts is None else packet.dts
    return cast(int, ticks) * packet.time_base
