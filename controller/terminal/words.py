"""Write sizes, times and names for a terminal; names may be hostile."""

from __future__ import annotations

import unicodedata

_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    """Make a name harmless: control characters (colours, newlines, bells) become visible marks."""
    return "".join("�" if unicodedata.category(char) in _UNSHOWN else char for char in text)


def size_words(count: float | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return "?"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.95 or unit == "TB":  # what would be written as 1000.0 belongs to the next unit
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def time_words(seconds: float | None) -> str:
    """Write a span of time."""
    if seconds is None:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def dollars_words(amount: float) -> str:
    """Write money."""
    return f"${amount:.2f}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 job, 2 jobs."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
