"""Colour survives: through RGB and back within a gate that the usual, careless way fails."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from framehaul.media.convert import convert
from framehaul.media.decode import Decoder
from framehaul.media.encode import LOSSLESS
from tests.media.clips import TICKS_24, Picture, ffmpeg, painted_by_ffmpeg, saturated, scene, write_pictures
from tests.media.computes import Enlarge
from tests.media.faithful import CHROMA_DB, LUMA_DB, faults
from tests.media.judge import Judge, psnr_db, worst_psnr_db

SIZE = (320, 180)
KINDS = [(matrix, full) for matrix in ("bt601", "bt709") for full in (False, True)]
KIND_NAMES = [f"{matrix}-{'pc' if full else 'tv'}" for matrix, full in KINDS]


def painted(count: int = 6) -> list[Picture]:
    """Paint a few pictures."""
    return [scene(*SIZE, index) for index in range(count)]


@pytest.fixture(params=["scene", "saturated", "testsrc2", "smptehdbars"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path, ffmpeg_program: str) -> list[Picture]:
    """Paint a few pictures: in the gamut, garish with a natural spectrum, and two test patterns."""
    if request.param in ("scene", "saturated"):
        paint = scene if request.param == "scene" else saturated
        return [paint(*SIZE, index) for index in range(3)]
    return painted_by_ffmpeg(ffmpeg_program, tmp_path, request.param, (640, 360), 2)


@pytest.mark.parametrize(("matrix", "full"), KINDS, ids=KIND_NAMES)
def test_identity_passes_the_gate(
    tmp_path: Path, judge: Judge, pictures: list[Picture], matrix: str, full: bool
) -> None:
    """Luma at least 45 dB and chroma at least 33 dB, in the worst picture; tags and times equal."""
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_pictures(source, pictures, TICKS_24[: len(pictures)], matrix=matrix, full=full)

    convert(source, target, Enlarge(1), encoder=LOSSLESS)

    assert len(judge.colour(source)) == 4
    assert faults(source, target, judge) == []


@pytest.mark.parametrize(("matrix", "full"), KINDS, ids=KIND_NAMES)
def test_the_careless_way_fails_the_same_gate(
    tmp_path: Path, judge: Judge, pictures: list[Picture], matrix: str, full: bool
) -> None:
    """rgb24 there and back with PyAV's defaults loses the tags always, and luma but where they happen to fit."""
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_pictures(source, pictures, TICKS_24[: len(pictures)], matrix=matrix, full=full)

    convert_carelessly(source, target)

    found = {fault.partition(":")[0] for fault in faults(source, target, judge)}
    assert "tags" in found
    assert "luma" in found or (matrix, full) == ("bt601", False)


def convert_carelessly(source: Path, target: Path) -> None:
    """Do what a first attempt does: decode to rgb24, encode from rgb24, say nothing of colour."""
    with av.open(source) as reader, av.open(target, "w") as writer:
        video = reader.streams.video[0]
        stream = writer.add_stream("libx264", rate=24, time_base=video.time_base, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for frame in reader.decode(video):
            copy = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), "rgb24")
            copy.pts, copy.time_base = frame.pts, frame.time_base
            writer.mux(stream.encode(copy))
        writer.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", ["m4v", "mov", "mkv", "webm"])
def test_every_container_passes_the_gate(tmp_path: Path, judge: Judge, suffix: str) -> None:
    """Also where another encoder writes, and where that file is the source in turn."""
    source = tmp_path / "0.mp4"
    write_pictures(source, [saturated(*SIZE, index) for index in range(3)], TICKS_24[:3], matrix="bt709", full=True)

    for generation in (1, 2):
        target = tmp_path / f"{generation}.{suffix}"
        convert(tmp_path / ("0.mp4" if generation == 1 else f"1.{suffix}"), target, Enlarge(1), encoder=LOSSLESS)
        assert faults(source, target, judge) == []


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_chroma_stays_in_its_place(tmp_path: Path, judge: Judge, suffix: str) -> None:
    """Ten generations do not smear colour to one side: chroma is sited to the left both ways, as H.264 means it.

    VP9 cannot say where its chroma is; read as swscale reads what says nothing, it moves by half a sample each time.
    """
    source, target = tmp_path / "0.mp4", tmp_path / f"10.{suffix}"
    write_pictures(source, painted(1), [0])

    for number in range(10):
        before = source if number == 0 else tmp_path / f"{number}.{suffix}"
        convert(before, tmp_path / f"{number + 1}.{suffix}", Enlarge(1), encoder=LOSSLESS)

    assert worst_psnr_db(judge.picture_planes(source), judge.picture_planes(target))["chroma"] >= CHROMA_DB


@pytest.mark.parametrize(("matrix", "full"), KINDS, ids=KIND_NAMES)
def test_the_computation_sees_true_colours(tmp_path: Path, matrix: str, full: bool) -> None:
    """RGB is as painted, not merely undone on the way back: two wrongs would pass the identity."""
    source = tmp_path / "in.mp4"
    write_pictures(source, painted(2), TICKS_24[:2], matrix=matrix, full=full)

    with Decoder(source) as decoder:
        # 36 dB is what 4:2:0 leaves of this scene; a wrong matrix or range leaves less than 27.
        assert all(psnr_db(frame.rgb, scene(*SIZE, frame.index)) > 34 for frame in decoder)


@pytest.mark.parametrize(("size", "matrix"), [((320, 180), "bt601"), ((1280, 720), "bt709")])
def test_untagged_video_is_read_as_players_read_it(tmp_path: Path, size: tuple[int, int], matrix: str) -> None:
    """Small untagged pictures are BT.601, large ones BT.709."""
    source = tmp_path / "in.mp4"
    write_pictures(source, [scene(*size)], [0], matrix=matrix, tagged=False, options={"preset": "ultrafast"})

    with Decoder(source) as decoder:
        assert psnr_db(next(iter(decoder)).rgb, scene(*size)) > 34


@pytest.mark.parametrize(("scale", "written"), [(2, None), (4, "smpte170m")])
def test_an_untagged_clip_stays_untagged_unless_players_would_change_their_mind(
    tmp_path: Path, judge: Judge, scale: int, written: str | None
) -> None:
    """320×180 enlarged to 640×360 has no tags; to 1280×720 it says which matrix it was converted with."""
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_pictures(source, painted(1), [0], matrix="bt601", tagged=False)

    convert(source, target, Enlarge(scale), encoder=LOSSLESS)

    assert judge.colour(source) == {}
    assert judge.colour(target).get("color_space") == written
    with Decoder(target) as decoder:
        assert psnr_db(next(iter(decoder)).rgb[::scale, ::scale], scene(*SIZE)) > 34


def test_full_chroma_and_odd_sizes_pass_the_gate(tmp_path: Path, judge: Judge, ffmpeg_program: str) -> None:
    """321×181 cannot be 4:2:0; it comes out with its size and its colours."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_pictures(tmp_path / "even.mkv", [scene(324, 184)], [0])
    ffmpeg(
        ffmpeg_program, "-i", tmp_path / "even.mkv", "-vf", "format=yuv444p,crop=321:181:0:0:exact=1", "-c:v",
        "libx264", "-qp", "0", source,
    )  # fmt: skip

    convert(source, target, Enlarge(1), encoder=LOSSLESS)

    worst = worst_psnr_db(judge.picture_planes(source), judge.picture_planes(target))
    assert worst["luma"] >= LUMA_DB
    assert worst["chroma"] >= CHROMA_DB


def test_an_rgb_source_becomes_yuv_with_a_matrix(tmp_path: Path, judge: Judge, ffmpeg_program: str) -> None:
    """Screen recordings are coded as RGB; the output is YUV and says how, and looks the same."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_pictures(tmp_path / "yuv.mkv", [scene(*SIZE)], [0])
    ffmpeg(ffmpeg_program, "-i", tmp_path / "yuv.mkv", "-c:v", "libx264rgb", "-pix_fmt", "gbrp", "-qp", "0", source)

    convert(source, target, Enlarge(1), encoder=LOSSLESS)

    assert judge.colour(target)["color_space"] == "smpte170m"
    with Decoder(target) as decoder:
        assert psnr_db(next(iter(decoder)).rgb, scene(*SIZE)) > 34


def test_rgb_without_a_range_is_full_range(tmp_path: Path) -> None:
    """Limited-range RGB hardly exists; an untagged RGB file is decoded as it was painted, to the bit."""
    source, picture = tmp_path / "in.mkv", scene(*SIZE)
    with av.open(source, "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))

    with Decoder(source) as decoder:
        assert decoder.info.video.colour.range != 2
        assert np.array_equal(next(iter(decoder)).rgb, picture)
