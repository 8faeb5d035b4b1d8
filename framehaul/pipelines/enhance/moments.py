"""Read times as people write them: 90, "1:30", "0:01:30.5", "10s", "2m", "500ms", "1h30m"."""

from __future__ import annotations

import math
import re

_HOW = "write seconds (90 or 90.5), a clock (1:30 or 0:01:30.5) or units (10s, 2m, 1h30m, 500ms)"
_SECONDS = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d*)?)")
_UNITS = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_UNIT_S = (3600.0, 60.0, 1.0, 0.001)


def seconds_of(value: object) -> float:
    """Give seconds, to the microsecond; ValueError says how a time is written."""
    if isinstance(value, str):
        found = _read(value.strip().lower().replace(" ", ""))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    else:
        found = None
    if found is None or not math.isfinite(found):
        raise ValueError(f"{value!r} is no time; {_HOW}")
    if found < 0:
        raise ValueError(f"{value!r} lies before the video; {_HOW}")
    return round(found, 6)


def _read(text: str) -> float | None:
    if _SECONDS.fullmatch(text.removeprefix("-")):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        return _clock(*clock.groups())
    units = _UNITS.fullmatch(text)
    if not text or units is None:
        return None
    try:
        return sum(float(number) * unit for number, unit in zip(units.groups(), _UNIT_S, strict=True) if number)
    except ValueError:  # 1.2.3s
        return None


def _clock(hours: str | None, minutes: str, seconds: str) -> float | None:
    """Refuse what no clock shows: 75 seconds, or 75 minutes beside hours."""
    if float(seconds) >= 60 or (hours is not None and int(minutes) >= 60):
        return None
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
