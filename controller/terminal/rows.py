"""Rows of cells: a table where there is room, else one line a cell."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A table that does not fit folds its cells; below this width what is left of them cannot be read.
_NARROW = 72
_GAP = 2


def show_rows(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headers; cells are taken as they are."""
    if console.width < _NARROW and _natural_width(headers, rows) > console.width:
        _show_cards(console, headers, rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        # As Text: rich would take [brackets] in a name for its markup, and stumble over some.
        table.add_row(*map(Text, row))
    console.print(table)


def _natural_width(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    return sum(widths) + _GAP * (len(widths) - 1)


def _show_cards(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        for number, (header, cell) in enumerate(zip(headers, row, strict=True)):
            if cell:
                mark = "" if number == 0 else "  "
                console.print(f"{mark}{header}: {cell}", markup=False, highlight=False, soft_wrap=True)
