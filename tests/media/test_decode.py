"""Pictures come out with the file's own times, whole, in order; a damaged file does not pass for a short one."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framehaul.errors import MediaError, TruncatedMedia, UnsupportedMedia
from framehaul.media.decode import Decoder, Frame
from framehaul.media.probe import probe
from tests.media.clips import MP4_BASE, TICKS_24, ffmpeg, one_second, scene, write_pictures
from tests.media.judge import Judge, psnr_db


def frames_of(path: Path) -> list[Frame]:
    """Decode all."""
    with Decoder(path) as decoder:
        return list(decoder)


def test_frames_are_contiguous_rgb_in_order(clip: Path) -> None:
    """24 arrays (64, 96, 3) of uint8, numbered, each at its own tick."""
    frames = frames_of(clip)

    assert [frame.index for frame in frames] == list(range(24))
    assert [frame.pts for frame in frames] == TICKS_24
    for frame in frames:
        assert (frame.rgb.shape, frame.rgb.dtype.name, frame.time_base) == ((64, 96, 3), "uint8", MP4_BASE)
        assert frame.rgb.flags.c_contiguous
        assert frame.duration == 512


def test_arrays_are_contiguous_at_every_width(tmp_path: Path) -> None:
    """libav pads its rows; the array has no padding in it."""
    path = tmp_path / "narrow.mp4"
    write_pictures(path, [scene(92, 64)], [0])

    (frame,) = frames_of(path)

    assert frame.rgb.shape == (64, 92, 3)
    assert frame.rgb.flags.c_contiguous


def test_pictures_look_like_what_was_painted(clip: Path) -> None:
    """RGB comes back as painted, up to the loss of 4:2:0; a matrix that is wrong both ways would show here."""
    worst = min(psnr_db(frame.rgb, scene(96, 64, frame.index)) for frame in frames_of(clip))

    assert worst > 33


def test_pictures_that_are_stored_out_of_order_come_out_in_order(tmp_path: Path, judge: Judge) -> None:
    """With B-frames the file's order is not the order of showing."""
    path = one_second(tmp_path / "b.mp4", options={"crf": "20", "bf": "3", "b-adapt": "0"})
    with av.open(path) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert stored != sorted(stored, key=lambda pts: pts or 0), "the clip has no B-frames; the test would prove nothing"

    frames = frames_of(path)

    assert [frame.pts * frame.time_base for frame in frames] == judge.picture_times(path)
    assert all(psnr_db(frame.rgb, scene(96, 64, frame.index)) > 25 for frame in frames)


def test_times_with_gaps_and_an_offset_are_kept(tmp_path: Path) -> None:
    """Nothing is rounded to a rate: late start, gaps and neighbours one tick apart come out tick for tick."""
    ticks = [23, 40, 41, 300, 333, 2000]
    path = tmp_path / "vfr.mkv"
    write_pictures(path, [scene(96, 64, index) for index in range(6)], ticks, Fraction(1, 1000))

    assert [frame.pts for frame in frames_of(path)] == ticks


def test_a_turned_clip_is_decoded_as_coded(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """A rotation tag does not turn the pictures; it is carried to the output instead."""
    turned = tmp_path / "turned.mp4"
    ffmpeg(ffmpeg_program, "-i", clip, "-c", "copy", "-metadata:s:v", "rotate=90", turned)

    assert np.array_equal(frames_of(turned)[0].rgb, frames_of(clip)[0].rgb)


def test_a_lossless_cut_gives_the_pictures_that_a_player_shows(
    tmp_path: Path, clip: Path, ffmpeg_program: str, judge: Judge
) -> None:
    """Packets that the edit list hides are needed to decode, and are neither shown nor missed."""
    cut = tmp_path / "cut.mp4"
    ffmpeg(ffmpeg_program, "-ss", "0.5", "-i", clip, "-c", "copy", cut)

    frames = frames_of(cut)

    assert len(frames) == 12
    assert [frame.pts * frame.time_base for frame in frames] == judge.picture_times(cut)


def test_a_time_that_does_not_grow_is_moved_by_one_tick(tmp_path: Path) -> None:
    """Two pictures at one time cannot be muxed; the second is shown a tick later, and the decoder counts it."""
    path = tmp_path / "twice.mkv"
    pictures = [scene(96, 64, index) for index in range(3)]
    write_pictures(tmp_path / "three.mkv", pictures, [0, 40, 80], Fraction(1, 1000), options={"g": "1"})
    with av.open(tmp_path / "three.mkv") as source, av.open(path, "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = min(packet.pts or 0, 40), (packet.pts or 0) // 40
                packet.stream = stream
                output.mux(packet)

    with Decoder(path) as decoder:
        assert [frame.pts for frame in decoder] == [0, 40, 41]
        assert decoder.nudged == 1


def test_ten_bits_are_refused(tmp_path: Path, clip: Path, ffmpeg_program: str) -> None:
    """This version would lose the lower bits of HDR, so it says no."""
    deep = tmp_path / "deep.mkv"
    ffmpeg(ffmpeg_program, "-i", clip, "-pix_fmt", "yuv420p10le", deep)

    with pytest.raises(UnsupportedMedia, match=r"deep.mkv has 10 bits a sample; this version takes 8"):
        Decoder(deep)


def erased(packet: bytes) -> bytes:
    """Lose a whole packet, as a bad block on a disk does."""
    return bytes(len(packet))


def scrambled(packet: bytes) -> bytes:
    """Keep a packet's head and lose its sense: the decoder paints something over the rest, without an error."""
    noise = np.random.default_rng(0).integers(1, 255, len(packet), dtype=np.uint8).tobytes()
    return packet[: len(packet) // 4] + noise[len(packet) // 4 :]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("harm", [erased, scrambled])
def test_damage_is_noticed_where_it_is(
    tmp_path: Path, suffix: str, part: float, harm: Callable[[bytes], bytes]
) -> None:
    """The work ends at the damaged picture, wherever it lies, with how many came before."""
    path = one_second(tmp_path / f"clip.{suffix}", options={"crf": "18", "g": "6", "bf": "0"})
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    victim = bytes(packets[int(part * len(packets))])
    content = path.read_bytes()
    assert content.count(victim) == 1
    path.write_bytes(content.replace(victim, harm(victim)))

    with pytest.raises(TruncatedMedia, match=r"gave \d+ frames of 24") as caught:
        frames_of(path)
    assert int(str(caught.value).split()[2]) <= int(part * len(packets))


def test_a_file_that_starts_between_key_frames_gives_what_can_be_seen(tmp_path: Path) -> None:
    """A recording may begin in the middle of a scene: the first key frame is the first picture, and none is missed."""
    whole, path = one_second(tmp_path / "whole.mkv", options={"crf": "18", "g": "6", "bf": "0"}), tmp_path / "late.mkv"
    with av.open(whole) as source, av.open(path, "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in list(source.demux(video=0))[1:-1]:
            packet.stream = stream
            output.mux(packet)

    frames = frames_of(path)

    assert len(frames) == 18
    assert np.array_equal(frames[0].rgb, frames_of(whole)[6].rgb)


def test_pictures_beyond_the_edit_list_are_not_missed(tmp_path: Path, clip: Path, judge: Judge) -> None:
    """A phone's trim leaves the pictures in the file and shortens the edit: they are not shown, and not missed."""
    content = clip.read_bytes()
    edit = content.index(b"elst") + 12  # after version, flags and count: the duration, in ticks of the movie
    half = int.from_bytes(content[edit : edit + 4], "big") // 2
    clip.write_bytes(content[:edit] + half.to_bytes(4, "big") + content[edit + 4 :])

    frames = frames_of(clip)

    assert len(frames) == len(judge.picture_times(clip)) < 20


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path, suffix: str) -> None:
    """The header promised 24 pictures; fewer is an error, not an end."""
    path = one_second(tmp_path / f"clip.{suffix}")
    content = path.read_bytes()
    with Decoder(path) as decoder:
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(TruncatedMedia, match=r"gave \d+ frames of 24"):
            list(decoder)


def test_a_file_that_vanishes_while_it_is_read_is_noticed(clip: Path) -> None:
    """An open file can be read to its end; but nobody can say that it was this one."""
    with Decoder(clip) as decoder:
        clip.unlink()
        with pytest.raises(MediaError, match=r"clip.mp4 is gone"):
            list(decoder)


def test_a_long_fragmented_file_that_breaks_off_is_noticed(tmp_path: Path, ffmpeg_program: str) -> None:
    """On disk all of its boxes are walked; from afar too few, and then the packet that the end goes through tells."""
    whole, path = tmp_path / "whole.mp4", tmp_path / "pieces.mp4"
    pictures = [scene(96, 64, index) for index in range(72)]
    write_pictures(whole, pictures, [512 * index for index in range(72)], options={"crf": "18", "g": "1", "bf": "0"})
    ffmpeg(ffmpeg_program, "-i", whole, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path)
    path.write_bytes(path.read_bytes()[:-4000])

    with pytest.raises(TruncatedMedia, match=r"breaks off: \d+ frames are there, of an unknown number"):
        Decoder(path)
    assert probe(io.BytesIO(path.read_bytes())).shortfall == ""
    with Decoder(path, allow_truncated=True) as decoder:
        assert 60 < len(list(decoder)) < 72
        assert decoder.shortfall.startswith(f"pieces.mp4 breaks off: {decoder.frames} frames")


def test_a_change_of_size_in_the_middle_is_refused(tmp_path: Path) -> None:
    """One computation has one size; a stream that changes it is named, not stretched."""
    small, large, path = tmp_path / "small.mkv", tmp_path / "large.mkv", tmp_path / "both.mkv"
    one_second(small, options={"x264-params": "annexb=1:repeat-headers=1"})
    write_pictures(
        large,
        [scene(128, 96, index) for index in range(24)],
        [tick + 12288 for tick in TICKS_24],
        options={"x264-params": "annexb=1:repeat-headers=1"},
    )
    with av.open(small) as first, av.open(large) as second, av.open(path, "w") as output:
        stream = output.add_stream_from_template(first.streams.video[0], opaque=True)
        for packet in [*first.demux(video=0), *second.demux(video=0)]:
            if packet.size:
                packet.stream = stream
                output.mux(packet)

    with pytest.raises(MediaError):
        frames_of(path)


def test_other_codecs_are_not_held_to_a_packet_count(tmp_path: Path, ffmpeg_program: str) -> None:
    """VP8 has packets that show nothing (alternate references); they are not missed pictures."""
    path = tmp_path / "vp8.mkv"
    for number in ("1", "2"):  # libvpx makes such packets only when it has seen the clip before
        ffmpeg(
            ffmpeg_program, "-f", "lavfi", "-i", "testsrc2=s=160x96:d=5", "-c:v", "libvpx", "-auto-alt-ref", "1",
            "-lag-in-frames", "25", "-b:v", "100k", "-pass", number, "-passlogfile", tmp_path / "pass", path,
        )  # fmt: skip
    with av.open(path) as container:
        packets = sum(1 for packet in container.demux(video=0) if packet.size)
    assert packets > 125, "the clip has no invisible packets; the test would prove nothing"

    assert len(frames_of(path)) == 125
