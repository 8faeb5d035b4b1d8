"""Holes in mkv and webm are seen from outside; what healthy writers do is none."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import pytest

from framehaul.errors import TruncatedMedia
from framehaul.media.convert import convert
from framehaul.media.decode import Decoder
from framehaul.media.encode import EncoderSettings
from framehaul.media.matroska import first_break
from framehaul.media.probe import probe
from tests.media.clips import ffmpeg, film
from tests.media.computes import Enlarge
from tests.media.judge import Judge, sound_packets

QUICK = EncoderSettings(crf=18, preset="ultrafast")


def holed(path: Path, start: float, length: int) -> Path:
    """Put zeros over a part of a file."""
    content = path.read_bytes()
    at = int(len(content) * start)
    path.write_bytes((content[:at] + bytes(length) + content[at + length :])[: len(content)])
    return path


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
@pytest.mark.parametrize(("start", "length"), [(0.5, 3000), (0.5, 10_000_000), (0.6, 4000)])
def test_a_hole_is_refused_and_said_in_frames(
    tmp_path: Path, ffmpeg_program: str, suffix: str, start: float, length: int
) -> None:
    """libav would leave the pictures of the hole out in silence."""
    source = holed(film(ffmpeg_program, tmp_path / f"clip.{suffix}"), start, length)

    with pytest.raises(TruncatedMedia, match=r"breaks off: about \d\d frames of 96 are there\. Fetch it again"):
        probe(source)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_what_lies_before_a_hole_is_taken_on_demand(
    tmp_path: Path, ffmpeg_program: str, judge: Judge, suffix: str
) -> None:
    """Up to the hole, sound too, without the jump that reading on behind it would make."""
    source, target = holed(film(ffmpeg_program, tmp_path / f"clip.{suffix}"), 0.5, 3000), tmp_path / "out.mkv"

    report = convert(source, target, Enlarge(1), encoder=QUICK, allow_truncated=True)

    times = judge.picture_times(target)
    assert 20 < len(times) == report.frames_out < 76
    assert report.shortfall == f"clip.{suffix} breaks off: {len(times)} frames of 96 are there."
    assert max(late - early for early, late in pairwise(times)) < 0.05
    assert sound_packets(target)[-1][0] <= times[-1] + 0.1


@pytest.mark.parametrize(
    "options",
    [
        ("-live", "1"),
        ("-reserve_index_space", "4096"),
        ("-cluster_time_limit", "200"),
        ("-cluster_size_limit", "2000"),
        ("-write_crc32", "0"),
        ("-cues_to_front", "1"),
    ],
)
@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_healthy_files_join(tmp_path: Path, ffmpeg_program: str, suffix: str, options: tuple[str, str]) -> None:
    """Unknown sizes, Void, CRC-32, small clusters, an index in front: all legal. Junk behind the end is common."""
    kind = "matroska" if suffix == "mkv" else "webm"
    source, path = film(ffmpeg_program, tmp_path / f"in.{suffix}"), tmp_path / f"clip.{suffix}"
    ffmpeg(ffmpeg_program, "-i", source, "-c", "copy", "-f", kind, *options, path)

    with path.open("rb") as file:
        assert first_break(file, 100_000) is None
    assert probe(path).shortfall == ""
    with Decoder(path) as decoder:
        assert sum(1 for _ in decoder) == 96
    if "-live" not in options:
        assert first_break(io.BytesIO(path.read_bytes() + b"\xff\xfe junk"), 100_000) is None


def test_a_piped_file_and_two_in_a_row_join(tmp_path: Path, ffmpeg_program: str) -> None:
    """A muxer that cannot seek leaves sizes unknown; a second file behind the first begins anew."""
    source, path = film(ffmpeg_program, tmp_path / "in.mkv"), tmp_path / "pipe.mkv"
    ffmpeg(ffmpeg_program, "-i", source, "-c", "copy", "-f", "matroska", "-seekable", "0", path)
    piped, whole = path.read_bytes(), source.read_bytes()

    for content in (piped, piped + piped, whole + whole, whole + piped, piped[:-50]):
        assert first_break(io.BytesIO(content), 100_000) is None
    assert first_break(io.BytesIO(piped[:9000] + bytes(400) + piped[9400:]), 100_000) is not None


def test_from_afar_only_the_beginning_is_walked(tmp_path: Path, ffmpeg_program: str) -> None:
    """Each element costs a request there; the work itself sees the hole."""
    content = holed(film(ffmpeg_program, tmp_path / "clip.mkv"), 0.5, 400).read_bytes()

    assert probe(io.BytesIO(content)).shortfall == ""


def test_a_film_that_ends_before_its_own_tag_is_called_short(tmp_path: Path, ffmpeg_program: str) -> None:
    """The structure is whole, and yet the stream says that it is longer."""
    path = film(ffmpeg_program, tmp_path / "clip.mkv", "-an")
    content = path.read_bytes()
    assert content.count(b"00:00:04.000000000") == 1
    path.write_bytes(content.replace(b"00:00:04.000000000", b"00:00:09.000000000"))

    with Decoder(path) as decoder, pytest.raises(TruncatedMedia, match="gave 96 frames"):
        list(decoder)
