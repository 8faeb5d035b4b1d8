"""What is written: names, sizes, tags, codecs; and nothing at all when it fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framehaul.errors import MediaError, UnsupportedMedia
from framehaul.media.encode import ARCHIVE, BALANCED, FAST, Encoder, EncoderSettings
from framehaul.media.probe import VideoInfo, probe
from tests.media.clips import TICKS_24, scene
from tests.media.judge import Judge

LOSSLESS = EncoderSettings(crf=0, preset="ultrafast")


@pytest.fixture
def like(clip: Path) -> VideoInfo:
    """Give the description of a plain 96×64 clip."""
    return probe(clip).video


def encode(
    target: Path,
    like: VideoInfo,
    size: tuple[int, int] = (96, 64),
    *,
    settings: EncoderSettings = LOSSLESS,
    ticks: Iterable[int] = TICKS_24,
) -> Path:
    """Write a painted scene."""
    with Encoder(target, like, size, settings=settings) as encoder:
        for index, tick in enumerate(ticks):
            encoder.write(scene(*size, index), tick, 512)
        encoder.finish()
        encoder.commit()
    return target


@pytest.mark.parametrize("settings", [BALANCED, FAST, ARCHIVE, EncoderSettings(codec="libx265", preset="ultrafast")])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_each_setting_writes_every_picture(
    tmp_path: Path, like: VideoInfo, judge: Judge, settings: EncoderSettings, suffix: str
) -> None:
    """Both codecs and all presets give 24 pictures at their times, in both containers."""
    target = encode(tmp_path / f"out.{suffix}", like, settings=settings)

    times = judge.picture_times(target)
    assert len(times) == 24
    errors = [abs(time - Fraction(tick, 12288)) for time, tick in zip(times, TICKS_24, strict=True)]
    assert max(errors) <= Fraction(1, 2000)


def test_hevc_in_mp4_has_the_tag_that_players_take(tmp_path: Path, like: VideoInfo, judge: Judge) -> None:
    """Apple's players show HEVC as hvc1 only."""
    target = encode(tmp_path / "out.mp4", like, settings=EncoderSettings(codec="libx265", preset="ultrafast"))

    assert judge.video(target)["codec_tag_string"] == "hvc1"


def test_pictures_are_not_cut_into_strips(tmp_path: Path, like: VideoInfo) -> None:
    """x264 uses cores by picture, not by slices of one, which cost size; it writes into the file what it did."""
    threads = (("threads", "2"),)

    target = encode(tmp_path / "out.mkv", like, (320, 192), settings=EncoderSettings(options=threads))

    assert b"sliced_threads=0" in target.read_bytes()


@pytest.mark.parametrize("size", [(321, 181), (321, 180), (320, 181)])
def test_an_odd_size_is_exact(tmp_path: Path, like: VideoInfo, judge: Judge, size: tuple[int, int]) -> None:
    """Neither cropped nor padded by a column: such a picture is coded with full chroma."""
    video = judge.video(encode(tmp_path / "out.mp4", like, size))

    assert (video["width"], video["height"], video["pix_fmt"]) == (*size, "yuv444p")


def test_an_even_size_is_coded_as_players_expect(tmp_path: Path, like: VideoInfo, judge: Judge) -> None:
    """The default is 8-bit 4:2:0."""
    assert judge.video(encode(tmp_path / "out.mp4", like))["pix_fmt"] == "yuv420p"


@pytest.mark.parametrize(
    ("size", "aspect"), [((96, 64), "4:3"), ((192, 128), "4:3"), ((192, 64), "2:3"), ((96, 128), "8:3")]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_shape_on_the_screen_stays(
    tmp_path: Path, like: VideoInfo, judge: Judge, size: tuple[int, int], aspect: str, suffix: str
) -> None:
    """The pixel aspect ratio is carried over, and makes up for an enlargement that is not the same both ways."""
    target = encode(tmp_path / f"out.{suffix}", replace(like, sar=Fraction(4, 3)), size)

    assert judge.video(target)["sample_aspect_ratio"] == aspect


def test_the_last_picture_keeps_its_duration(tmp_path: Path, like: VideoInfo, judge: Judge) -> None:
    """No later time stamp tells how long the last one is shown; the source did."""
    target = tmp_path / "out.mp4"
    with Encoder(target, like, (96, 64), settings=LOSSLESS) as encoder:
        encoder.write(scene(96, 64), 0, 512)
        encoder.write(scene(96, 64, 1), 512, 20000)
        encoder.finish()
        encoder.commit()

    assert float(judge.video(target)["duration"]) == pytest.approx(20512 / 12288, abs=0.001)


def test_the_name_appears_with_the_commit(tmp_path: Path, like: VideoInfo) -> None:
    """Until then there is a part; afterwards there is none, and what lay under the name is replaced."""
    target = tmp_path / "out.mp4"
    target.write_bytes(b"an older result")
    with Encoder(target, like, (96, 64)) as encoder:
        encoder.write(scene(96, 64), 0)
        encoder.finish()
        assert (tmp_path / "out.mp4.part").exists()
        assert target.read_bytes() == b"an older result"
        encoder.commit()

    assert not (tmp_path / "out.mp4.part").exists()
    assert probe(target).video.frames == 1


def test_leaving_without_a_commit_leaves_nothing(tmp_path: Path, like: VideoInfo) -> None:
    """Also when pictures were written, or the file was even finished."""
    for finish in (False, True):
        with Encoder(tmp_path / "out.mkv", like, (96, 64)) as encoder:
            encoder.write(scene(96, 64), 0)
            if finish:
                encoder.finish()
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("out.avi", BALANCED, r"out.avi: a video can be written as .m4v, .mkv, .mov, .mp4, .webm"),
        ("out.mp4", EncoderSettings(codec="mpeg2video"), "mpeg2video is no encoder of this version"),
        ("out.mp4", EncoderSettings(preset="warp"), "libx264 cannot make out.mp4"),
        ("out.mp4", EncoderSettings(options=(("tuen", "grain"),)), "libx264 has no option tuen"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, like: VideoInfo, name: str, settings: EncoderSettings, sentence: str
) -> None:
    """Before the first picture is computed, and without leaving a part."""
    with pytest.raises(UnsupportedMedia, match=sentence):
        Encoder(tmp_path / name, like, (96, 64), settings=settings)
    assert not list(tmp_path.glob("out*"))


def test_a_folder_that_is_not_there_is_named_in_a_sentence(tmp_path: Path, like: VideoInfo) -> None:
    """The system's error becomes ours."""
    with pytest.raises(MediaError, match=r"^out.mp4 cannot be written: No such file or directory"):
        Encoder(tmp_path / "nowhere" / "out.mp4", like, (96, 64))


def test_a_picture_of_another_size_is_refused(tmp_path: Path, like: VideoInfo) -> None:
    """Nothing is stretched in silence."""
    with Encoder(tmp_path / "out.mp4", like, (96, 64)) as encoder, pytest.raises(ValueError, match="broadcast"):
        encoder.write(scene(98, 64), 0)


def test_a_caller_may_reuse_its_array(tmp_path: Path, like: VideoInfo) -> None:
    """A picture is copied when it is written; painting over it afterwards changes nothing."""
    target, canvas = tmp_path / "out.mp4", np.zeros((64, 96, 3), np.uint8)
    with Encoder(target, like, (96, 64), settings=LOSSLESS) as encoder:
        for index, level in enumerate((50, 200)):
            canvas[...] = level
            encoder.write(canvas, 512 * index)
        canvas[...] = 0
        encoder.finish()
        encoder.commit()

    with av.open(target) as container:
        levels = [int(frame.to_ndarray(format="gray")[0, 0]) for frame in container.decode(video=0)]
    assert levels[0] < 70 < 180 < levels[1]


def test_a_start_between_milliseconds_is_exact_in_mp4(tmp_path: Path, like: VideoInfo, judge: Judge) -> None:
    """MP4 says when a track starts in ticks of the movie; those are as fine as the video's own."""
    ticks = [100, 612, 613, 9000, 9512, 30000]

    target = encode(tmp_path / "out.mp4", like, settings=BALANCED, ticks=ticks)

    assert judge.picture_times(target) == [Fraction(tick, 12288) for tick in ticks]
