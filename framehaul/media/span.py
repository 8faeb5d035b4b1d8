"""Say which part of a video is meant, in seconds from its first picture. Light: planning uses it without any codec."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

_SLACK_S = Fraction(1, 2000)  # mkv and webm round each time to a millisecond: half of one up or down


@dataclass(frozen=True)
class Span:
    """Mean the pictures from `start_s` on and before `end_s`; None is "to the end". Raises ValueError for no such part.

    A picture's time counts from the first picture, not from the file's zero: sound may begin earlier.
    """

    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise ValueError(f"a part starts at 0 s or later, not at {self.start_s:g} s")
        if self.end_s is not None and not (math.isfinite(self.end_s) and self.end_s > self.start_s):
            raise ValueError(f"a part ends after its start at {self.start_s:g} s, not at {self.end_s:g} s")

    @classmethod
    def middle(cls, length_s: float, duration_s: float | None) -> Self:
        """Mean `length_s` seconds in the middle of `duration_s`; all of it where that is no longer.

        Where the duration is unknown, the part lies at the start.
        """
        if duration_s is None:
            return cls(0.0, length_s)
        if duration_s <= length_s:
            return cls()
        start_s = (duration_s - length_s) / 2
        return cls(start_s, start_s + length_s)

    @property
    def whole(self) -> bool:
        """Say whether nothing is cut off."""
        return self.start_s == 0 and self.end_s is None

    def frames_within(self, frames: float | None, duration_s: float | None) -> int | None:
        """Count how many of a video's frames lie within, if they are evenly spread; None where that cannot be told."""
        if frames is None or (not duration_s and not self.whole):
            return None
        if not duration_s:
            return round(frames)
        end_s = duration_s if self.end_s is None else min(self.end_s, duration_s)
        return max(0, _steps(end_s, frames / duration_s) - _steps(self.start_s, frames / duration_s))

    def cut(self, first_pts: int, time_base: Fraction) -> Cut:
        """Lay the span on a file whose first picture is at `first_pts` ticks."""
        start = _ticks(self.start_s, time_base)
        end = None if self.end_s is None else (first_pts + _ticks(self.end_s, time_base)) * time_base
        return Cut((first_pts + start) * time_base if start else None, end)

    def __str__(self) -> str:
        until = "the end" if self.end_s is None else f"{self.end_s:g} s"
        return f"from {self.start_s:g} s to {until}"


WHOLE = Span()


@dataclass(frozen=True)
class Cut:
    """Mean the same part in seconds of the file's own clock, on its ticks; None is "as far as there is".

    The part's own clock begins at `start_s`, or is the file's where nothing is cut off before it.
    """

    start_s: Fraction | None = None
    end_s: Fraction | None = None

    @property
    def origin_s(self) -> Fraction:
        """Give the file's time that is zero in the part."""
        return self.start_s or Fraction(0)

    def is_before(self, time_s: Fraction) -> bool:
        """Say whether the time lies before the part."""
        return self.start_s is not None and time_s < self.start_s

    def is_beyond(self, time_s: Fraction) -> bool:
        """Say whether the time lies behind the part."""
        return self.end_s is not None and time_s >= self.end_s


UNCUT = Cut()


def _ticks(time_s: float, time_base: Fraction) -> int:
    """Give the first tick that is not before `time_s`.

    A time stamp is a rounded time: it may lie half a tick before the time that it stands for, and still is meant.
    """
    return max(0, math.ceil((Fraction(str(time_s)) - min(time_base / 2, _SLACK_S)) / time_base))


def _steps(time_s: float, rate: float) -> int:
    """Count the frames before `time_s`; a product of floats may be a hair above the whole number that is meant."""
    return math.ceil(time_s * rate - 1e-6)
