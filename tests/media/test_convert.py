"""A whole conversion keeps what it should not touch: count, times, sound, rotation; and reports what it did."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framehaul.media.convert import Conversion, convert
from framehaul.media.decode import Decoder
from framehaul.media.encode import EncoderSettings
from tests.media.clips import Picture, ffmpeg, one_second, scene, write_pictures
from tests.media.computes import Enlarge
from tests.media.judge import Judge, psnr_db, sound_packets

QUICK = EncoderSettings(crf=12, preset="ultrafast")
B_FRAMES = EncoderSettings(crf=20, preset="veryfast", options=(("bf", "3"),))
SUFFIXES = [("mp4", "mp4"), ("mkv", "mkv"), ("mp4", "mkv"), ("mkv", "mp4")]


def tick(path: Path, judge: Judge) -> Fraction:
    """Give the coarseness of a file's time stamps, in seconds."""
    return Fraction(judge.video(path)["time_base"])


def assert_times_equal(source: Path, target: Path, judge: Judge) -> None:
    """Hold each picture's time against the source's: equal, or within half a tick where mkv has milliseconds only."""
    before, after = judge.picture_times(source), judge.picture_times(target)
    assert len(after) == len(before)
    allowed = 0 if tick(target, judge) <= tick(source, judge) else Fraction(1, 2000)
    assert max(abs(new - old) for old, new in zip(before, after, strict=True)) <= allowed


def with_sound(program: str, silent: Path, target: Path, *, video_late_s: float = 0, sound_late_s: float = 0) -> Path:
    """Add an AAC tone; start either later than the other."""
    ffmpeg(
        program, "-itsoffset", str(video_late_s), "-i", silent, "-itsoffset", str(sound_late_s), "-f", "lavfi", "-i",
        "sine=r=48000:d=1.2", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", target,
    )  # fmt: skip
    return target


def test_a_clip_is_enlarged_picture_by_picture(tmp_path: Path, clip: Path, judge: Judge) -> None:
    """24 pictures in, 24 out, twice as large, each the one that was computed, and the report says so."""
    target = tmp_path / "out.mp4"

    report = convert(clip, target, Enlarge(2), encoder=QUICK)

    assert (report.frames_in, report.frames_out, report.width, report.height) == (24, 24, 192, 128)
    assert (report.audio_streams_copied, report.left_behind) == (0, ())
    assert set(report.seconds) == set(report.cpu_seconds) == {"decode", "compute", "encode"}
    assert 0 < max(report.seconds.values()) <= report.wall_s
    video = judge.video(target)
    assert (video["width"], video["height"], video["nb_frames"]) == (192, 128, "24")
    with Decoder(target) as decoder:
        for frame in decoder:
            assert psnr_db(frame.rgb, scene(96, 64, frame.index).repeat(2, 0).repeat(2, 1)) > 28


@pytest.mark.parametrize(("first", "second"), SUFFIXES)
@pytest.mark.parametrize("encoder", [QUICK, B_FRAMES], ids=["quick", "b-frames"])
def test_times_of_a_steady_clip_are_kept(
    tmp_path: Path, judge: Judge, first: str, second: str, encoder: EncoderSettings
) -> None:
    """24 fps stays 24 fps, whatever order the encoder stores pictures in."""
    source, target = one_second(tmp_path / f"in.{first}"), tmp_path / f"out.{second}"

    convert(source, target, Enlarge(1), encoder=encoder)

    assert_times_equal(source, target, judge)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_film_rate_does_not_drift(tmp_path: Path, judge: Judge, suffix: str) -> None:
    """24000/1001 over 20 s: the last picture is where it was, and the rate is stated as it was."""
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    pictures = [scene(32, 32, index) for index in range(480)]
    write_pictures(source, pictures, [1001 * index for index in range(480)], Fraction(1, 24000), options={"crf": "30"})

    convert(source, target, Enlarge(1, batch=8), encoder=B_FRAMES)

    assert_times_equal(source, target, judge)
    assert judge.picture_times(target)[-1] == pytest.approx(479 * 1001 / 24000, abs=0.0005)
    assert judge.video(target)["avg_frame_rate"] == judge.video(source)["avg_frame_rate"]


@pytest.mark.parametrize(("first", "second"), SUFFIXES)
def test_times_of_an_unsteady_clip_are_kept(tmp_path: Path, judge: Judge, first: str, second: str) -> None:
    """Gaps, bursts and a late start, as screen recorders and phones make them, go through picture by picture."""
    ticks = [23, 40, 57, 73, 400, 417, 433, 1433, 1434, 1500, 1533, 3000]
    source, target = tmp_path / f"in.{first}", tmp_path / f"out.{second}"
    write_pictures(source, [scene(96, 64, index) for index in range(len(ticks))], ticks, Fraction(1, 1000))

    convert(source, target, Enlarge(1), encoder=B_FRAMES)

    assert_times_equal(source, target, judge)


@pytest.mark.parametrize(("first", "second"), SUFFIXES)
@pytest.mark.parametrize(
    ("video_late_s", "sound_late_s"), [(0, 0), (0.023, 0), (0, 0.5)], ids=["together", "video-late", "sound-late"]
)
def test_sound_is_copied_bit_for_bit_and_stays_in_step(
    tmp_path: Path,
    clip: Path,
    ffmpeg_program: str,
    judge: Judge,
    first: str,
    second: str,
    video_late_s: float,
    sound_late_s: float,
) -> None:
    """Each audio packet has the bytes it had, at the distance from the pictures that it had.

    mkv, without edit lists, is spared what lies before zero: AAC's priming, which mp4 hides.
    """
    source, target = tmp_path / f"in.{first}", tmp_path / f"out.{second}"
    with_sound(ffmpeg_program, clip, source, video_late_s=video_late_s, sound_late_s=sound_late_s)

    report = convert(source, target, Enlarge(1), encoder=B_FRAMES)

    assert report.audio_streams_copied == 1
    before, after = sound_packets(source), sound_packets(target)
    before = [packet for packet in before if second != "mkv" or packet[0] >= 0]
    assert [digest for _, digest in after] == [digest for _, digest in before]
    moved = {round(float(new - old), 3) for (old, _), (new, _) in zip(before, after, strict=True)}
    assert max(moved) - min(moved) <= 0.001
    assert_times_equal(source, target, judge)


def test_sound_and_pictures_lie_side_by_side_in_the_file(tmp_path: Path, ffmpeg_program: str) -> None:
    """A player that streams the file finds sound and picture of the same moment close together."""
    source, target = tmp_path / "in.mp4", tmp_path / "out.mkv"
    ffmpeg(
        ffmpeg_program, "-f", "lavfi", "-i", "testsrc=s=32x32:r=8:d=40", "-f", "lavfi", "-i", "sine=d=40",
        "-c:v", "libx264", "-c:a", "aac", source,
    )  # fmt: skip

    convert(source, target, Enlarge(1), encoder=B_FRAMES)

    latest = {"video": 0.0, "audio": 0.0}
    widest = 0.0
    with av.open(target) as container:
        for packet in container.demux():
            if packet.size:
                latest[packet.stream.type] = float((packet.dts or 0) * packet.time_base)
                widest = max(widest, abs(latest["video"] - latest["audio"]))
    # libav by itself waits ten seconds for a stream that says nothing.
    assert widest < 1


def test_streams_that_the_container_cannot_take_are_named(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """Two audio streams and subtitles: mkv takes both sounds, mp4 one; the rest is in the report, not forgotten."""
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    source = tmp_path / "in.mkv"
    ffmpeg(
        ffmpeg_program, "-i", clip, "-f", "lavfi", "-i", "sine=d=1", "-i", words, "-map", "0:v", "-map", "1:a", "-map",
        "1:a", "-map", "2", "-c:v", "copy", "-c:a:0", "aac", "-c:a:1", "pcm_s16le", "-c:s", "srt", source,
    )  # fmt: skip

    to_mkv = convert(source, tmp_path / "out.mkv", Enlarge(1), encoder=QUICK)
    to_mp4 = convert(source, tmp_path / "out.mp4", Enlarge(1), encoder=QUICK)

    assert (to_mkv.audio_streams_copied, to_mkv.left_behind) == (2, ("subtitle subrip",))
    assert (to_mp4.audio_streams_copied, to_mp4.left_behind) == (1, ("audio pcm_s16le", "subtitle subrip"))
    assert sound_packets(tmp_path / "out.mkv", 1) == sound_packets(source, 1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_language_and_choice_of_the_sound_are_kept(
    tmp_path: Path, clip: Path, ffmpeg_program: str, judge: Judge, suffix: str
) -> None:
    """A player offers the same languages as before, and plays the same one unasked: here the second."""
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    ffmpeg(
        ffmpeg_program, "-i", clip, "-f", "lavfi", "-i", "sine=d=1", "-map", "0", "-map", "1", "-map", "1",
        "-c:v", "copy", "-c:a", "aac", "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra",
        "-disposition:a:0", "0", "-disposition:a:1", "default", source,
    )  # fmt: skip

    convert(source, target, Enlarge(1), encoder=QUICK)

    before, after = judge.streams(source)[1:], judge.streams(target)[1:]
    assert [sound["tags"]["language"] for sound in after] == [sound["tags"]["language"] for sound in before]
    assert [sound["disposition"]["default"] for sound in after] == [0, 1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_is_carried(
    tmp_path: Path, clip: Path, ffmpeg_program: str, judge: Judge, suffix: str, angle: int
) -> None:
    """Pictures are computed as coded, and the output is turned for showing as the input was."""
    turned, target = tmp_path / "in.mp4", tmp_path / f"out.{suffix}"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-metadata:s:v", f"rotate={angle}", turned)

    convert(turned, target, Enlarge(2), encoder=QUICK)

    with Decoder(turned) as before, Decoder(target) as after:
        assert abs(before.info.video.rotation) == min(angle, 360 - angle)
        assert after.info.video.rotation == before.info.video.rotation
        assert (after.info.video.width, after.info.video.height) == (192, 128)


def test_an_odd_clip_keeps_its_size(tmp_path: Path, ffmpeg_program: str, judge: Judge) -> None:
    """321×181 stays so at scale 1, and is 642×362 and plain 4:2:0 at scale 2."""
    source = tmp_path / "in.mkv"
    ffmpeg(ffmpeg_program, "-f", "lavfi", "-i", "testsrc=s=321x181:d=0.2,format=yuv444p", "-c:v", "ffv1", source)

    convert(source, tmp_path / "one.mp4", Enlarge(1), encoder=QUICK)
    convert(source, tmp_path / "two.mp4", Enlarge(2), encoder=QUICK)

    one, two = judge.video(tmp_path / "one.mp4"), judge.video(tmp_path / "two.mp4")
    assert (one["width"], one["height"]) == (321, 181)
    assert (two["width"], two["height"], two["pix_fmt"]) == (642, 362, "yuv420p")


@pytest.mark.parametrize(
    "tags",
    [
        ("bt709", "bt709", "bt709", "tv"),
        ("smpte170m", "smpte170m", "smpte170m", "tv"),
        ("bt470bg", "bt470bg", "gamma28", "pc"),
        ("bt2020nc", "bt2020", "bt2020-10", "tv"),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_colour_tags_are_equal(
    tmp_path: Path, clip: Path, ffmpeg_program: str, judge: Judge, tags: tuple[str, str, str, str], suffix: str
) -> None:
    """Matrix, primaries, transfer and range are what they were, as another program reads them."""
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    matrix, primaries, transfer, span = tags
    ffmpeg(
        ffmpeg_program, "-i", clip, "-vf", "setparams=color_primaries=unknown", "-frames:v", "3", "-c:v", "libx264",
        "-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", span, source,
    )  # fmt: skip
    before = judge.colour(source)
    assert len(before) == 4

    convert(source, target, Enlarge(2), encoder=QUICK)

    assert judge.colour(target) == before


def test_batches_are_full_but_the_last(tmp_path: Path, clip: Path) -> None:
    """The computation gets as many pictures a call as it asked for."""
    compute = Enlarge(1, batch=7)

    convert(clip, tmp_path / "out.mp4", compute, encoder=QUICK)

    assert compute.calls == [7, 7, 7, 3]


def test_callers_are_told_in_order(tmp_path: Path, clip: Path) -> None:
    """Progress grows to the estimate; each picture is shown before and after, once."""
    told: list[tuple[int, int | None]] = []
    seen: list[int] = []

    def look(index: int, before: Picture, after: Picture) -> None:
        seen.append(index)
        assert np.array_equal(before.repeat(2, 0).repeat(2, 1), after)

    def tell(done: int, total: int | None) -> None:
        told.append((done, total))

    convert(clip, tmp_path / "out.mp4", Enlarge(2, batch=10), encoder=QUICK, progress=tell, on_frame=look)

    assert told == [(10, 24), (20, 24), (24, 24)]
    assert seen == list(range(24))


def test_queues_hold_no_more_than_they_may(tmp_path: Path, clip: Path) -> None:
    """The bound is in bytes of pictures, for either queue."""
    picture_bytes = 96 * 64 * 3

    report: Conversion = convert(
        clip, tmp_path / "out.mp4", Enlarge(1, batch=4), encoder=QUICK, queue_bytes=2 * picture_bytes
    )

    assert report.frames_out == 24
    assert max(report.peak_bytes.values()) <= 2 * picture_bytes
