"""Files that break off are noticed from their outermost structure, before any decoding."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from framehaul.errors import TruncatedMedia
from framehaul.media.decode import Decoder
from framehaul.media.probe import probe
from framehaul.media.shortfall import extent_of
from tests.media.clips import ffmpeg, film, one_second


def test_a_whole_file_misses_nothing(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """mp4 with its index last, first, or in fragments, and mkv, are whole; so is one with junk at its end."""
    first, pieces = tmp_path / "first.mp4", tmp_path / "pieces.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "faststart", first)
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", pieces)
    for path in (clip, first, pieces, one_second(tmp_path / "clip.mkv")):
        whole = path.read_bytes()
        assert extent_of(io.BytesIO(whole)).missing == 0, path.name
        assert extent_of(io.BytesIO(whole + b"\xff\xfe junk")).missing == 0, path.name


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_cut_file_misses_what_was_cut(tmp_path: Path, name: str) -> None:
    """Every byte that is cut off is counted."""
    whole = one_second(tmp_path / name).read_bytes()

    for cut in (1, 100, len(whole) // 2):
        # An mp4 whose index lies last still promises only the box that the cut goes through.
        assert 0 < extent_of(io.BytesIO(whole[:-cut])).missing <= cut


def test_a_cut_mp4_says_how_many_frames_are_there(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """With the index in front, the sentence is in frames."""
    path = tmp_path / "first.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "faststart", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    with pytest.raises(TruncatedMedia, match=r"first.mp4 breaks off: \d+ frames of 24 are there") as caught:
        probe(path)
    assert 0 < int(str(caught.value).split()[3]) < 24


def test_a_cut_mp4_without_its_index_is_called_cut(clip: Path) -> None:
    """With the index last nothing can be decoded, yet it is no "not a video": the person should fetch it again."""
    clip.write_bytes(clip.read_bytes()[:-2000])

    with pytest.raises(TruncatedMedia, match=r"its index is missing\. Fetch it again"):
        probe(clip)


def test_a_cut_fragment_is_called_cut(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """A fragmented mp4, as cameras and streams leave it, ends within a box that promised more."""
    path = tmp_path / "pieces.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    with pytest.raises(TruncatedMedia, match="breaks off"):
        probe(path)


def test_a_cut_mkv_is_called_cut(tmp_path: Path) -> None:
    """mkv plays until it breaks off, which libav calls the end; the header knows better."""
    path = one_second(tmp_path / "clip.mkv")
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(TruncatedMedia, match="breaks off: about 23 frames of 24 are there"):
        probe(path)


def test_a_recording_without_a_stated_end_is_taken(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """A live mkv has a Segment of unknown size; it promises nothing, so nothing is missing."""
    path = tmp_path / "live.mkv"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-f", "matroska", "-live", "1", path)

    assert extent_of(io.BytesIO(path.read_bytes()[:-100])).missing == 0


@pytest.mark.parametrize(
    "head", [b"", b"\x1a", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00", b"\x1a\x45\xdf\xa3\x01\xff", b"\x00" * 16]
)
def test_a_stump_promises_nothing(head: bytes) -> None:
    """A few bytes of a header are no promise, and no crash."""
    assert extent_of(io.BytesIO(head)).missing == 0


def test_a_cut_fragmented_mp4_counts_the_frames_that_are_there(tmp_path: Path, ffmpeg_program: str) -> None:
    """Its header keeps no total; the heads of the fragments that are there say what they hold."""
    source, path = film(ffmpeg_program, tmp_path / "in.mp4"), tmp_path / "pieces.mp4"
    options = ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "200000")
    ffmpeg(ffmpeg_program, "-i", source, "-c", "copy", *options, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    info = probe(path, allow_truncated=True)

    with Decoder(path, allow_truncated=True) as decoder:
        frames = sum(1 for _ in decoder)
    assert 40 < frames < 90
    assert info.frames_there == frames
    assert info.shortfall == f"pieces.mp4 breaks off: {frames} frames are there, of an unknown number."
