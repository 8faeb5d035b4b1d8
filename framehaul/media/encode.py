"""Encode RGB pictures into a file that appears under its name only when it is whole."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
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
from framehaul.media.quality import ARCHIVE, BALANCED, DIALECTS, FAST, LOSSLESS, EncoderSettings, encoder_for
from framehaul.media.sound import CopiedSound
from framehaul.media.span import UNCUT, Cut

__all__ = ["ARCHIVE", "BALANCED", "FAST", "LOSSLESS", "Encoder", "EncoderSettings", "encoder_for"]

_FALLBACK_RATE = Fraction(25)  # a hint for rate control where the source states none; time stamps rule
_MAX_ASPECT = 65535


class Encoder:
    """Write pictures of `size` (width, height) to `<target>.part`; `finish`, then `commit` to rename it.

    `like` is the source: its time base, rate, colour tags, display matrix and aspect ratio are carried over (the pixel
    aspect ratio is adjusted if `size` is not in the source's proportion). `sound` names a file whose audio is copied,
    as far as `cut` holds it. Settings that the container does not take are translated by `encoder_for`.

    4:2:0 halves width and height, so H.264 and HEVC code an odd picture with full chroma (yuv444p): its size is exact,
    at the price of players that know only 4:2:0. Twice or four times any size is even.

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
        cut: Cut = UNCUT,
        allow_truncated: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.frames = 0
        self._name = target.name
        self._committed = False
        container = container_of(target)
        settings = encoder_for(target.suffix, settings)
        with ExitStack() as undo:
            self._sound = None
            if sound:
                self._sound = CopiedSound(sound, container, cut=cut, allow_truncated=allow_truncated, limits=limits)
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
            aspect = self._stream.codec_context.sample_aspect_ratio
            told = DIALECTS[settings.codec].tells_aspect or aspect in (None, 1)
            self._lost = () if told or aspect is None else (f"pixel shape {aspect.numerator}:{aspect.denominator}",)
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
        """Name the audio streams that this container does not take, and what else of the source is lost in it."""
        return (self._sound.left_behind if self._sound else ()) + self._lost

    def write(self, rgb: Rgb, pts: int, duration: int = 0) -> None:
        """Encode one picture, (H, W, 3), shown at `pts` for `duration` ticks of the source's time base."""
        picture = self._writer.write(rgb)
        picture.pts, picture.time_base, picture.duration = pts, self._stream.codec_context.time_base, duration
        self._encode(picture)

    def finish(self, sound_end_s: Fraction | None = None) -> None:
        """Encode what the encoder still holds, copy the rest of the sound, and write the index. Once.

        Sound from `sound_end_s` on is left out, where that is given.
        """
        self._encode(None)
        if self._sound:
            with translated(f"the sound of {self._name} cannot be copied"):
                self._sound.mux_until(self._draft.output, sound_end_s)
            self._sound.close()
        self._draft.finish()

    def commit(self) -> None:
        """Give the finished file its name, replacing what was there."""
        self._draft.commit()
        self._committed = True

    def _encode(self, picture: VideoFrame | None) -> None:
        with self._here():
            packets = self._stream.encode(picture)
        for packet in packets:
            with self._here():
                if self._sound and packet.dts is not None:
                    self._sound.mux_until(self._draft.output, packet.dts * packet.time_base)
                self._draft.output.mux_one(packet)
            self.frames += 1

    def _here(self) -> AbstractContextManager[None]:
        return translated(f"{self._name} cannot be encoded after frame {self.frames}")


def _add_video(
    output: OutputContainer, container: Container, source: VideoInfo, size: tuple[int, int], settings: EncoderSettings
) -> VideoStream:
    """Add the video stream, and carry over all that describes its pictures."""
    dialect = DIALECTS[settings.codec]
    rate = source.avg_rate or _FALLBACK_RATE
    stream = cast(VideoStream, output.add_stream(settings.codec, rate=rate, time_base=source.time_base))
    stream.options = {**dialect.words(settings), **dict(settings.options)}
    context = stream.codec_context
    context.width, context.height = size
    odd = bool(size[0] % 2 or size[1] % 2)
    context.pix_fmt = "yuv444p" if odd and not dialect.odd_420 else settings.pix_fmt
    aspect = source.sar * Fraction(source.width * size[1], source.height * size[0])
    context.sample_aspect_ratio = aspect.limit_denominator(_MAX_ASPECT)
    context.thread_type = "AUTO"  # PyAV's default is slices, with which x264 cuts each picture into strips
    context.flags |= Flags.frame_duration  # keeps the last picture's duration, which no later time stamp tells
    if container.is_mp4:
        context.codec_tag = dialect.mp4_tag
    _tag(stream, source.colour.tags_for((source.width, source.height), size))
    stream.set_display_matrix(source.display_matrix)
    return stream


def _tag(stream: VideoStream, colour: Colour) -> None:
    context = stream.codec_context
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
