"""Bad input, typed by a person: a sentence, a named exit code, nothing rented and nothing half-written."""

from __future__ import annotations

import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.journeys.person import Person
from tests.media.judge import Judge

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "clip.mp4"
FRAMES = 108


class _Runs:
    """A pickle of this leaves a file behind, if anything runs what it names."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._trace}",)


def cut(path: Path) -> Path:
    """Write the first half of the sample: its index is at the front, its last frames are not there."""
    path.write_bytes(SAMPLE.read_bytes()[:400_000])
    return path


def sound_alone(path: Path, ffmpeg: str) -> Path:
    """Write the sample's sound without its pictures."""
    subprocess.run([ffmpeg, "-v", "error", "-i", SAMPLE, "-vn", "-c", "copy", path], check=True)
    return path


def huge_on_paper(path: Path, ffmpeg: str) -> Path:
    """Write a small video whose header claims pictures of 100,000 × 100,000 pixels."""
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x256:d=0.1", "-c:v", "ffv1"]
    subprocess.run([ffmpeg, "-v", "error", *source, path], check=True)
    content = path.read_bytes()
    width = content.index(b"\xb0\x82" + (320).to_bytes(2, "big"))  # PixelWidth, the first element of the track's Video
    claim = b"\xb0\x83" + (100_000).to_bytes(3, "big") + b"\xba\x84" + (100_000).to_bytes(4, "big")
    path.write_bytes(content[:width] + claim + content[width + len(claim) :])
    return path


def refuses(person: Person, *words: str, code: int) -> str:
    """Type a command that must be refused: no machine, no result, no traceback; give what it said."""
    ended = person.runs("run", *words, "--to", str(person.out))
    assert ended.code == code, ended.text
    assert "Traceback" not in ended.text
    assert person.leases() == []
    assert not list(person.home.glob("out/*"))
    return ended.text


def test_a_file_that_breaks_off_says_how_much_is_there_and_is_done_as_far_when_asked(
    person: Person, judge: Judge
) -> None:
    """Refused with the number of frames of how many; with --allow-truncated those are in the result, and it says so."""
    half = cut(person.home / "half.mp4")

    said = refuses(person, str(half), code=1)
    ended = person.runs("run", str(half), "--allow-truncated", "--to", str(person.out))

    assert f"58 frames of {FRAMES} are there" in said
    assert "--allow-truncated" in said
    assert ended.code == 0, ended.text
    (result,) = person.out.glob("*_upscaled_*.mp4")
    assert len(judge.picture_times(result)) == 58
    assert "breaks off" in person.runs("logs", "half.mp4").text


def test_what_is_no_video_to_us_is_refused_by_name(person: Person, ffmpeg_program: str) -> None:
    """Sound alone, and a header that claims what no picture has: a sentence each, exit code 1."""
    sound = sound_alone(person.home / "sound.mp4", ffmpeg_program)
    huge = huge_on_paper(person.home / "huge.mkv", ffmpeg_program)

    said = refuses(person, str(sound), str(huge), code=1)

    assert "sound.mp4 holds no video, only sound" in said
    assert "huge.mkv claims pictures of" in said


def test_a_weight_file_is_judged_before_anything_is_rented(person: Person) -> None:
    """A video called .pth, and a pickle that would run a command: refused on the laptop, and nothing of it ran."""
    trace = person.home / "it-ran"
    with zipfile.ZipFile(person.home / "evil.pth", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"params": _Runs(trace)}))
        archive.writestr("a/version", "3")
    (person.home / "video.pth").write_bytes(SAMPLE.read_bytes())

    evil = refuses(person, str(SAMPLE), "--model", "evil.pth", code=2)
    video = refuses(person, str(SAMPLE), "--model", "video.pth", code=2)

    assert "asks to run code while it is read, which is refused" in evil
    assert not trace.exists()
    assert "it looks like a video" in video


def test_a_network_of_one_s_own_goes_the_whole_way(person: Person, judge: Judge) -> None:
    """--model travels to the machine as a further input; the manifest names its digest and no path of the laptop."""
    network = person.home / "secret-place" / "mine.pth"
    network.parent.mkdir()
    shipped = SAMPLE.parents[1] / "framehaul" / "pipelines" / "enhance" / "x2.pth"
    network.write_bytes(shipped.read_bytes())

    ended = person.runs(
        "run", str(SAMPLE), "--model", str(network), "--scale", "1.5", "--sample", "200ms", "--to", str(person.out)
    )

    assert ended.code == 0, ended.text
    (result,) = person.out.glob("*_upscaled_*.mp4")
    video = judge.video(result)
    assert (video["width"], video["height"]) == (480, 270)
    manifest = result.with_name(f"{result.name}.manifest.json").read_text()
    assert "4ae15753bb0df5ef" in manifest
    assert "secret-place" not in manifest


@pytest.mark.parametrize("name", ["a\nb.mp4", "\x1b[31mred.mp4"], ids=["newline", "ANSI code"])
def test_a_name_that_would_paint_the_terminal_is_refused_harmlessly(person: Person, name: str) -> None:
    """No file name with control characters is worked on, and none reaches the terminal as it is."""
    (person.home / name).write_bytes(SAMPLE.read_bytes())

    said = refuses(person, name, code=1)

    assert "control characters" in said
    assert name not in said
    assert "\x1b" not in said


def test_two_inputs_of_one_name_give_two_results(person: Person, judge: Judge) -> None:
    """clip.mp4 of two folders, named outright: numbered, never written over."""
    for folder in ("one", "two"):
        (person.home / folder).mkdir()
        (person.home / folder / "clip.mp4").write_bytes(SAMPLE.read_bytes() + folder.encode())

    ended = person.runs("run", "one/clip.mp4", "two/clip.mp4", "--sample", "100ms", "--to", str(person.out))

    assert ended.code == 0, ended.text
    results = sorted(person.out.glob("*_upscaled_*.mp4"))
    assert len(results) == 2
    assert all(judge.picture_times(result) for result in results)
