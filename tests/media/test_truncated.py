"""A file that breaks off is refused, or, where a person asks for it, taken as far as it goes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from framehaul.errors import MediaError, TruncatedMedia
from framehaul.media.convert import convert
from framehaul.media.decode import Decoder
from framehaul.media.encode import EncoderSettings
from framehaul.media.probe import probe
from framehaul.media.span import Span
from tests.media.clips import ffmpeg, film, one_second
from tests.media.computes import Enlarge
from tests.media.judge import Judge, sound_packets

QUICK = EncoderSettings(crf=18, preset="ultrafast")


def cut(path: Path, part: float) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("part", [0.4, 0.62, 0.97])
def test_what_is_there_is_taken(tmp_path: Path, ffmpeg_program: str, judge: Judge, suffix: str, part: float) -> None:
    """The output is whole and playable, has every picture that is there, and the report says how many of how many."""
    source, target = cut(film(ffmpeg_program, tmp_path / f"clip.{suffix}"), part), tmp_path / "out.mkv"

    report = convert(source, target, Enlarge(1), encoder=QUICK, allow_truncated=True)

    times = judge.picture_times(target)
    assert len(times) == report.frames_out == report.frames_in
    assert report.shortfall == f"clip.{suffix} breaks off: {len(times)} frames of 96 are there."
    assert abs(len(times) - 96 * part) < 12
    assert probe(target).shortfall == ""
    assert sound_packets(target)[-1][0] <= times[-1] + 0.1, "the sound ends with the pictures"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_it_is_refused_unasked_with_advice(tmp_path: Path, ffmpeg_program: str, suffix: str) -> None:
    """How many frames of how many, and both ways out; no output appears."""
    source = cut(film(ffmpeg_program, tmp_path / f"clip.{suffix}"), 0.6)

    with pytest.raises(
        TruncatedMedia, match=r"breaks off: (about )?\d\d frames of 96 are there\. Fetch it again"
    ) as caught:
        convert(source, tmp_path / "out.mp4", Enlarge(1))
    assert "--allow-truncated" in caught.value.advice
    assert not list(tmp_path.glob("out*"))


def test_the_header_says_before_the_work_how_much_there_is(tmp_path: Path, ffmpeg_program: str) -> None:
    """Planning sees the sentence, and counts only the frames that are there, also within a part."""
    source = cut(film(ffmpeg_program, tmp_path / "clip.mp4"), 0.6)

    info = probe(source, allow_truncated=True)

    assert probe(io.BytesIO(source.read_bytes()), allow_truncated=True).frames_there == info.frames_there
    assert info.frames_there is not None
    assert info.shortfall == f"clip.mp4 breaks off: {info.frames_there} frames of 96 are there."
    assert info.frames_within(Span()) == info.frames_there
    assert info.frames_within(Span(0, 1)) == 24
    assert info.frames_within(Span(2, 3)) == info.frames_there - 48
    with Decoder(source, allow_truncated=True) as decoder:
        assert len(list(decoder)) == info.frames_there


def test_a_part_that_is_there_lacks_nothing(tmp_path: Path, ffmpeg_program: str, judge: Judge) -> None:
    """The first second of a file that breaks off in the third is whole; nothing needs to be told."""
    source = cut(film(ffmpeg_program, tmp_path / "clip.mp4"), 0.6)

    report = convert(source, tmp_path / "out.mp4", Enlarge(1), encoder=QUICK, span=Span(0, 1), allow_truncated=True)

    assert (report.frames_out, report.shortfall) == (24, "")


def test_a_part_across_the_break_and_one_behind_it(tmp_path: Path, ffmpeg_program: str) -> None:
    """Across: what is there, and told. Behind: a sentence that says where it breaks off."""
    source = cut(film(ffmpeg_program, tmp_path / "clip.mp4"), 0.6)

    report = convert(source, tmp_path / "out.mp4", Enlarge(1), encoder=QUICK, span=Span(2, 3), allow_truncated=True)

    assert 0 < report.frames_out < 24
    assert "frames of 96 are there" in report.shortfall
    with pytest.raises(MediaError, match=r"has no picture from 3.5 s to the end: it breaks off after 2\.\d+ s"):
        convert(source, tmp_path / "two.mp4", Enlarge(1), span=Span(3.5), allow_truncated=True)


@pytest.mark.parametrize("allow", [False, True])
def test_an_mp4_without_its_index_cannot_be_saved(clip: Path, allow: bool) -> None:
    """Nobody can tell its pictures apart; the advice does not offer what would not help."""
    with pytest.raises(TruncatedMedia, match=r"its index is missing\. Fetch it again: nothing in this copy") as caught:
        convert(cut(clip, 0.7), clip.with_name("out.mp4"), Enlarge(1), allow_truncated=allow)
    assert "--allow-truncated" not in str(caught.value)


def test_a_file_that_ends_within_its_first_picture_cannot_be_saved(tmp_path: Path) -> None:
    """There is nothing to take."""
    source = cut(one_second(tmp_path / "clip.mkv"), 0.03)

    with pytest.raises(TruncatedMedia, match="breaks off"):
        convert(source, tmp_path / "out.mkv", Enlarge(1), allow_truncated=True)


@pytest.mark.parametrize("damaged", [0.5, 0.95])
def test_a_whole_file_with_a_hole_is_taken_up_to_the_hole(tmp_path: Path, damaged: float) -> None:
    """A bad block in the middle: what follows may lean on what is lost, so that is the end, and it is told."""
    source = one_second(tmp_path / "clip.mp4", options={"crf": "18", "g": "1", "bf": "0"})
    content = source.read_bytes()
    at = int(len(content) * damaged * 0.9)
    source.write_bytes(content[:at] + bytes(300) + content[at + 300 :])

    report = convert(source, tmp_path / "out.mp4", Enlarge(1), encoder=QUICK, allow_truncated=True)

    assert 0 < report.frames_out < 24
    assert report.shortfall == f"clip.mp4 breaks off: {report.frames_out} frames of 24 are there."


def test_a_file_that_shrinks_while_it_is_read_is_refused_all_the_same(clip: Path) -> None:
    """Leave to take half a file is no leave to take one that somebody is writing to."""
    with Decoder(clip, allow_truncated=True) as decoder:
        clip.write_bytes(clip.read_bytes()[:2000])
        with pytest.raises(TruncatedMedia, match="changed while it was read"):
            list(decoder)


def test_a_fragment_that_breaks_off_in_its_head_is_noticed(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """The head of a fragment is no junk at the end of a file."""
    path = tmp_path / "pieces.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"moof") + 40])

    with pytest.raises(TruncatedMedia, match="breaks off"):
        probe(path)


def test_the_middle_of_what_is_there_is_what_a_person_sees_first(tmp_path: Path, ffmpeg_program: str) -> None:
    """The length that a sample is centred in is that of the pictures that are there, not the header's."""
    whole = film(ffmpeg_program, tmp_path / "clip.mp4")
    promised = probe(whole).length_s
    info = probe(cut(whole, 0.6), allow_truncated=True)

    assert promised is not None
    assert info.frames_there is not None
    assert info.length_s == pytest.approx(promised * info.frames_there / 96)
