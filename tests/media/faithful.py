"""Judge whether a conversion kept what it should not touch: pictures, tags, shape, times, sound. One judge for all."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from tests.media.judge import Judge, psnr_db, sound_packets

LUMA_DB, CHROMA_DB = 45.0, 33.0
HALF_MS = Fraction(1, 2000)  # mkv and webm have milliseconds


def faults(source: Path, target: Path, judge: Judge) -> list[str]:
    """List all that an identity made worse, as ffprobe and a full decode by ffmpeg show it; empty is a pass.

    Luma at least 45 dB and chroma at least 33 dB in the worst picture; tags, size, shape and rotation equal; the same
    number of pictures, each within 0.5 ms of its time; sound packets bit for bit, as far from the pictures as before.
    """
    return [*_pictures(source, target, judge), *_description(source, target, judge), *_times(source, target, judge)]


def _pictures(source: Path, target: Path, judge: Judge) -> Iterator[str]:
    before, after = judge.picture_planes(source), judge.picture_planes(target)
    if len(before) != len(after):
        yield f"pictures: {len(after)} of {len(before)}"
        return
    if before[0][0].shape != after[0][0].shape:
        yield "size"
        return
    luma_db = min(psnr_db(one[0], other[0]) for one, other in zip(before, after, strict=True))
    if luma_db < LUMA_DB:
        yield f"luma: {luma_db:.1f} dB"
    if before[0][1].shape == after[0][1].shape:  # an odd picture's chroma is whole in one container, halved in another
        chroma_db = min(psnr_db(one[1], other[1]) for one, other in zip(before, after, strict=True))
        if chroma_db < CHROMA_DB:
            yield f"chroma: {chroma_db:.1f} dB"


def _description(source: Path, target: Path, judge: Judge) -> Iterator[str]:
    before, after = judge.video(source), judge.video(target)
    if judge.colour(source) != judge.colour(target):
        yield f"tags: {judge.colour(target)}"
    if (before["width"], before["height"]) != (after["width"], after["height"]):
        yield f"size: {after['width']}x{after['height']}"
    if _aspect(before) != _aspect(after):
        yield f"shape: {_aspect(after)}"
    if _turn(before) != _turn(after):
        yield f"rotation: {_turn(after)}"


def _aspect(video: dict[str, object]) -> str:
    return str(video.get("sample_aspect_ratio", "1:1"))


def _turn(video: dict[str, object]) -> object:
    sides = video.get("side_data_list", [])
    assert isinstance(sides, list)
    return next((side["rotation"] for side in sides if "rotation" in side), 0)


def _times(source: Path, target: Path, judge: Judge) -> Iterator[str]:
    """Hold times against each other. A target that cannot start before zero may move all by what lay before it."""
    before, after = judge.picture_times(source), judge.picture_times(target)
    if len(before) != len(after):
        return
    moved = [new - old for old, new in zip(before, after, strict=True)]
    sound = [(old, new) for old, new in zip(_sound(source), _sound(target), strict=True)]
    allowed = max(Fraction(0), -min([before[0], *(old[0] for old, _ in sound)]))
    error = min(max(abs(one - shift) for one in moved) for shift in {Fraction(0), (max(moved) + min(moved)) / 2})
    if error > HALF_MS or abs(moved[0]) > allowed + 2 * HALF_MS:
        yield f"times: {float(error):.5f} s"
    if any(old[1] != new[1] for old, new in sound):
        yield "sound: other packets"
    if any(abs(new[0] - old[0] - moved[0]) > 3 * HALF_MS for old, new in sound):  # each of the three is rounded
        yield "sound: out of step"


def _sound(path: Path) -> list[tuple[Fraction, str]]:
    try:
        return sound_packets(path)
    except IndexError:
        return []
