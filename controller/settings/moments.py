"""Moments as people write them: a date, an age such as 7d, or the date of a file."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from controller.errors import ConfigError

_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|min|m|h|d|w)")
_LONGEST_S = 1000 * 365.25 * 86400  # no file is older; far beyond it lies what no calendar holds
_UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_WAYS = "a date (2026-01-31), a date and time (2026-01-31T18:00), an age (7d, 12h, 30min) or @FILE"


def normalised(text: str) -> str:
    """Spell a moment in one way: ages as `7d`, dates with time and zone (this machine's, where none is said).

    ValueError when it is no moment. A file named by `@` is looked at only by `epoch_of`.
    """
    text = text.strip()
    if text.startswith("@") and len(text) > 1:
        return text
    if age := _AGE.fullmatch(text):
        if float(age[1]) * _UNIT_S[age[2]] > _LONGEST_S:
            raise ValueError(f"{text!r} is longer ago than any file; give at most 1000 years (52000w)")
        whole, _, part = age[1].partition(".")
        return f"{whole.lstrip('0') or '0'}{'.' * bool(part.rstrip('0'))}{part.rstrip('0')}{age[2]}"
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no moment; give {_WAYS}") from None


def epoch_of(moment: str, now: float) -> float:
    """Give a normalised moment in seconds since the epoch; ages count back from `now`."""
    if moment.startswith("@"):
        return _date_of(Path(moment[1:]).expanduser())
    if age := _AGE.fullmatch(moment):
        return now - float(age[1]) * _UNIT_S[age[2]]
    return datetime.fromisoformat(moment).timestamp()


def _date_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"newer_than: the date of {str(path)!r} cannot be read: {why}.") from exc
