"""Encode RGB pictures into a file that appears under its name only when it is whole."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from av.codec.context import Flags
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehaul.errors import UnsupportedMedia
from framehaul.media.colour import Colour
from framehaul.media.containers import Container, container_of
from framehaul.media.draft import Draft
from framehaul.media.gate import DEFAULT_LIMITS, Limits, translated
from framehaul.media.pixels import Rgb, RgbWriter
from framehaul.media.probe import VideoInfo
from framehaul.media.sound import CopiedSound

_FALLBACK_RATE = Fraction(25)  # a hint for rate control where the source states none; time stamps rule
_MAX_ASPECT = 65535


@dataclass(frozen=True)
class _Codec:
    """Say what an encoder needs besides quality: its tag in mp4, and options."""

    mp4_tag: str
    options: tuple[tuple[str, str], ...] = ()


_CODECS = {
    "libx264": _Codec("avc1"),
    # Apple's players refuse HEVC under libav's default tag, hev1. x265 writes to stderr by itself.
    "libx265": _Codec("hvc1", (("x265-params", "log-level=error"),)),
}


@dataclass(frozen=True)
class EncoderSettings:
    """Choose the encoder (libx264 or libx265) and its quality.

    `crf` is constant quality: 0 is lossless for libx264, 17 hardly differs from the input. `pix_fmt` is 8-bit YUV.
    `options` are passed to the encoder as they are.
    """

    codec: str = "libx264"
    crf: float = 17
    preset: str = "medium"
    pix_fmt: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()


BALANCED = EncoderSettings()
FAST = EncoderSettings(crf=18, preset="veryfast")
ARCHIVE = EncoderSettings(crf=14, preset="slow")


class Encoder:
    """Write pictures of `size` (width, height) to `<target>.part`; `finish`, then `commit` to rename it.

    `like` is the source: its time base, rate, colour tags, display matrix and aspect ratio are carried over (the pixel
    aspect ratio is adjusted if `size` is not in the source's proportion). `sound` names a file whose audio is copied.

    4:2:0 halves width and height, so an odd picture is coded with full chroma (yuv444p): its size is exact, at the
    price of players that know only 4:2:0. Twice or four times any size is even.

    Leaving the `with` block without `commit` removes the part.
    """

    def __init__(
        self,
        target: Path,
        like: VideoInfo,
        size: tuple[int, int],
        *,
        settings: EncoderSettings = BALANCED,
        sound: Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.frames = 0
        self._name = target.name
        self._committed = False
        container = container_of(target)
        with ExitStack() as undo:
            self._sound = CopiedSound(sound, container, limits=limits) if sound else None
            if self._sound:
                undo.callback(self._sound.close)
            self._draft = Draft(target, container.muxer, container.muxer_options(like.time_base))
            undo.callback(self._draft.discard)
            with translated(f"{settings.codec} cannot make {target.name}", UnsupportedMedia):
                self._stream = _add_video(self._draft.output, container, like, size, settings)
                if self._sound:
                    self._sound.join(self._draft.output)
                self._draft.output.start_encoding()  # opens the encoder, writes the header: fail now, not in an hour
            if self._stream.codec_context.options:  # those that no one took
                unknown = ", ".join(self._stream.codec_context.options)
                raise UnsupportedMedia(f"{settings.codec} has no option {unknown}.")
            numbers = like.colour.numbers(like.width, like.height)
            self._writer = RgbWriter(numbers, *size, cast(str, self._stream.pix_fmt))
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._committed:
            self._undo.close()

    @property
    def sound_streams(self) -> int:
        """Count the audio streams that are copied."""
        return self._sound.streams if self._sound else 0

    @property
    def left_behind(self) -> tuple[str, ...]:
        """Name the audio streams that this container does not take."""
        return self._sound.left_behind if self._sound else ()

    def write(self, rgb: Rgb, pts: int, duration: int = 0) -> None:
        """Encode one picture, (H, W, 3), shown at `pts` for `duration` ticks of the source's time base."""
        picture = self._writer.write(rgb)
        picture.pts, picture.time_base, picture.duration = pts, self._stream.codec_context.time_base, duration
        self._encode(picture)

    def finish(self) -> None:
        """Encode what the encoder still holds, copy the rest of the sound, and write the index. Once."""
        self._encode(None)
        if self._sound:
            with translated(f"the sound of {self._name} cannot be copied"):
                self._sound.mux_until(self._draft.output, None)
            self._sound.close()
        self._draft.finish()

    def commit(self) -> None:
        """Give the finished file its name, replacing what was there."""
        self._draft.commit()
        self._committed = True

    def _encode(self, picture: VideoFrame | None) -> None:
        with translated(f"{self._name} cannot be encoded after frame {self.frames}"):
            for packet in self._stream.encode(picture):
                if self._sound and packet.dts is not None:
                    self._sound.mux_until(self._draft.output, packet.dts * packet.time_base)
                self._draft.output.mux_one(packet)
                self.frames += 1


def _add_video(
    output: OutputContainer, container: Container, source: VideoInfo, size: tuple[int, int], settings: EncoderSettings
) -> VideoStream:
    """Add the video stream, and carry over all that describes its pictures."""
    codec = _CODECS.get(settings.codec)
    if codec is None:
        raise UnsupportedMedia(f"{settings.codec} is no encoder of this version; {', '.join(sorted(_CODECS))} are.")
    rate = source.avg_rate or _FALLBACK_RATE
    stream = cast(VideoStream, output.add_stream(settings.codec, rate=rate, time_base=source.time_base))
    stream.options = {"crf": f"{settings.crf:g}", "preset": settings.preset, **dict(codec.options + settings.options)}
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else settings.pix_fmt
    aspect = source.sar * Fraction(source.width * size[1], source.height * size[0])
    context.sample_aspect_ratio = aspect.limit_denominator(_MAX_ASPECT)
    context.thread_type = "AUTO"  # PyAV's default is slices, with which x264 cuts each picture into strips
    context.flags |= Flags.frame_duration  # keeps the last picture's duration, which no later time stamp tells
    if container.muxer == "mp4":
        context.codec_tag = codec.mp4_tag
    _tag(stream, source.colour.tags_for((source.width, source.height), size))
    stream.set_display_matrix(source.display_matrix)
    return stream


def _tag(stream: VideoStream, colour: Colour) -> None:
    context = stream.codec_context
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
