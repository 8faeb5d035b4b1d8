"""Read a video's header: what is in it, how it is timed, coloured and turned.

Light: needs av and the standard library, so that a laptop can probe a file over ranged reads.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehaul.errors import NotAVideo, TruncatedMedia, UnsupportedMedia
from framehaul.media import shortfall
from framehaul.media.colour import Colour
from framehaul.media.gate import CONTAINERS, DEFAULT_LIMITS, Limits, name_of, open_media, translated

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
_PACKETS_TO_FIRST_PICTURE = 256
_FETCH_AGAIN = "Fetch it again: this copy is not whole."


@dataclass(frozen=True)
class VideoInfo:
    """Describe the video stream. Sizes are as coded, before `rotation` and `sar` are applied by a player.

    `frames` is the header's own count, which mkv lacks; `rotation` is in degrees, counter-clockwise, and
    `display_matrix` (nine integers, libav's layout) is what it was read from.
    """

    codec: str
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    time_base: Fraction
    avg_rate: Fraction | None
    frames: int | None
    start_s: float
    duration_s: float | None
    colour: Colour
    sar: Fraction
    rotation: int
    display_matrix: tuple[int, ...] | None


@dataclass(frozen=True)
class AudioInfo:
    """Describe an audio stream: rate in Hz."""

    codec: str
    rate: int
    channels: int
    start_s: float


@dataclass(frozen=True)
class MediaInfo:
    """Describe a file: its container ("mp4" or "mkv"), size in bytes, streams; `other` names what is neither."""

    container: str
    duration_s: float | None
    size: int | None
    video: VideoInfo
    audio: tuple[AudioInfo, ...]
    other: tuple[str, ...]

    @property
    def frames_estimate(self) -> int | None:
        """Give the header's frame count, or duration × average rate; None where neither is known."""
        video = self.video
        duration = video.duration_s or self.duration_s
        if video.frames is not None or duration is None or not video.avg_rate:
            return video.frames
        return max(1, round(duration * float(video.avg_rate)))


def probe(source: Path | BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> MediaInfo:
    """Read the header and decode one picture (the display matrix and the true colour tags lie in it).

    A binary source must be seekable; it is left open, anywhere.
    Raises NotAVideo, TruncatedMedia (the file ends before its header says), UnsupportedMedia (sound, but beyond the
    limits or without a decoder), MediaError (unreadable).
    """
    with translated(f"{name_of(source)} cannot be read"):
        missing = _check_whole(source)
    with _opened(source, limits, missing) as container:
        video = video_stream(container, name_of(source))
        if missing:
            raise TruncatedMedia(_shortfall_sentence(container, video, source, missing), advice=_FETCH_AGAIN)
        return _describe(container, video, name_of(source), limits)


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Choose the first stream that is moving pictures: a cover is not."""
    for stream in container.streams.video:
        if not stream.disposition & _PICTURES:
            return stream
    what = "holds a cover picture, but no video" if container.streams.video else "holds no video"
    raise NotAVideo(f"{name} {what}{', only sound' if container.streams.audio else ''}.")


def seconds(value: int | None, time_base: Fraction | None) -> float | None:
    """Convert ticks to seconds; None stays None."""
    return None if value is None or time_base is None else float(value * time_base)


def _check_whole(source: Path | BinaryIO) -> int:
    """Refuse an empty file; count the bytes that are missing from one that breaks off."""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        if not file.seek(0, io.SEEK_END):
            raise NotAVideo(f"{name_of(source)} is empty.")
        return shortfall.missing_bytes(file)


def _opened(source: Path | BinaryIO, limits: Limits, missing: int) -> InputContainer:
    try:
        return open_media(source, limits)
    except NotAVideo as exc:
        if not missing:
            raise
        sentence = f"{name_of(source)} breaks off {missing} bytes before its header says, and its index is missing."
        raise TruncatedMedia(sentence, advice=_FETCH_AGAIN) from exc


def _shortfall_sentence(container: InputContainer, video: VideoStream, source: Path | BinaryIO, missing: int) -> str:
    """Say how much is there: in frames where the index tells, else in bytes."""
    total = video.frames
    if not total:
        return f"{name_of(source)} breaks off {missing} bytes before its header says."
    there = sum(entry.pos + entry.size <= container.size for entry in video.index_entries)
    return f"{name_of(source)} breaks off: {there} frames of {total} are there."


def _describe(container: InputContainer, video: VideoStream, name: str, limits: Limits) -> MediaInfo:
    duration_s = None if container.duration is None else container.duration / av.time_base
    info = MediaInfo(
        container=CONTAINERS[container.format.name.partition(",")[0]],
        duration_s=duration_s,
        size=container.size if container.size >= 0 else None,
        video=_describe_video(video, duration_s, name, limits),
        audio=tuple(_describe_audio(container)),
        other=tuple(_others(container, video)),
    )
    _check_limits(info, len(container.streams), name, limits)
    return info


def _describe_video(video: VideoStream, duration_s: float | None, name: str, limits: Limits) -> VideoInfo:
    context = video.codec_context
    if context is None:
        raise UnsupportedMedia(f"{name} has video in a codec that this version cannot decode.")
    if context.width * context.height > limits.max_pixels or not context.width * context.height:
        raise UnsupportedMedia(
            f"{name} claims pictures of {context.width}×{context.height}; up to {limits.max_pixels} pixels are taken."
        )
    picture = _first_picture(video)
    if picture is None:
        raise NotAVideo(f"{name} has a {context.name} stream, but no picture in it can be decoded.")
    pix_fmt = picture.format.name
    start_s = seconds(video.start_time, video.time_base) or 0.0
    return VideoInfo(
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        pix_fmt=pix_fmt,
        bit_depth=max(component.bits for component in VideoFormat(pix_fmt).components),
        time_base=cast(Fraction, video.time_base),
        avg_rate=video.average_rate or None,
        frames=video.frames or None,
        start_s=start_s,
        duration_s=seconds(video.duration, video.time_base) or (duration_s and duration_s - start_s),
        colour=Colour.of(picture, pix_fmt),
        sar=video.sample_aspect_ratio or Fraction(1),
        rotation=picture.rotation,
        display_matrix=_display_matrix(picture),
    )


def _first_picture(video: VideoStream) -> VideoFrame | None:
    """Decode one picture; the decoder is told that no more will come, so that it gives up the first at once.

    The packet goes in bare: a first packet that the edit list marks "discard" would give no picture.
    """
    packets = cast(InputContainer, video.container).demux(video)
    for packet in islice(packets, _PACKETS_TO_FIRST_PICTURE):
        with suppress(FFmpegError):
            for picture in video.decode(Packet(bytes(packet))) or video.decode(None):
                return picture
        video.codec_context.flush_buffers()
    return None


def _display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    matrix = picture.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else struct.unpack("=9i", bytes(cast(bytes, matrix)))


def _describe_audio(container: InputContainer) -> Iterable[AudioInfo]:
    for stream in container.streams.audio:
        context = stream.codec_context
        codec = context.codec.canonical_name if context else "unknown"
        rate, channels = (context.sample_rate, context.channels) if context else (0, 0)
        yield AudioInfo(codec, rate, channels, seconds(stream.start_time, stream.time_base) or 0.0)


def _others(container: InputContainer, video: VideoStream) -> Iterable[str]:
    for stream in container.streams:
        if stream is not video and stream.type != "audio":
            yield _named(stream)
    if chapters := len(container.chapters()):
        yield f"{chapters} chapters"


def _named(stream: Stream) -> str:
    """Name a stream for a person: "subtitle subrip (eng)", "cover picture mjpeg", "second video h264"."""
    kind = {"video": "second video"}.get(stream.type, stream.type)
    if stream.disposition & _PICTURES:
        kind = "cover picture"
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else stream.name
    language = f"({stream.language})" if stream.language else ""
    return " ".join(word for word in (kind, codec, language) if word)


def _check_limits(info: MediaInfo, streams: int, name: str, limits: Limits) -> None:
    if streams > limits.max_streams:
        raise UnsupportedMedia(f"{name} has {streams} streams; up to {limits.max_streams} are taken.")
    if (info.duration_s or 0) > limits.max_duration_s:
        hours = limits.max_duration_s / 3600
        raise UnsupportedMedia(f"{name} claims {info.duration_s:.0f} seconds; up to {hours:g} hours are taken.")
