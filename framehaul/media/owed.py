"""Count the pictures that a file's packets owe, so that one that vanishes in the decoder is noticed."""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehaul.media.span import UNCUT, Cut

# One packet gives one picture in these, as long as it is not interlaced. VP8 has invisible packets, MPEG-4 packed ones.
_ONE_TO_ONE = {"h264", "hevc", "vp9", "av1"}


class OwedPictures:
    """Hold packets that went in against pictures that came out, both within `cut`.

    Not owed: packets outside the edit list (marked "discard"), and pictures shown before the first one that could be
    decoded, as in a file that was cut between key frames.
    """

    def __init__(self, stream: VideoStream, cut: Cut = UNCUT) -> None:
        self.expected = 0
        self._cut = cut
        self._time_base = stream.time_base or Fraction(1)
        self._reliable = stream.codec_context.codec.canonical_name in _ONE_TO_ONE
        self._first_pts: int | None = None
        self._early: list[int] = []  # time stamps of packets before the first picture came out

    def packet(self, packet: Packet[VideoStream]) -> None:
        """Note a packet that was given to the decoder."""
        if not packet.size or packet.is_discard or packet.pts is None or not self._is_within(packet.pts):
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

    def _is_within(self, pts: int) -> bool:
        time_s = pts * self._time_base
        return not self._cut.is_before(time_s) and not self._cut.is_beyond(time_s)
