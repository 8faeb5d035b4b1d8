"""A listing as it comes: one line a file, printed at once, since there may be a hundred thousand."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console

from controller.listing import Listed, Totals
from controller.terminal.tables import say
from controller.terminal.words import counted, plain, size_words, time_words

_NARROW = 72
_HEADERS = ("length", "size", "video")
# Widths of the columns before the name, which comes last since its width is unknown.
_WIDTHS = (12, 9, 24)


class ListingTable:
    """Rows with columns of fixed widths: nothing is known of the rows that come."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = False

    def show(self, listed: Listed) -> None:
        """Print one row; what is no video says why."""
        if listed.refused:
            say(self._console, f"Refused: {listed.name}: {listed.refused}")
            return
        if self._console.width < _NARROW:
            say(self._console, f"{listed.name}: {', '.join(cell for cell in _cells(listed) if cell)}")
            return
        if not self._begun:
            say(self._console, _line((*_HEADERS, "name")))
            self._begun = True
        say(self._console, _line((*_cells(listed), plain(listed.name))))


def totals_words(totals: Totals, *, probed: bool) -> str:
    """Write the sums: `3 videos, 1 h 02 min, 4.5 GB (2 mp4 h264, 1 mkv hevc), 1 refused`."""
    parts = [counted(totals.files, "video" if probed else "file")]
    if probed:
        unknown = f" and {totals.endless} of unknown length" if totals.endless else ""
        parts.append(time_words(totals.seconds) + unknown)
    parts.append(size_words(totals.bytes) + (f" and {totals.unsized} of unknown size" if totals.unsized else ""))
    kinds = ", ".join(f"{count} {plain(' '.join(kind))}" for kind, count in totals.kinds.most_common())
    refused = f", {totals.refused} refused" if totals.refused else ""
    return ", ".join(parts) + (f" ({kinds})" if kinds else "") + refused


def _cells(listed: Listed) -> tuple[str, str, str]:
    if listed.media is None:
        return "", size_words(listed.size), ""
    video = listed.media.video
    kind = f"{video.width}×{video.height} {video.codec}"
    return time_words(listed.media.duration_s), size_words(listed.size), plain(kind)


def _line(cells: tuple[str, ...]) -> str:
    *fixed, last = cells
    padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(fixed, _WIDTHS, strict=True)]
    return "  ".join([*padded, last])
