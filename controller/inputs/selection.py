"""Which of the files that were found are wanted, and how many were set aside by what."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from controller.inputs.patterns import fits
from controller.settings import Settings
from controller.settings.moments import epoch_of


@dataclass(frozen=True)
class Selection:
    """What a person asked for; patterns are held against the path below the input that was named."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    # Seconds since the epoch.
    newer_than: float | None = None
    max_files: int | None = None

    @classmethod
    def of(cls, settings: Settings, now: float) -> Self:
        """Read the settings; ages count back from `now`. ConfigError when a file named for its date is missing."""
        newer_than = None if settings.newer_than is None else epoch_of(settings.newer_than, now)
        return cls(settings.include, settings.exclude, newer_than, settings.max_files)

    def takes(self, path: str, modified: float | None, aside: SetAside) -> bool:
        """Decide on one file by its path and date, and count it where it is set aside."""
        if not (self.include or self.exclude or self.newer_than is not None):
            return True
        if self.include and not any(fits(path, pattern) for pattern in self.include):
            aside.not_included += 1
        elif any(fits(path, pattern) for pattern in self.exclude):
            aside.excluded += 1
        elif self.newer_than is not None and modified is not None and modified <= self.newer_than:
            aside.older += 1
            aside.newer_than = self.newer_than
        else:
            aside.undated += self.newer_than is not None and modified is None
            return True
        return False


@dataclass
class SetAside:
    """How many files were set aside, by what; `undated` ones were taken, since nobody knows how old they are."""

    not_included: int = 0
    excluded: int = 0
    older: int = 0
    newer_than: float | None = None
    undated: int = 0
    # The number at which the listing stopped: there may be more.
    stopped_at: int | None = None

    @property
    def count(self) -> int:
        """How many are known to be left out."""
        return self.not_included + self.excluded + self.older

    def sentences(self) -> list[str]:
        """Tell it to a person, in whole sentences; nothing where nothing was set aside."""
        parts = [f"{self.not_included} by --include"] if self.not_included else []
        parts += [f"{self.excluded} by --exclude"] if self.excluded else []
        if self.older and self.newer_than is not None:
            parts.append(f"{self.older} not newer than {datetime.fromtimestamp(self.newer_than):%Y-%m-%d %H:%M}")
        told = [f"Set aside: {', '.join(parts)}."] if parts else []
        if self.undated:
            told.append(f"Taken without a date to judge by: {self.undated}.")
        if self.stopped_at is not None:
            told.append(f"Stopped at --max-files {self.stopped_at}; there may be more.")
        return told

    def as_json(self) -> dict[str, Any]:
        """Give the numbers for machines."""
        return asdict(self)
