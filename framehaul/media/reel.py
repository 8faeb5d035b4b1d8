"""Wind a file to a moment: to the key frame from which it can be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framehaul.media.gate import DEFAULT_LIMITS, Limits, open_media
from framehaul.media.probe import video_stream

_STEP_BACK_S = 1


class Reel:
    """Hold an open file and its video stream, and read its packets from the start or from a moment on."""

    stream: VideoStream

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self._path = path
        self._limits = limits
        self._container: InputContainer | None = None
        self.rewind()

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def rewind(self) -> None:
        """Open the file anew: a seek to its first tick is not the same where an edit list hides what lies before."""
        self.close()
        self._container = open_media(self._path, self._limits)
        try:
            self.stream = video_stream(self._container, self._path.name)
        except BaseException:
            self.close()
            raise
        self.stream.thread_type = "AUTO"

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Give the video's packets from here on; at last an empty one, which flushes the decoder."""
        return cast(InputContainer, self._container).demux(self.stream)

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """Decode a packet; None flushes."""
        return self.stream.decode(packet)

    def packets_from(self, pts: int, first_pts: int) -> tuple[int, Iterator[Packet[VideoStream]]]:
        """Give the packets from the key frame on that is shown at `pts` or before, and when that is shown.

        libav seeks by the time of decoding, which is earlier than that of showing: it may land on a key frame that is
        shown after `pts`. Then this steps further back, twice as far each time, and to the beginning at last.
        """
        back = 0
        step = max(1, int(_STEP_BACK_S / cast(Fraction, self.stream.time_base)))
        while pts - back > first_pts:
            found = self._sought(pts - back)
            if found is not None and cast(int, found.pts) <= pts:
                return cast(int, found.pts), chain([found], self.packets())
            back = 2 * back or step
        self.rewind()
        return first_pts, self.packets()

    def _sought(self, pts: int) -> Packet[VideoStream] | None:
        """Seek, and give the first packet there if it is one to begin with."""
        try:
            cast(InputContainer, self._container).seek(pts, stream=self.stream)
            packet = next(self.packets(), None)
        except FFmpegError:  # some files cannot be sought, such as live recordings; they are read from the beginning
            return None
        return packet if packet is not None and packet.is_keyframe and packet.pts is not None else None
