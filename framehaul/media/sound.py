"""Carry a source's sound into another file, packet by packet: nothing is decoded and no time stamp is changed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from framehaul.errors import MediaError
from framehaul.media.containers import Container
from framehaul.media.gate import DEFAULT_LIMITS, Limits, open_media

# Other stream metadata (mkvmerge's statistics, vendor ids) tells of the old file.
_KEPT_METADATA = ("language", "title", "handler_name")


class CopiedSound:
    """Read the audio streams of `source` a second time, beside the decoder, and mux them as the video advances.

    A second reader costs one more pass over a local file and keeps sound out of the picture queues.
    `left_behind` names the audio streams that `container` does not take. Call `join` once, then `mux_until`, then
    `close`; always from one thread at a time.
    """

    def __init__(self, source: Path, container: Container, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.left_behind: tuple[str, ...] = ()
        self.streams = 0
        self._name = source.name
        self._allowed = container.audio
        self._input = open_media(source, limits)
        self._targets: dict[int, AudioStream] = {}
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None

    def join(self, output: OutputContainer) -> None:
        """Add a stream to `output` for each one that it takes. Call before anything is muxed."""
        taken = []
        for stream in self._input.streams.audio:
            if self._takes(output, stream):
                self._targets[stream.index] = _like(output, stream)
                taken.append(stream)
            else:
                self.left_behind += (f"audio {_codec(stream)}",)
        self.streams = len(taken)
        if taken:
            self._packets = self._input.demux(tuple(taken))
            self._next = self._following()

    def mux_until(self, output: OutputContainer, time_s: Fraction | None) -> None:
        """Mux every packet that is due by `time_s`; all that are left for None."""
        while self._next is not None and (time_s is None or _due(self._next) <= time_s):
            packet, self._next = self._next, self._following()
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
        for packet in self._packets:
            if not packet.size:  # PyAV's request to flush a decoder; nothing is decoded here
                continue
            if packet.dts is None and packet.pts is None:
                raise MediaError(f"{self._name} has sound without time stamps.")
            return packet
        return None


def _like(output: OutputContainer, stream: AudioStream) -> AudioStream:
    copy = output.add_stream_from_template(stream)
    copy.metadata.update({key: stream.metadata[key] for key in _KEPT_METADATA if key in stream.metadata})
    copy.disposition = stream.disposition
    return copy


def _codec(stream: AudioStream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context else "unknown"


def _due(packet: Packet[AudioStream]) -> Fraction:
    ticks = packet.pts if packet.dts is None else packet.dts
    return cast(int, ticks) * packet.time_base
