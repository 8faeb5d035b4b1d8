"""A media file under construction: it gets its name when it is whole, and vanishes when it fails."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import av
from av.error import FFmpegError

from framehaul.atomic import sync_folder
from framehaul.media.gate import translated

_BUFFER_BYTES = 1 << 20


class Draft:
    """Hold `<target>.part` and libav's muxer on it as `output`; then `finish` and `commit`, or `discard`.

    A process that is killed leaves the part behind; the next draft of the same target overwrites it.
    """

    def __init__(self, target: Path, muxer: str, options: dict[str, str]) -> None:
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        with translated(f"{target.name} cannot be written"):
            # A file of our own, not libav's: a failed run closes it without a trailer, a good one syncs it to disk.
            self._file = self._part.open("wb")
            self.output = av.open(self._file, "w", format=muxer, container_options=options, buffer_size=_BUFFER_BYTES)

    def finish(self) -> None:
        """Write the index and wait until the disk has it all."""
        with translated(f"{self._target.name} cannot be finished"):
            self.output.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def commit(self) -> None:
        """Give the finished file its name, replacing what was there."""
        with translated(f"{self._target.name} cannot be put in place"):
            self._part.replace(self._target)
            sync_folder(self._target.parent)

    def discard(self) -> None:
        """Close and remove the part, quietly: the error that led here matters more than one from here."""
        with suppress(OSError):
            self._file.close()
        with suppress(FFmpegError, OSError, ValueError):
            self.output.close()
        self._part.unlink(missing_ok=True)
