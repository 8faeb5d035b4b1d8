"""Each container gets what it takes: an encoder, sound, and a name for what stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from framehaul.errors import UnsupportedMedia
from framehaul.media.convert import convert
from framehaul.media.encode import ARCHIVE, BALANCED, LOSSLESS, EncoderSettings, encoder_for
from framehaul.media.probe import probe
from framehaul.media.quality import require_encoder, vp9_crf
from tests.media.clips import ffmpeg, film, one_second
from tests.media.computes import Enlarge
from tests.media.judge import Judge, sound_packets

QUICK = EncoderSettings(crf=18, preset="ultrafast")


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
@pytest.mark.parametrize("settings", [BALANCED, EncoderSettings(codec="libx265", options=(("tune", "grain"),))])
def test_settings_that_fit_stay_as_they_are(suffix: str, settings: EncoderSettings) -> None:
    """H.264 and HEVC go into all but webm."""
    assert encoder_for(suffix, settings) == settings


def test_webm_gets_vp9_of_the_same_quality_and_effort() -> None:
    """The crf and preset keep their meaning; options that only x264 knows are dropped."""
    settings = EncoderSettings(crf=20, preset="slow", options=(("tune", "grain"),))

    assert encoder_for(".webm", settings) == EncoderSettings("libvpx-vp9", crf=20, preset="slow")
    assert [vp9_crf(crf) for crf in (0, 17, 23, 51)] == [2, 23, 31, 63]


@pytest.mark.parametrize(
    ("suffix", "settings", "sentence"),
    [
        (".avi", BALANCED, "a video can be written as"),
        (".mp4", EncoderSettings(codec="mpeg2video"), "mpeg2video is no encoder of this version; libvpx-vp9, libx264"),
    ],
)
def test_what_no_container_takes_is_refused(suffix: str, settings: EncoderSettings, sentence: str) -> None:
    """Before anything is opened."""
    with pytest.raises(UnsupportedMedia, match=sentence):
        encoder_for(suffix, settings)


def test_an_encoder_that_is_missing_here_is_named() -> None:
    """FFmpeg is built with or without each; without it the sentence says so."""
    require_encoder("libvpx-vp9")
    with pytest.raises(UnsupportedMedia, match="The encoder libvpx-vp10 is not in the FFmpeg libraries"):
        require_encoder("libvpx-vp10")


@pytest.mark.parametrize(
    ("source", "target", "codecs", "left"),
    [
        ("mp4", "webm", ["vp9"], ("audio aac",)),
        ("webm", "mp4", ["h264", "opus"], ()),
        ("webm", "mov", ["h264"], ("audio opus",)),
        ("webm", "webm", ["vp9", "opus"], ()),
        ("mov", "mov", ["h264", "pcm_s16le"], ()),
        ("mov", "mkv", ["h264", "pcm_s16le"], ()),
        ("mkv", "mov", ["h264", "aac"], ()),
        ("mov", "webm", ["vp9"], ("audio pcm_s16le",)),
    ],
)
def test_from_container_to_container(
    tmp_path: Path,
    ffmpeg_program: str,
    judge: Judge,
    source: str,
    target: str,
    codecs: list[str],
    left: tuple[str, ...],
) -> None:
    """Video in the container's own codec, sound copied where it is taken, and named where it is not."""
    before, after = film(ffmpeg_program, tmp_path / f"in.{source}"), tmp_path / f"out.{target}"

    report = convert(before, after, Enlarge(1), encoder=QUICK)

    assert [stream["codec_name"] for stream in judge.streams(after)] == codecs
    assert len(judge.picture_times(after)) == 96
    assert report.left_behind == left
    if not left:
        assert [digest for _, digest in sound_packets(after)] == [digest for _, digest in sound_packets(before)]


@pytest.mark.parametrize(
    ("suffix", "name"), [("mp4", "mp4"), ("m4v", "mp4"), ("mov", "mov"), ("mkv", "mkv"), ("webm", "mkv")]
)
def test_a_file_is_known_by_its_content(tmp_path: Path, suffix: str, name: str) -> None:
    """Whatever it is called; webm is a kind of mkv."""
    path = one_second(tmp_path / f"clip.{'mp4' if suffix == 'm4v' else suffix}") if suffix != "webm" else None
    if path is None:
        path = tmp_path / "clip.webm"
        convert(one_second(tmp_path / "clip.mp4"), path, Enlarge(1), encoder=QUICK)

    assert probe(path.rename(tmp_path / "nameless")).container == name


def test_quality_rules_the_size_of_vp9(tmp_path: Path, ffmpeg_program: str) -> None:
    """A higher crf makes a smaller file, and 0 is lossless; no rate is aimed at."""
    source, target = film(ffmpeg_program, tmp_path / "in.mp4"), tmp_path / "out.webm"
    sizes = []
    for settings in (LOSSLESS, ARCHIVE, EncoderSettings(crf=40, preset="veryfast")):
        convert(source, target, Enlarge(1), encoder=settings)
        sizes.append(target.stat().st_size)

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[2]


def test_opus_keeps_its_lead_in(tmp_path: Path, ffmpeg_program: str, judge: Judge) -> None:
    """Opus begins before zero and says by how much; webm carries that, and no picture moves."""
    source, target = film(ffmpeg_program, tmp_path / "in.webm"), tmp_path / "out.webm"

    convert(source, target, Enlarge(1), encoder=QUICK)

    assert judge.picture_times(target) == judge.picture_times(source)
    assert sound_packets(target) == sound_packets(source)


@pytest.mark.parametrize("hidden_s", [0, 0.5])
def test_sound_that_an_edit_list_hides_moves_no_picture(
    tmp_path: Path, ffmpeg_program: str, judge: Judge, hidden_s: float
) -> None:
    """mkv has no edit list: AAC's priming and what a cut hid are left out, and the rest keeps its time."""
    source, target = film(ffmpeg_program, tmp_path / "in.mp4"), tmp_path / "out.mkv"
    if hidden_s:
        ffmpeg(ffmpeg_program, "-ss", str(hidden_s), "-i", source, "-c", "copy", tmp_path / "edit.mp4")
        source = tmp_path / "edit.mp4"

    convert(source, target, Enlarge(1), encoder=QUICK)

    before, after = judge.picture_times(source), judge.picture_times(target)
    assert [abs(new - old) <= 0.0005 for old, new in zip(before, after, strict=True)] == [True] * len(before)
    expected = [(time_s, digest) for time_s, digest in sound_packets(source) if time_s >= 0]
    kept = sound_packets(target)
    assert [digest for _, digest in kept] == [digest for _, digest in expected]
    assert all(abs(new[0] - old[0]) <= 0.001 for old, new in zip(expected, kept, strict=True))
