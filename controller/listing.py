"""List what lies at an address: names, lengths, sizes and kinds, one at a time, for `framehaul ls`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.inputs import Refusal, Selection, SetAside, Source, look_at_sources, probe_source
from controller.settings import Settings
from framehaul.contract.pipeline import Takes
from framehaul.contract.uris import parse_uri
from framehaul.errors import MediaError, StoreError
from framehaul.media.probe import MediaInfo
from framehaul.storage.base import Stores

_VIDEOS = Takes(kind="video")


@dataclass(frozen=True)
class Listed:
    """One file: `media` where it was probed and is a video, `refused` says why it is none ("" otherwise)."""

    uri: str
    name: str
    size: int | None
    media: MediaInfo | None = None
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        told: dict[str, Any] = {"input": self.uri, "name": self.name, "size": self.size}
        if self.refused:
            return {**told, "refused": self.refused}
        return {**told, "video": video_as_json(self.media)} if self.media else told


@dataclass
class Totals:
    """What a listing comes to. Sizes in bytes; files of unknown size or length are counted in `unsized`, `endless`."""

    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    refused: int = 0
    unsized: int = 0
    endless: int = 0
    # How many of each container and codec, such as ("mp4", "h264").
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, listed: Listed) -> None:
        """Count one file; a refused one counts only as such."""
        if listed.refused:
            self.refused += 1
            return
        self.files += 1
        self.bytes += listed.size or 0
        self.unsized += listed.size is None
        if listed.media is not None:
            self.seconds += listed.media.duration_s or 0.0
            self.endless += listed.media.duration_s is None
            self.kinds[listed.media.container, listed.media.video.codec] += 1

    def as_json(self) -> dict[str, Any]:
        """Give the sums for machines."""
        kinds = [{"container": kind[0], "codec": kind[1], "files": count} for kind, count in self.kinds.most_common()]
        return {
            "files": self.files,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "refused": self.refused,
            "unknown_size": self.unsized,
            "unknown_length": self.endless,
            "kinds": kinds,
        }


def list_videos(
    settings: Settings, stores: Stores, now: float, *, probe: bool = True, aside: SetAside | None = None
) -> Iterator[Listed]:
    """Stream what a run would look at; without `probe` nothing of the files is read, names and sizes are all.

    InputError when a name leads nowhere. What the selection leaves out is counted in `aside`.
    """
    selection, aside = Selection.of(settings, now), aside if aside is not None else SetAside()
    found = look_at_sources(settings.inputs, _VIDEOS, parse_uri(settings.to), stores, selection, aside)
    for number, source in enumerate(found, 1):
        yield _refused(source) if isinstance(source, Refusal) else _listed(source, stores, probe=probe)
        if number == selection.max_files:
            aside.stopped_at = number
            return


def video_as_json(media: MediaInfo) -> dict[str, Any]:
    """Describe a video for machines."""
    video = media.video
    return {
        "container": media.container,
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "frames": media.frames_estimate,
        "seconds": media.duration_s,
        "shortfall": media.shortfall,
    }


def _refused(refusal: Refusal) -> Listed:
    return Listed(refusal.uri, parse_uri(refusal.uri).name, None, refused=refusal.why)


def _listed(source: Source, stores: Stores, *, probe: bool) -> Listed:
    uri, name = source.uri.public(), source.folder + source.name
    if not probe:
        return Listed(uri, name, source.size)
    try:
        return Listed(uri, name, source.size, probe_source(source, stores))
    except (MediaError, StoreError) as exc:
        if isinstance(exc, StoreError) and exc.retryable:
            raise
        return Listed(uri, name, source.size, refused=str(exc))
