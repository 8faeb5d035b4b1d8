"""Open media files, and turn libav's errors into ours: the only place where either is done."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError

from framehaul.errors import FramehaulError, MediaError, NotAVideo, UnsupportedMedia

# Demuxer names. A file says by its content what it is, and some formats are programs: an HLS playlist or a concat
# script called holiday.mp4 would make libav read other files and addresses. So formats are allowed by name.
# libav has one demuxer for mp4 and mov, and one for mkv and webm.
_DEMUXERS = "mov,matroska"
_SOUND_BUT_ELSEWHERE = "avi,mpegts,mpeg,flv,asf,ogg,mxf,rm,wtv,ivf"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FOREIGN = (FFmpegError, OSError, ValueError, MemoryError)


@dataclass(frozen=True)
class Limits:
    """Say how big a file may claim to be; a header is a stranger's word.

    `max_pixels` is width × height of one picture: 64 Mpx holds 8K twice, and is 192 MiB as RGB.
    """

    max_pixels: int = 8192 * 8192
    max_duration_s: float = 24 * 3600.0
    max_streams: int = 64


DEFAULT_LIMITS = Limits()


def name_of(source: Path | BinaryIO) -> str:
    """Name a source in a sentence: the last part of its path, never the folders of this machine."""
    named = source if isinstance(source, Path) else getattr(source, "name", "")
    return Path(str(named)).name or "the file"


def reason(exc: BaseException) -> str:
    """Say why, without the path and the errno that libav and the system put around it."""
    if getattr(exc, "errno", None) in _FULL:
        return "there is no space left on the disk"
    return str(getattr(exc, "strerror", None) or exc or type(exc).__name__)


@contextmanager
def translated(sentence: str, error: type[MediaError] = MediaError) -> Iterator[None]:
    """Raise `error("<sentence>: <reason>.")` for whatever libav or the system raises inside."""
    try:
        yield
    except FramehaulError:
        raise
    except _FOREIGN as exc:
        advice = "Make room there, and try again." if getattr(exc, "errno", None) in _FULL else ""
        raise error(f"{sentence}: {reason(exc)}.", advice=advice) from exc


def open_media(source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> InputContainer:
    """Open an mp4, mov, mkv or webm file for reading; the caller closes it.

    Raises NotAVideo for what is no such file, UnsupportedMedia for other video containers, MediaError when it cannot
    be read at all.
    """
    try:
        return _open(source, _DEMUXERS, limits)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
        raise MediaError(f"{name_of(source)} cannot be opened: {reason(exc)}.") from exc
    except ArgumentError as exc:  # libav's answer for a format that is not on the list
        if _is_other_video(source, limits):
            raise UnsupportedMedia(
                f"{name_of(source)} is a video, but none of mp4, mov, mkv and webm, which this version reads."
            ) from exc
        raise NotAVideo(f"{name_of(source)} is not a video file.") from exc
    except _FOREIGN as exc:
        raise NotAVideo(f"{name_of(source)} is not a readable mp4, mov, mkv or webm file: {reason(exc)}.") from exc


def container_name(container: InputContainer) -> str:
    """Tell mp4 from mov, by the brand (ISO/IEC 14496-12 section 4.3); mkv and webm are one format, called mkv."""
    if container.format.name.startswith("matroska"):
        return "mkv"
    return "mov" if container.metadata.get("major_brand", "qt").strip() == "qt" else "mp4"


def _open(source: Path | BinaryIO, formats: str, limits: Limits) -> InputContainer:
    options = {
        "format_whitelist": formats,
        "protocol_whitelist": "file",
        "max_pixels": str(limits.max_pixels),  # for the decoders that libav runs while it looks at the streams
    }
    if isinstance(source, Path):
        # Absolute, because libav takes a bare name such as "concat:a|b.mp4" or "http:x" for an address.
        return av.open(str(source.absolute()), "r", options=options, metadata_errors="replace")
    source.seek(0)
    return av.open(source, "r", options=options, metadata_errors="replace")


def _is_other_video(source: Path | BinaryIO, limits: Limits) -> bool:
    try:
        with _open(source, _SOUND_BUT_ELSEWHERE, limits) as container:
            return bool(container.streams.video)
    except _FOREIGN:
        return False
