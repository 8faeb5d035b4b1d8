"""A part of a video is exactly that part: each picture and each packet of sound in it, at the distances they had."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from framehaul.errors import MediaError
from framehaul.media.convert import Conversion, convert
from framehaul.media.decode import Decoder
from framehaul.media.encode import EncoderSettings
from framehaul.media.span import Span
from tests.media.clips import ffmpeg, film, scene, write_pictures
from tests.media.computes import Enlarge
from tests.media.judge import Judge, sound_packets

QUICK = EncoderSettings(crf=18, preset="ultrafast")
MS = Fraction(1, 1000)
SPANS = [Span(0, 1), Span(1, 2), Span(1.1, 2.3), Span(2.5), Span(3.3, 9), Span(0.05, 0.1)]


def picked(source: Path, span: Span, judge: Judge) -> list[Fraction]:
    """Give the times of the source's pictures that are meant, in the file's seconds, as ffprobe decodes them."""
    times = judge.picture_times(source)
    return [
        time
        for time in times
        if time - times[0] >= span.start_s - 0.0005 and (span.end_s is None or time - times[0] < span.end_s - 0.0005)
    ]


def assert_is_the_part(source: Path, target: Path, span: Span, judge: Judge, report: Conversion) -> None:
    """Hold count, times and sound of the part against the source."""
    wanted, got = picked(source, span, judge), judge.picture_times(target)
    assert len(got) == len(wanted) == report.frames_out > 0
    moved = [before - after for before, after in zip(wanted, got, strict=True)]
    assert max(moved) - min(moved) <= MS  # each within half a millisecond of one common shift
    if span.start_s:
        start_s = judge.picture_times(source)[0] + Fraction(str(span.start_s))
        assert abs(moved[0] - start_s) <= MS, "the part's clock starts where the part does"
    if report.audio_streams_copied:
        assert_sound_is_in_step(source, target, moved[0], span, judge)


def assert_sound_is_in_step(source: Path, target: Path, moved: Fraction, span: Span, judge: Judge) -> None:
    """Hold each packet against the source's: same bytes, moved as the pictures were, at most one missing at an edge."""
    first_s = judge.picture_times(source)[0]
    start_s = first_s + Fraction(str(span.start_s)) if span.start_s else -1
    end_s = 99 if span.end_s is None else first_s + Fraction(str(span.end_s))
    before, after = sound_packets(source), sound_packets(target)
    times = {digest: time for time, digest in before}
    assert max(abs(times[digest] - time - moved) for time, digest in after) <= MS + Fraction(1, 48000)
    meant = {digest for time, digest in before if start_s <= time < end_s}
    assert len(meant ^ {digest for _, digest in after}) <= 1


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_parts_of_every_container(tmp_path: Path, ffmpeg_program: str, judge: Judge, suffix: str) -> None:
    """From the start, between key frames, across the end, a single picture: counts are exact, sound in step."""
    source, target = film(ffmpeg_program, tmp_path / f"in.{suffix}"), tmp_path / f"out.{suffix}"

    for span in SPANS:
        report = convert(source, target, Enlarge(1), encoder=QUICK, span=span)
        assert_is_the_part(source, target, span, judge, report)


@pytest.mark.parametrize(("video_late_s", "sound_late_s"), [(0.5, 0), (0.023, 0), (0, 0.5)])
def test_a_part_of_streams_that_start_apart(
    tmp_path: Path, ffmpeg_program: str, judge: Judge, video_late_s: float, sound_late_s: float
) -> None:
    """Time counts from the first picture, wherever the sound began, and both move alike."""
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    film(ffmpeg_program, source, video_late_s=video_late_s, sound_late_s=sound_late_s)

    for span in (Span(0, 1), Span(1, 2)):
        report = convert(source, target, Enlarge(1), encoder=QUICK, span=span)
        assert_is_the_part(source, target, span, judge, report)


@pytest.mark.parametrize(
    "how",
    [("-movflags", "frag_keyframe+empty_moov"), ("-f", "matroska", "-live", "1"), ("-ss", "0.7")],
    ids=["fragments", "no-index", "trimmed"],
)
def test_a_part_of_files_that_are_awkward_to_seek(
    tmp_path: Path, ffmpeg_program: str, judge: Judge, how: tuple[str, ...]
) -> None:
    """Without an index, in fragments, or with pictures hidden by an edit list: the same pictures all the same."""
    film(ffmpeg_program, tmp_path / "film.mp4")
    source = tmp_path / ("in.mkv" if "matroska" in how else "in.mp4")
    ffmpeg(ffmpeg_program, "-i", tmp_path / "film.mp4", "-c", "copy", *how, source)

    for span in (Span(1.1, 2.3), Span(2.5)):
        report = convert(source, tmp_path / "out.mkv", Enlarge(1), encoder=QUICK, span=span)
        assert_is_the_part(source, tmp_path / "out.mkv", span, judge, report)


def test_an_unsteady_clip_is_cut_by_time_not_by_count(tmp_path: Path, judge: Judge) -> None:
    """Gaps and bursts: what counts is when a picture is shown."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ticks = [23, 40, 57, 73, 400, 417, 433, 1433, 1434, 1500, 1533, 3000]
    write_pictures(source, [scene(96, 64, index) for index in range(12)], ticks, MS)

    convert(source, target, Enlarge(1), encoder=QUICK, span=Span(0.377, 1.477))

    assert judge.picture_times(target) == [MS * (tick - 400) for tick in (400, 417, 433, 1433, 1434)]


def test_the_pictures_of_a_part_are_those_of_the_whole(tmp_path: Path, ffmpeg_program: str) -> None:
    """What is decoded after a seek is, bit for bit, what is decoded without one, also behind an open group."""
    source = film(ffmpeg_program, tmp_path / "in.mp4")
    with Decoder(source) as decoder:
        whole = [frame.rgb for frame in decoder]

    for first in (1, 29, 30, 31, 59, 60, 62, 95):
        with Decoder(source, span=Span(first / 24)) as decoder:
            part = list(decoder)
        assert [frame.index for frame in part] == list(range(96 - first))
        assert part[0].pts == 0
        assert all(np.array_equal(frame.rgb, whole[first + frame.index]) for frame in part)


def test_a_part_at_the_end_decodes_from_the_key_frame_before(tmp_path: Path, ffmpeg_program: str) -> None:
    """The reader winds forward: what lies before the key frame is not read again for it."""
    source = film(ffmpeg_program, tmp_path / "in.mp4")

    with Decoder(source, span=Span(3.9)) as decoder:
        key_pts, packets = decoder._reel.packets_from(int(3.9 * 12288), 0)

        assert key_pts == 90 * 512
        assert sum(1 for packet in packets if packet.size) <= 6 + 3  # and a few that are stored behind it, shown before


def test_progress_counts_to_the_parts_own_total(tmp_path: Path, ffmpeg_program: str) -> None:
    """A person who tries a second of a film sees a second's work."""
    for suffix in ("mp4", "mkv", "webm"):
        told: list[tuple[int, int | None]] = []
        source = film(ffmpeg_program, tmp_path / f"in.{suffix}")
        convert(
            source, tmp_path / f"out.{suffix}", Enlarge(1), encoder=QUICK, span=Span(1, 2),
            progress=lambda done, total, told=told: told.append((done, total)),  # type: ignore[misc]
        )  # fmt: skip
        assert told == [(done, 24) for done in range(1, 25)]


@pytest.mark.parametrize(
    ("span", "sentence"),
    [
        (Span(4), r"in.mp4 has no picture from 4 s to the end: it is 4 s long\."),
        (Span(60, 70), r"in.mp4 has no picture from 60 s to 70 s: it is 4 s long\."),
        (Span(1.001, 1.002), r"in.mp4 has no picture from 1.001 s to 1.002 s: it is 4 s long\."),
    ],
)
def test_a_part_without_a_picture_is_refused(tmp_path: Path, ffmpeg_program: str, span: Span, sentence: str) -> None:
    """Beyond the end or between two pictures: the sentence says how long the video is, and no file is left."""
    source = film(ffmpeg_program, tmp_path / "in.mp4")

    with pytest.raises(MediaError, match=sentence):
        convert(source, tmp_path / "out.mp4", Enlarge(1), span=span)
    assert not list(tmp_path.glob("out*"))
