"""Whatever a source does with time and shape, each container carries it: one judge over a table of awkward files."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from framehaul.media.convert import convert
from framehaul.media.encode import LOSSLESS
from tests.media.clips import TICKS_24, ffmpeg, scene, write_pictures
from tests.media.computes import Enlarge
from tests.media.faithful import faults
from tests.media.judge import Judge, sound_packets

COUNT = 12
UNSTEADY = [23, 40, 57, 73, 400, 417, 433, 1433, 1434, 1500, 1533, 3000]
Make = Callable[[str, Path], Path]


def silent(
    folder: Path, ticks: list[int], base: Fraction, size: tuple[int, int] = (96, 64), name: str = "silent.mp4"
) -> Path:
    """Write one picture a tick."""
    path = folder / name
    write_pictures(path, [scene(*size, index) for index in range(len(ticks))], ticks, base)
    return path


def steady(program: str, folder: Path) -> Path:
    """24 fps."""
    return silent(folder, TICKS_24[:COUNT], Fraction(1, 12288))


def unsteady(program: str, folder: Path) -> Path:
    """Gaps, bursts and a late start."""
    return silent(folder, UNSTEADY, Fraction(1, 1000), name="silent.mkv")


def film_rate(program: str, folder: Path) -> Path:
    """24000/1001 fps, whose times are no milliseconds."""
    return silent(folder, [1001 * index for index in range(COUNT)], Fraction(1, 24000))


def video_late(program: str, folder: Path) -> Path:
    """Pictures that start 23 ms after the sound."""
    return with_sound(program, steady(program, folder), video_late_s=0.023)


def sound_late(program: str, folder: Path) -> Path:
    """Sound that starts after the pictures."""
    return with_sound(program, steady(program, folder), sound_late_s=0.25)


def turned(program: str, folder: Path) -> Path:
    """A phone's quarter turn."""
    ffmpeg(program, "-i", steady(program, folder), "-c", "copy", "-metadata:s:v", "rotate=90", folder / "turned.mp4")
    return folder / "turned.mp4"


def odd(program: str, folder: Path) -> Path:
    """321×181, which halves to nothing whole."""
    even = silent(folder, TICKS_24[:COUNT], Fraction(1, 12288), (324, 184))
    crop = "format=yuv444p,crop=321:181:0:0:exact=1"
    ffmpeg(program, "-i", even, "-vf", crop, "-c:v", "libx264", "-qp", "0", folder / "odd.mp4")
    return folder / "odd.mp4"


def wide(program: str, folder: Path) -> Path:
    """Pixels that are wider than high."""
    source = steady(program, folder)
    bits = "h264_metadata=sample_aspect_ratio=4/3"
    ffmpeg(program, "-i", source, "-c", "copy", "-aspect", "2:1", "-bsf:v", bits, folder / "wide.mp4")
    return folder / "wide.mp4"


def with_sound(program: str, video: Path, *, video_late_s: float = 0, sound_late_s: float = 0) -> Path:
    """Add a tone in a codec that all four containers take."""
    path = video.with_name("sounding.mkv")
    ffmpeg(
        program, "-itsoffset", str(video_late_s), "-i", video, "-itsoffset", str(sound_late_s), "-f", "lavfi", "-i",
        "sine=r=48000:d=0.6", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "libopus", path,
    )  # fmt: skip
    return path


MAKERS: list[Make] = [steady, unsteady, film_rate, video_late, sound_late, turned, odd, wide]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])
def test_an_awkward_file_is_carried_by_every_container(
    tmp_path: Path, ffmpeg_program: str, judge: Judge, make: Make, suffix: str
) -> None:
    """Count, times to 0.5 ms, sound, size, shape, turn and colours are what they were."""
    source, target = make(ffmpeg_program, tmp_path), tmp_path / f"out.{suffix}"

    report = convert(source, target, Enlarge(1), encoder=LOSSLESS)

    assert report.frames_out == COUNT
    if (make, suffix) == (wide, "webm"):  # VP9 tells no shape, and PyAV cannot make webm tell it
        assert report.left_behind == ("pixel shape 4:3",)
        assert faults(source, target, judge) == ["shape: 1:1"]
        return
    if report.left_behind:  # QuickTime has no Opus
        assert (suffix, report.left_behind) == ("mov", ("audio opus",))
        ffmpeg(ffmpeg_program, "-i", source, "-map", "0:v", "-c", "copy", "-copyts", tmp_path / "mute.mkv")
        source = tmp_path / "mute.mkv"
    elif "late" in make.__name__:
        assert sound_packets(target), "the case is about sound"
    assert faults(source, target, judge) == []


def test_the_judge_sees_what_is_wrong(tmp_path: Path, ffmpeg_program: str, judge: Judge) -> None:
    """Each claim of the judge can fail: other times, other sound, another shape, turn and size."""
    source = steady(ffmpeg_program, tmp_path)
    late = silent(
        tmp_path,
        [tick + 100 * (index > 3) for index, tick in enumerate(TICKS_24[:COUNT])],
        Fraction(1, 12288),
        name="l.mp4",
    )
    short = silent(tmp_path, TICKS_24[: COUNT - 1], Fraction(1, 12288), name="s.mp4")

    assert faults(source, source, judge) == []
    assert [fault.partition(":")[0] for fault in faults(source, late, judge)] == ["times"]
    assert [fault.partition(":")[0] for fault in faults(source, short, judge)] == ["pictures"]
    assert [fault.partition(":")[0] for fault in faults(source, turned(ffmpeg_program, tmp_path), judge)] == [
        "rotation"
    ]
    assert [fault.partition(":")[0] for fault in faults(source, wide(ffmpeg_program, tmp_path), judge)] == ["shape"]
    together = with_sound(ffmpeg_program, source)
    together = together.rename(tmp_path / "together.mkv")
    apart = with_sound(ffmpeg_program, source, sound_late_s=0.1)
    assert [fault.partition(":")[0] for fault in faults(together, apart, judge)] == ["sound"]
