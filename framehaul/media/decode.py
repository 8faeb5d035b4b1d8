"""Decode a video's pictures to RGB, each with the time stamp that the file gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from av import VideoFrame
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from framehaul.errors import MediaError, TruncatedMedia, UnsupportedMedia
from framehaul.media.gate import DEFAULT_LIMITS, Limits, reason, translated
from framehaul.media.owed import OwedPictures
from framehaul.media.pixels import Rgb, RgbReader
from framehaul.media.probe import NOT_WHOLE, breaks_off, probe, stated_end_s
from framehaul.media.reel import Reel
from framehaul.media.span import UNCUT, WHOLE, Span

_SLACK_S = 1  # mkv's tags are not always exact


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

    Where `span` starts later than the video, pictures and times count from that start; `cut` is the same part in the
    file's own seconds. `info` is what the probe said; `frames` counts what came out so far, `end_s` is where the last
    of them ends, `nudged` counts time stamps that did not grow.

    Raises what probe raises, UnsupportedMedia for more than 8 bits, MediaError where the span holds no picture, and
    TruncatedMedia as soon as a picture turns out to be damaged, or at the end if there were fewer pictures than the
    file holds packets for. With `allow_truncated` that is the end instead, and `shortfall` says what is there.
    """

    def __init__(
        self, path: Path, *, limits: Limits = DEFAULT_LIMITS, span: Span = WHOLE, allow_truncated: bool = False
    ) -> None:
        self.info = probe(path, limits=limits, allow_truncated=allow_truncated)
        self.frames = 0
        self.nudged = 0
        self.shortfall = ""
        self.end_s = Fraction(0)
        self.cut = UNCUT
        self._path = path
        self._name = path.name
        self._span = span
        self._allow_truncated = allow_truncated
        video = self.info.video
        if video.bit_depth > 8:
            raise UnsupportedMedia(f"{path.name} has {video.bit_depth} bits a sample; this version takes 8.")
        self._reader = RgbReader(video.colour.numbers(video.width, video.height), video.codec)
        self._first_pts = 0  # of the file; known where it is needed, for a span
        self._last_pts: int | None = None
        self._passed_end = False
        with ExitStack() as undo:
            self._reel = Reel(path, limits)
            undo.callback(self._reel.close)
            if not span.whole:
                self._lay(span)
            self._undo = undo.pop_all()
        self._owed = OwedPictures(self._reel.stream, self.cut)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def __iter__(self) -> Iterator[Frame]:
        broken: TruncatedMedia | None = None
        try:
            for picture in self._within():
                yield self._frame(picture)
            if self._owed.missing(self.frames) or self._ends_early():
                raise self._truncated()
        except TruncatedMedia as exc:
            broken = exc
        self._require_unchanged()
        if broken is not None and not self._allow_truncated:
            raise broken
        if not self.frames:
            raise self._empty() from broken
        if broken is not None or (self.info.shortfall and not self._passed_end):
            self.shortfall = self._sentence()

    def _lay(self, span: Span) -> None:
        """Lay the span on the file, by the time of its first picture, which no header tells for certain."""
        first = next(self._pictures(self._reel.packets()), None)
        if first is None or first.pts is None:
            raise self._truncated("no picture can be decoded")
        self._first_pts = first.pts
        self.cut = span.cut(first.pts, self.info.video.time_base)
        self._reel.rewind()

    def _within(self) -> Iterator[VideoFrame]:
        """Give the pictures of the cut; those on the way there are decoded and dropped."""
        base = self.info.video.time_base
        key_pts, packets = None, self._reel.packets()
        if self.cut.start_s is not None:
            key_pts, packets = self._reel.packets_from(int(self.cut.start_s / base), self._first_pts)
        for picture in self._pictures(self._counted(packets)):
            self._owed.picture(picture)
            if picture.pts is None:
                raise UnsupportedMedia(f"{self._name} gives frame {self.frames} no time stamp.")
            # Pictures stored after a key frame and shown before it may lean on what was not decoded.
            if picture.is_corrupt and (key_pts is None or picture.pts >= key_pts):
                raise self._truncated("its data is damaged")
            if self.cut.is_beyond(picture.pts * base):
                self._passed_end = True
                return
            self.end_s = (picture.pts + picture.duration) * base - self.cut.origin_s
            if not self.cut.is_before(picture.pts * base):
                yield picture

    def _counted(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        for packet in packets:
            if not self._is_behind(packet):
                self._owed.packet(packet)
            yield packet

    def _is_behind(self, packet: Packet[VideoStream]) -> bool:
        """Say whether the file ends within a packet (libav's mark), or libav found on to it behind a hole."""
        intact = self.info.intact_bytes
        return packet.is_corrupt or (intact is not None and (packet.pos or 0) >= intact)

    def _pictures(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        while True:
            try:
                packet = next(packets, None)
                broken = packet is not None and self._is_behind(packet)
                pictures = [] if packet is None else self._reel.decode(None if broken else packet)
            except FFmpegError as exc:
                raise self._truncated(reason(exc)) from exc
            yield from pictures
            if broken:
                raise self._truncated("the file breaks off")
            if packet is None:
                return

    def _frame(self, picture: VideoFrame) -> Frame:
        video = self.info.video
        if (picture.width, picture.height) != (video.width, video.height):
            raise UnsupportedMedia(
                f"{self._name} changes its size to {picture.width}×{picture.height} at frame {self.frames}."
            )
        frame = Frame(self._reader.read(picture), self._pts(picture), video.time_base, self.frames, picture.duration)
        self.frames += 1
        return frame

    def _pts(self, picture: VideoFrame) -> int:
        """Take the file's time stamp. One that does not grow is moved one tick on: no container takes two at once."""
        pts = cast(int, picture.pts) - int(self.cut.origin_s / self.info.video.time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
            self.nudged += 1
        self._last_pts = pts
        return pts

    def _ends_early(self) -> bool:
        """Say whether the last picture ends well before the stream does, by its own tag."""
        stated_s, rate = stated_end_s(self._reel.stream), self.info.video.avg_rate
        if self._passed_end or not self.frames or stated_s is None:
            return False
        return self.end_s + self.cut.origin_s < stated_s - max(_SLACK_S, 2 / rate if rate else 0)

    def _require_unchanged(self) -> None:
        with translated(f"{self._name} is gone"):
            size = self._path.stat().st_size
        if size != self.info.size:  # libav calls the new end of an mkv its end
            raise self._truncated("the file changed while it was read")

    def _truncated(self, why: str = "") -> TruncatedMedia:
        total = self.info.frames_within(self._span) or self._owed.expected
        because = f": {why}" if why else ""
        return TruncatedMedia(f"{self._name} gave {self.frames} frames of {total}{because}.", advice=NOT_WHOLE)

    def _empty(self) -> MediaError:
        """Say that the span is beside the video, or that there is nothing at all."""
        if self._span.whole:
            return self._truncated()
        seen_s = float(self.end_s + self.cut.origin_s - self._first_pts * self.info.video.time_base)
        length_s = (self.info.video.duration_s or seen_s) if self._passed_end else seen_s
        ends = f"it breaks off after {length_s:.3g} s" if self.info.shortfall else f"it is {length_s:.3g} s long"
        return MediaError(f"{self._name} has no picture {self._span}: {ends}.")

    def _sentence(self) -> str:
        """Say how much is there: as counted, where all of it was."""
        if not self._span.whole and self.info.shortfall:
            return self.info.shortfall
        return breaks_off(self._name, self.frames, self.info.frames_estimate or self._owed.expected)
