"""What a header says, and which files are refused with which sentence."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from framehaul.errors import MediaError, NotAVideo, UnsupportedMedia
from framehaul.media.gate import Limits
from framehaul.media.probe import probe
from tests.media.clips import MP4_BASE, ffmpeg, one_second, scene, write_pictures


def test_a_clip_is_described_as_it_was_made(clip: Path) -> None:
    """Size, rate, time base, frame count and colour are what the file was written with."""
    info = probe(clip)

    assert (info.container, info.size) == ("mp4", clip.stat().st_size)
    video = info.video
    assert (video.codec, video.width, video.height, video.pix_fmt, video.bit_depth) == ("h264", 96, 64, "yuv420p", 8)
    assert (video.time_base, video.avg_rate, video.frames) == (MP4_BASE, Fraction(24), 24)
    assert (video.start_s, video.duration_s, video.rotation, video.sar) == (0.0, 1.0, 0, Fraction(1))
    assert (video.colour.matrix, video.colour.range) == (1, 1)
    assert info.audio == ()


def test_a_stream_of_bytes_is_described_like_its_file(clip: Path) -> None:
    """A seekable binary reader, as ranged reads give one, yields the same answer as the path, and is left open."""
    file = io.BytesIO(clip.read_bytes())

    assert probe(file) == probe(clip)
    assert not file.closed


def test_frames_are_estimated_where_the_header_has_no_count(tmp_path: Path) -> None:
    """mkv keeps no count; duration × rate gives it, also for pictures that start late."""
    path = tmp_path / "clip.mkv"
    for late_ms in (0, 500):
        ticks = [late_ms + round(index * 1000 / 24) for index in range(24)]
        write_pictures(path, [scene(96, 64, index) for index in range(24)], ticks, Fraction(1, 1000))
        info = probe(path)

        assert info.container == "mkv"
        assert info.video.frames is None
        assert info.video.start_s == late_ms / 1000
        assert info.frames_estimate == 24


def test_probing_loads_no_numpy(clip: Path) -> None:
    """The laptop probes headers without numpy (and so without torch)."""
    code = f"import sys; from pathlib import Path; from framehaul.media.probe import probe; probe(Path({str(clip)!r}))"
    check = "assert not {'numpy', 'torch'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], check=True)


def test_sound_and_other_streams_are_named(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """Audio is listed with codec, rate and start; what is neither video nor audio is named for the report."""
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    marks = tmp_path / "marks.txt"
    chapter = "[CHAPTER]\nTIMEBASE=1/1000\nSTART={}\nEND={}\n"
    marks.write_text(";FFMETADATA1\n" + chapter.format(0, 500) + chapter.format(500, 1000))
    both = tmp_path / "both.mkv"
    ffmpeg(
        ffmpeg_program, "-i", clip, "-f", "lavfi", "-i", "sine=r=44100:d=1", "-i", words, "-i", marks,
        "-map", "0", "-map", "1", "-map", "2", "-map_chapters", "3", "-c:v", "copy", "-c:a", "flac", "-c:s", "srt",
        "-metadata:s:s", "language=eng", both,
    )  # fmt: skip

    info = probe(both)

    assert [(sound.codec, sound.rate, sound.channels) for sound in info.audio] == [("flac", 44100, 1)]
    assert info.other == ("subtitle subrip (eng)", "2 chapters")


def test_rotation_is_read_with_its_matrix(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """A phone's quarter turn is in `rotation`, while the size stays as coded."""
    turned = tmp_path / "turned.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-metadata:s:v", "rotate=90", turned)

    video = probe(turned).video

    assert (video.width, video.height, video.rotation) == (96, 64, 90)
    assert video.display_matrix == (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)


def test_a_cut_clip_is_described_although_its_first_packets_are_hidden(
    tmp_path: Path, clip: Path, ffmpeg_program: str
) -> None:
    """A lossless cut starts between key frames: its edit list hides the first packets, yet it is a video."""
    cut = tmp_path / "cut.mp4"
    ffmpeg(ffmpeg_program, "-ss", "0.6", "-i", clip, "-c", "copy", cut)

    assert probe(cut).video.width == 96


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"just words\n" * 40, "is not a readable mp4, mov, mkv or webm file"),
        (b"\x00\x01\x02\x03" * 4000, "is not a readable mp4, mov, mkv or webm file"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n", "is not a"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "is not a video file"),
    ],
    ids=["empty", "text", "noise", "playlist", "script"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, clip: Path, content: bytes, sentence: str) -> None:
    """Also a playlist or a concat script that names a sound video beside it: it would make libav open other files."""
    assert clip.exists()
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    with pytest.raises(NotAVideo, match=f"film.mp4 {sentence}"):
        probe(path)


def test_sound_alone_is_no_video(tmp_path: Path, ffmpeg_program: str) -> None:
    """An audio file is refused, and the sentence says that there is sound."""
    path = tmp_path / "song.m4a"
    ffmpeg(ffmpeg_program, "-f", "lavfi", "-i", "sine=d=0.2", path)

    with pytest.raises(NotAVideo, match=r"song.m4a holds no video, only sound"):
        probe(path)


def test_a_cover_picture_is_no_video(tmp_path: Path, ffmpeg_program: str) -> None:
    """A song with a cover is refused although libav calls the cover a video stream."""
    path = tmp_path / "song.mp4"
    ffmpeg(
        ffmpeg_program, "-f", "lavfi", "-i", "sine=d=0.2", "-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-map",
        "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", path,
    )  # fmt: skip

    with pytest.raises(NotAVideo, match="cover picture"):
        probe(path)


def test_another_container_is_called_what_it_is(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """An AVI is a video that this version does not read, which is not the same as no video."""
    path = tmp_path / "old.avi"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", path)

    with pytest.raises(UnsupportedMedia, match="none of mp4, mov, mkv and webm"):
        probe(path)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    """The sentence names the file, not the folders of this machine."""
    with pytest.raises(MediaError, match=r"^gone.mp4 cannot be read: No such file") as caught:
        probe(tmp_path / "gone.mp4")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(max_pixels=96 * 64 - 1), "claims pictures of 96×64"),
        (Limits(max_duration_s=0.5), "claims 1 seconds"),
        (Limits(max_streams=0), "has 1 streams"),
    ],
    ids=["pixels", "duration", "streams"],
)
def test_absurd_claims_are_refused(clip: Path, limits: Limits, sentence: str) -> None:
    """A header beyond any of the limits is refused before anything is allocated for it."""
    with pytest.raises(MediaError, match=sentence):
        probe(clip, limits=limits)


@pytest.mark.parametrize("name", ["concat:a|b.mp4", "http:clip.mp4", "file:clip.mp4"])
def test_a_name_that_looks_like_an_address_is_a_name(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """libav reads a bare "concat:a|b" as a protocol; a path is only ever a path, also one without folders."""
    clip.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)

    assert probe(Path(name)).video.width == 96


def test_a_picture_of_an_absurd_size_is_refused(tmp_path: Path, ffmpeg_program: str) -> None:
    """A header that claims 100000×100000 costs nobody 30 GB; what libav itself turns down is a sentence too."""
    path = tmp_path / "huge.mkv"
    ffmpeg(ffmpeg_program, "-f", "lavfi", "-i", "testsrc2=s=320x256:d=0.1", "-c:v", "ffv1", path)
    content = path.read_bytes()
    width = content.index(b"\xb0\x82" + (320).to_bytes(2, "big"))  # PixelWidth, the first element of the track's Video
    assert content[width - 2 : width] == b"\xe0\x8b", "the Video element holds eleven bytes"
    claim = b"\xb0\x83" + (100_000).to_bytes(3, "big") + b"\xba\x84" + (100_000).to_bytes(4, "big")
    path.write_bytes(content[:width] + claim + content[width + len(claim) :])

    with pytest.raises(UnsupportedMedia, match=r"huge.mkv claims pictures of .*; up to 67108864 pixels are taken"):
        probe(path)


def test_a_subtitle_of_an_unknown_codec_is_named_unknown(tmp_path: Path, ffmpeg_program: str) -> None:
    """A stream without a decoder has no name; it is no reason to fail."""
    words, path = tmp_path / "words.srt", tmp_path / "clip.mkv"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    ffmpeg(ffmpeg_program, "-i", one_second(tmp_path / "in.mp4"), "-i", words, "-c", "copy", path)
    content = path.read_bytes()
    assert b"S_TEXT/UTF8" in content
    path.write_bytes(content.replace(b"S_TEXT/UTF8", b"S_TEXT/NEW8"))

    assert [name.split(" (")[0] for name in probe(path).other] == ["subtitle unknown"]


def test_a_damaged_fragment_stays_in_the_family(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """Whatever byte of a fragmented mp4 is wrong, it is read, or refused in our words."""
    path = tmp_path / "pieces.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path)
    content = path.read_bytes()
    at = content.index(b"trun")
    for offset in range(-60, 60, 2):
        path.write_bytes(content[: at + offset] + b"\xff\xff" + content[at + offset + 2 :])
        with suppress(MediaError):
            assert probe(path).video.codec == "h264"


@pytest.mark.parametrize(
    ("name", "coding", "told"),
    [
        ("clip.mov", ("-c:v", "qtrle", "-pix_fmt", "argb"), ("transparency",)),
        ("clip.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"), ("transparency",)),
        (
            "clip.mp4",
            ("-vf", "interlace", "-c:v", "libx264", "-flags", "+ilme+ildct"),
            ("interlacing: fields are woven, this version does not deinterlace",),
        ),
        ("plain.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p"), ()),
    ],
)
def test_what_pictures_lose_is_named(
    tmp_path: Path, ffmpeg_program: str, name: str, coding: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """Transparency, also where VP9 keeps it beside the pictures, and fields."""
    path = tmp_path / name
    ffmpeg(ffmpeg_program, "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5", *coding, path)

    assert probe(path).other == told
