"""Read a video's header: what is in it, how it is timed, coloured and turned.

Light: needs av and the standard library, so that a laptop can probe a file over ranged reads.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
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
from framehaul.media.gate import DEFAULT_LIMITS, Limits, container_name, name_of, open_media, translated
from framehaul.media.span import Span

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
# Boxes of mp4, elements of mkv: each costs a read, and over a network a request.
_FROM_AFAR, _AT_HAND = (64, 16), (1_000_000, 10_000_000)
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
_PACKETS_TO_FIRST_PICTURE = 256
NOT_WHOLE = "Fetch it again: this copy is not whole. Or take what is there, with --allow-truncated."
_FETCH_AGAIN = "Fetch it again: nothing in this copy can be shown."


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
    """Describe a file: its container (mp4, mov or mkv), size in bytes, streams; `other` names what is neither.

    Of a file that breaks off, `shortfall` says how much is there, and `frames_there` counts it (in mkv about).
    What lies from byte `intact_bytes` on is behind the break, or behind a hole.
    """

    container: str
    duration_s: float | None
    size: int | None
    video: VideoInfo
    audio: tuple[AudioInfo, ...]
    other: tuple[str, ...]
    shortfall: str = ""
    frames_there: int | None = None
    intact_bytes: int | None = None

    @property
    def frames_estimate(self) -> int | None:
        """Give the header's frame count, or duration × average rate; None where neither is known.

        A header counts pictures that its edit list hides as well; then the product is smaller, and right.
        """
        counted, shown = self.video.frames, self._shown
        if shown is None or (counted is not None and shown > counted - 1):
            return counted
        return max(1, round(shown))

    def frames_within(self, span: Span) -> int | None:
        """Estimate the frames of a span that are there to work on."""
        frames = span.frames_within(self._shown or self.video.frames, self._duration_s)
        if span.whole:
            frames = self.frames_estimate
        if frames is None or self.frames_there is None:
            return frames
        before = Span(0, span.start_s).frames_within(self._shown, self._duration_s) if span.start_s else 0
        return max(0, min(frames, self.frames_there - (before or 0)))

    @property
    def length_s(self) -> float | None:
        """Give how long the pictures last, of a file that breaks off those that are there; None where nobody knows."""
        if self.frames_there is None or not self._shown or self._duration_s is None:
            return self._duration_s
        return self._duration_s * min(1.0, self.frames_there / self._shown)

    @property
    def _duration_s(self) -> float | None:
        return self.video.duration_s or self.duration_s

    @property
    def _shown(self) -> float | None:
        rate, duration_s = self.video.avg_rate, self._duration_s
        return None if duration_s is None or not rate else duration_s * float(rate)


def probe(source: Path | BinaryIO, *, limits: Limits = DEFAULT_LIMITS, allow_truncated: bool = False) -> MediaInfo:
    """Read the header and decode one picture (the display matrix and the true colour tags lie in it).

    A binary source must be seekable; it is left open, anywhere.
    Raises NotAVideo, TruncatedMedia (the file ends before its header says; with `allow_truncated` only where nothing
    in it can be shown), UnsupportedMedia (sound, but beyond the limits or without a decoder), MediaError (unreadable).
    """
    name = name_of(source)
    with translated(f"{name} cannot be read"):
        extent = _check_whole(source)
    missing = extent.missing
    with _opened(source, limits, missing) as container:
        video = video_stream(container, name)
        try:
            info = _describe(container, video, name, limits)
        except NotAVideo as exc:
            if not missing:
                raise
            raise TruncatedMedia(f"{name} breaks off within its first picture.", advice=_FETCH_AGAIN) from exc
        if missing:
            info = _broken_off(info, video, name, extent)
    if info.shortfall and not allow_truncated:
        raise TruncatedMedia(info.shortfall, advice=NOT_WHOLE)
    return info


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


def _check_whole(source: Path | BinaryIO) -> shortfall.Extent:
    """Refuse an empty file; measure one that breaks off."""
    if not isinstance(source, Path):
        return _extent(source, name_of(source), _FROM_AFAR)
    with source.open("rb") as file:
        return _extent(file, source.name, _AT_HAND)


def _extent(file: BinaryIO, name: str, bounds: tuple[int, int]) -> shortfall.Extent:
    if not file.seek(0, io.SEEK_END):
        raise NotAVideo(f"{name} is empty.")
    return shortfall.extent_of(file, *bounds)


def _opened(source: Path | BinaryIO, limits: Limits, missing: int) -> InputContainer:
    try:
        return open_media(source, limits)
    except NotAVideo as exc:
        if not missing:
            raise
        sentence = f"{name_of(source)} breaks off {missing} bytes before its header says, and its index is missing."
        raise TruncatedMedia(sentence, advice=_FETCH_AGAIN) from exc


def _broken_off(info: MediaInfo, video: VideoStream, name: str, extent: shortfall.Extent) -> MediaInfo:
    """Say how much is there: in frames where the index or the bytes tell, else in bytes."""
    total = info.frames_estimate
    info = replace(info, intact_bytes=extent.intact)
    if info.video.frames:
        there = sum(entry.pos + entry.size <= extent.intact for entry in video.index_entries)
        return replace(info, frames_there=there, shortfall=breaks_off(name, there, total))
    if total and info.container == "mkv":  # states how long the whole is, where a fragmented mp4 may not
        there = round(total * extent.intact / extent.promised)
        return replace(info, frames_there=there, shortfall=breaks_off(name, there, total, "about "))
    if there := sum(entry.pos + entry.size <= extent.intact for entry in video.index_entries):
        sentence = f"{name} breaks off: {there} frames are there, of an unknown number."
        return replace(info, frames_there=there, shortfall=sentence)
    return replace(info, shortfall=f"{name} breaks off {extent.missing} bytes before its header says.")


def breaks_off(name: str, there: int, total: int | None, about: str = "") -> str:
    """Say how many frames are there, and of how many if that is known."""
    of = f" of {total}" if total and total >= there else ""
    return f"{name} breaks off: {about}{there} frames{of} are there."


def _describe(container: InputContainer, video: VideoStream, name: str, limits: Limits) -> MediaInfo:
    duration_s = None if container.duration is None else container.duration / av.time_base
    picture = _require_picture(video, name, limits)
    info = MediaInfo(
        container=container_name(container),
        duration_s=duration_s,
        size=container.size if container.size >= 0 else None,
        video=_describe_video(video, picture, duration_s),
        audio=tuple(_describe_audio(container)),
        other=(*_others(container, video), *_lost_in(picture, video)),
    )
    _check_limits(info, len(container.streams), name, limits)
    return info


def _require_picture(video: VideoStream, name: str, limits: Limits) -> VideoFrame:
    context = video.codec_context
    if context is None:
        raise UnsupportedMedia(f"{name} has video in a codec that this version cannot decode.")
    if not 0 < context.width * context.height <= limits.max_pixels:
        # libav itself turns down what is beyond its integers, and then reports no size at all.
        claim = f"of {context.width}×{context.height}" if context.width else "of an impossible size"
        raise UnsupportedMedia(f"{name} claims pictures {claim}; up to {limits.max_pixels} pixels are taken.")
    picture = _first_picture(video)
    if picture is None:
        raise NotAVideo(f"{name} has a {context.name} stream, but no picture in it can be decoded.")
    return picture


def _describe_video(video: VideoStream, picture: VideoFrame, duration_s: float | None) -> VideoInfo:
    context = video.codec_context
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
        duration_s=seconds(video.duration, video.time_base) or _length_s(video, start_s, duration_s),
        colour=Colour.of(picture, pix_fmt),
        sar=video.sample_aspect_ratio or Fraction(1),
        rotation=picture.rotation,
        display_matrix=_display_matrix(picture),
    )


def _length_s(video: VideoStream, start_s: float, file_s: float | None) -> float | None:
    """Tell the length of a stream of mkv from its DURATION tag, which is where it ends; else from the file's."""
    if file_s is None:
        return None
    tagged_s = stated_end_s(video)
    return (tagged_s if tagged_s and start_s < tagged_s < file_s else file_s) - start_s


def stated_end_s(video: VideoStream) -> float | None:
    """Read when a stream of mkv ends from its DURATION tag, where it has one."""
    clock = _CLOCK.fullmatch(video.metadata.get("DURATION", ""))
    if clock is None:
        return None
    hours, minutes, rest = map(float, clock.groups())
    return 3600 * hours + 60 * minutes + rest


def _first_picture(video: VideoStream) -> VideoFrame | None:
    """Decode one picture; the decoder is told that no more will come, so that it gives up the first at once.

    The packet goes in bare: a first packet that the edit list marks "discard" would give no picture.
    """
    for packet in _first_packets(video):
        with suppress(FFmpegError):
            for picture in video.decode(Packet(bytes(packet))) or video.decode(None):
                return picture
        video.codec_context.flush_buffers()
    return None


def _first_packets(video: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Give the packets at the beginning, as far as the container can be read."""
    with suppress(FFmpegError):
        yield from islice(cast(InputContainer, video.container).demux(video), _PACKETS_TO_FIRST_PICTURE)


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


def _lost_in(picture: VideoFrame, video: VideoStream) -> Iterable[str]:
    """Name what is in the pictures and is not carried over. VP8 and VP9 keep transparency beside them, as WebM says."""
    if video.metadata.get("alpha_mode") == "1" or any(part.is_alpha for part in picture.format.components):
        yield "transparency"
    if picture.interlaced_frame:
        yield "interlacing: fields are woven, this version does not deinterlace"


def _named(stream: Stream) -> str:
    """Name a stream for a person: "subtitle subrip (eng)", "cover picture mjpeg", "second video h264"."""
    kind = {"video": "second video"}.get(stream.type, stream.type)
    if stream.disposition & _PICTURES:
        kind = "cover picture"
    # Without a decoder PyAV knows no name either.
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    language = f"({stream.language})" if stream.language else ""
    return " ".join(word for word in (kind, codec, language) if word)


def _check_limits(info: MediaInfo, streams: int, name: str, limits: Limits) -> None:
    if streams > limits.max_streams:
        raise UnsupportedMedia(f"{name} has {streams} streams; up to {limits.max_streams} are taken.")
    if (info.duration_s or 0) > limits.max_duration_s:
        hours = limits.max_duration_s / 3600
        raise UnsupportedMedia(f"{name} claims {info.duration_s:.0f} seconds; up to {hours:g} hours are taken.")
