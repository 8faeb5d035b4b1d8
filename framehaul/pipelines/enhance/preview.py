"""Choose which frame of a video becomes the before/after picture."""

from __future__ import annotations

from framehaul.errors import MediaError
from framehaul.media.pixels import Rgb
from framehaul.media.preview import write_preview
from framehaul.pipelines.base import Task

# The picture is taken this far into the video: an opening is often black.
_PREVIEW_AT = 0.4


class Preview:
    """Write a before/after picture: the first frame at once, so that there is one; a better one further in."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._due = 0

    def progress(self, done: int, total: int | None) -> None:
        """Pass the count on, and learn from it how long the video is."""
        self._task.reporter.progress(done, total)
        if total is not None and self._due <= 0:
            self._due = max(1, int(total * _PREVIEW_AT))

    def picture(self, index: int, before: Rgb, after: Rgb) -> None:
        """Take the picture if this frame is due. One that cannot be written costs a line of the log, never the job.

        A disk that is really full will be told of by the encoder.
        """
        if index not in (0, self._due):
            return
        try:
            write_preview(before, after, self._task.preview)
        except MediaError as exc:  # the gate of framehaul.media makes it of the system's own errors
            self._task.reporter.log(f"no preview: {exc.message}")
