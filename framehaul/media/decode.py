"""Decode a video's pictures to RGB, each with the time stamp that the file gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from av import VideoFrame
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from framehaul.errors import TruncatedMedia, UnsupportedMedia
from framehaul.media.gate import DEFAULT_LIMITS, Limits, open_media, reason, translated
from framehaul.media.pixels import Rgb, RgbReader
from framehaul.media.probe import probe, video_stream

# One packet gives one picture in these, as long as it is not interlaced. VP8 has invisible packets, MPEG-4 packed ones.
_ONE_TO_ONE = {"h264", "hevc", "vp9", "av1"}


@dataclass(frozen=True)
class Frame:
    """Hold one picture: RGB (H, W, 3) as coded, unrotated; `pts` and `duration` in ticks of `time_base` seconds."""

    rgb: Rgb
    pts: int
    time_base: Fraction
    index: int
    duration: int = 0


class Decoder:
    """Iterate over the pictures of a file once, in order of presentation. Closes with the `with` block.

    `info` is what the probe said; `frames` counts what came out so far; `nudged` counts time stamps that did not grow.
    Raises what probe raises, UnsupportedMedia for more than 8 bits, and TruncatedMedia as soon as a picture turns out
    to be damaged, or at the end if there were fewer pictures than the file holds packets for.
    """

    def __init__(self, path: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.info = probe(path, limits=limits)
        self.frames = 0
        self.nudged = 0
        self._path = path
        self._name = path.name
        if self.info.video.bit_depth > 8:
            raise UnsupportedMedia(f"{path.name} has {self.info.video.bit_depth} bits a sample; this version takes 8.")
        self._container = open_media(path, limits)
        self._stream = video_stream(self._container, path.name)
        self._stream.thread_type = "AUTO"
        video = self.info.video
        self._reader = RgbReader(video.colour.numbers(video.width, video.height))
        self._count = _PacketCount(self._stream)
        self._last_pts: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        for picture in self._pictures():
            yield self._frame(picture)
        with translated(f"{self._name} is gone"):
            size = self._path.stat().st_size
        if size != self.info.size:  # libav calls the new end of an mkv its end
            raise self._truncated("the file changed while it was read")
        if self._count.missing(self.frames) or not self.frames:
            raise self._truncated()

    def _pictures(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                pictures = [] if packet is None else self._stream.decode(packet)
            except FFmpegError as exc:
                raise self._truncated(reason(exc)) from exc
            if packet is None:
                return
            if packet.is_corrupt:  # libav's mark for one that the file ends within
                raise self._truncated("the file breaks off")
            self._count.packet(packet)
            for picture in pictures:
                self._count.picture(picture)
                yield picture

    def _frame(self, picture: VideoFrame) -> Frame:
        video = self.info.video
        if picture.is_corrupt:
            raise self._truncated("its data is damaged")
        if (picture.width, picture.height) != (video.width, video.height):
            raise UnsupportedMedia(
                f"{self._name} changes its size to {picture.width}×{picture.height} at frame {self.frames}."
            )
        frame = Frame(self._reader.read(picture), self._pts(picture), video.time_base, self.frames, picture.duration)
        self.frames += 1
        return frame

    def _pts(self, picture: VideoFrame) -> int:
        """Take the file's time stamp. One that does not grow is moved one tick on: no container takes two at once."""
        pts = picture.pts
        if pts is None:
            raise UnsupportedMedia(f"{self._name} gives frame {self.frames} no time stamp.")
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
            self.nudged += 1
        self._last_pts = pts
        return pts

    def _truncated(self, why: str = "") -> TruncatedMedia:
        total = self.info.frames_estimate or self._count.expected
        because = f": {why}" if why else ""
        return TruncatedMedia(f"{self._name} gave {self.frames} frames of {total}{because}.")


class _PacketCount:
    """Count the packets that owe a picture, so that one that vanishes in the decoder is noticed.

    Not owed: packets outside the edit list (marked "discard"), and pictures shown before the first one that could be
    decoded, as in a file that was cut between key frames.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.expected = 0
        self._stream = stream
        self._reliable = stream.codec_context.codec.canonical_name in _ONE_TO_ONE
        self._first_pts: int | None = None
        self._early: list[int] = []  # time stamps of packets before the first picture came out

    def packet(self, packet: Packet[VideoStream]) -> None:
        """Note a packet that was given to the decoder."""
        if not packet.size or packet.is_discard or packet.pts is None:
            return
        if self._first_pts is None:
            self._early.append(packet.pts)
        self.expected += self._first_pts is None or packet.pts >= self._first_pts

    def picture(self, picture: VideoFrame) -> None:
        """Note a picture that came out."""
        self._reliable &= not picture.interlaced_frame
        if self._first_pts is None and picture.pts is not None:
            self._first_pts = picture.pts
            self.expected -= sum(pts < self._first_pts for pts in self._early)
            self._early.clear()

    def missing(self, frames: int) -> bool:
        """Say whether fewer pictures came out than were owed."""
        return self._reliable and frames < self.expected
