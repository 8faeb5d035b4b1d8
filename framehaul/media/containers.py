"""Say what each output container can hold. A new container is a row here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from framehaul.errors import UnsupportedMedia


@dataclass(frozen=True)
class Container:
    """Name libav's muxer, the encoders whose video it is given (the first unasked), and the audio codecs that it takes.

    `audio` None is "all that the muxer accepts".
    """

    muxer: str
    encoders: tuple[str, ...]
    audio: frozenset[str] | None

    @property
    def hides_sound(self) -> bool:
        """Say whether sound before the video's zero, a codec's priming for one, can be in it unheard: an edit list."""
        return self.is_mp4

    @property
    def is_mp4(self) -> bool:
        """Say whether tracks have the tags and the edit lists of ISO/IEC 14496-12, of which QuickTime is the elder."""
        return self.muxer in ("mp4", "mov")

    def takes_audio(self, codec: str) -> bool:
        """Say whether sound of this codec can be in it, as far as that is known without the muxer."""
        return self.audio is None or codec in self.audio

    def muxer_options(self, time_base: Fraction) -> dict[str, str]:
        """Give the muxer what it needs to keep the video's time stamps exact.

        MP4 states each track's start in ticks of the whole movie, by default milliseconds; a video that starts at tick
        100 of 1/12288 s would be moved to 98. So the movie ticks as the video does.
        """
        if not self.is_mp4 or time_base.denominator > _FINEST_TICKS:
            return {}
        return {"movie_timescale": str(max(_COARSEST_TICKS, time_base.denominator))}


_COARSEST_TICKS, _FINEST_TICKS = 1000, 1_000_000  # a second; beyond, durations need more than 32 bits early

# For mp4 the list is what players read. The muxer would also take Vorbis, which hardly any does, and it refuses TrueHD
# only when the header is written, which would lose the video with it.
_MP4_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
# What QuickTime has a tag for, and of PCM what cameras write.
_PCM = {f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "u8", "s8")}
_MOV_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "mp3", *_PCM})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})

_H26X = ("libx264", "libx265")

BY_SUFFIX = {
    ".mp4": Container("mp4", _H26X, _MP4_AUDIO),
    ".m4v": Container("mp4", _H26X, _MP4_AUDIO),
    ".mov": Container("mov", _H26X, _MOV_AUDIO),
    ".mkv": Container("matroska", (*_H26X, "libvpx-vp9"), None),
    ".webm": Container("webm", ("libvpx-vp9",), _WEBM_AUDIO),
}


def container_of(path: Path) -> Container:
    """Choose by the name's suffix; raises UnsupportedMedia for others."""
    try:
        return BY_SUFFIX[path.suffix.lower()]
    except KeyError:
        known = ", ".join(sorted(BY_SUFFIX))
        raise UnsupportedMedia(f"{path.name}: a video can be written as {known}, by the name's ending.") from None
