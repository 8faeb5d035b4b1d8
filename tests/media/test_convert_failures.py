"""Whatever goes wrong, and whenever: that error comes out, soon, and neither files nor threads are left."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest

from framehaul.errors import MediaError, NotAVideo, Stopped, TruncatedMedia
from framehaul.media.convert import Compute, convert
from framehaul.media.encode import EncoderSettings
from tests.media.clips import one_second
from tests.media.computes import Batch, Enlarge, Failing, Telling
from tests.media.patience import threads_of_ours, within

QUICK = EncoderSettings(crf=12, preset="ultrafast")
TIGHT = 96 * 64 * 3  # one picture a queue: every stage is waiting for another when the error comes


def assert_fails_cleanly(
    source: Path, compute: Compute, error: type[BaseException], sentence: str, suffix: str = "mp4"
) -> BaseException:
    """Convert beside the source, expect the error, and look for leftovers."""
    target = source.with_name(f"out.{suffix}")
    with pytest.raises(error, match=sentence) as caught:
        within(lambda: convert(source, target, compute, encoder=QUICK, queue_bytes=TIGHT))
    assert not list(source.parent.glob("out*"))
    assert threads_of_ours() == []
    return caught.value


@contextmanager
def files_up_to(size: int | None) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, a full disk at a chosen byte; None is as ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@dataclass
class Watched(Enlarge):
    """Tell when a picture was last computed: the last sign of life before an error."""

    inner: Compute = field(default_factory=Enlarge)
    last_s: float = 0.0

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the inner one's."""
        return self.inner.output_size(width, height)

    def __call__(self, frames: Batch) -> Batch:
        """Compute, and look at the clock."""
        self.last_s = time.monotonic()
        return self.inner(frames)


def break_decoding(source: Path, at: int) -> tuple[Compute, int | None]:
    """Damage the picture, as a bad block on a disk does."""
    with av.open(source) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][at]
        damaged = source.read_bytes().replace(bytes(packet), bytes(packet.size))
    source.write_bytes(damaged)
    return Enlarge(1), None


def break_computing(source: Path, at: int) -> tuple[Compute, int | None]:
    """Raise in the computation."""
    return Failing(at=at), None


def break_encoding(source: Path, at: int) -> tuple[Compute, int | None]:
    """Let the disk be full within the picture: each is noise, and alike in size."""
    noisy, measured = Noise(scale=16), source.with_name("measured.mp4")
    convert(source, measured, noisy, encoder=IMMEDIATE)
    return noisy, int((at + 0.25) * measured.stat().st_size / 24)


IMMEDIATE = EncoderSettings(crf=0, preset="ultrafast", options=(("tune", "zerolatency"), ("g", "1")))
STAGES: dict[str, tuple[Callable[[Path, int], tuple[Compute, int | None]], type[BaseException], str]] = {
    "decode": (break_decoding, TruncatedMedia, r"clip.mp4 gave \d+ frames of 24"),
    "compute": (break_computing, ArithmeticError, "picture {at}"),
    "encode": (break_encoding, MediaError, "out.mp4 cannot be encoded after frame {at}: File too large"),
}


@pytest.mark.parametrize("at", [0, 12, 23], ids=["first", "middle", "last"])
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_at_each_place(tmp_path: Path, stage: str, at: int) -> None:
    """Within two seconds that stage's own error comes out, with its stage named; no thread and no file is left."""
    source, target = one_second(tmp_path / "clip.mp4", options={"crf": "18", "g": "1", "bf": "0"}), tmp_path / "out.mp4"
    harm, error, sentence = STAGES[stage]
    inner, limit = harm(source, at)
    compute = Watched(inner=inner)

    with files_up_to(limit), pytest.raises(error, match=sentence.format(at=at)) as caught:
        within(lambda: convert(source, target, compute, encoder=IMMEDIATE, queue_bytes=TIGHT))

    assert time.monotonic() - (compute.last_s or time.monotonic()) < 2
    assert caught.value.__notes__ == [f"raised in the {stage} stage"]
    assert not list(tmp_path.glob("out*"))
    assert threads_of_ours() == []


@pytest.mark.parametrize("at", [0, 12, 23], ids=["first", "middle", "last"])
def test_a_computation_that_fails_within_a_batch(clip: Path, at: int) -> None:
    """The computation's own error comes out unchanged, whichever picture of the batch it was."""
    assert_fails_cleanly(clip, Failing(batch=4, at=at), ArithmeticError, f"picture {at}")


def test_a_disk_without_space(clip: Path) -> None:
    """The system's own "no space" becomes a sentence with advice, and the part is gone."""
    clip.with_name("out.mp4.part").symlink_to("/dev/full")

    error = assert_fails_cleanly(clip, Noise(scale=24), MediaError, "out.mp4 cannot be .*no space left on the disk")
    assert "Make room there" in str(error)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999], ids=["early", "late", "index"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk(tmp_path: Path, suffix: str, part: float) -> None:
    """The disk is full while pictures or the index are written: an error, not a file that lacks its end."""
    source = one_second(tmp_path / "clip.mp4")
    noisy = Noise(scale=24)
    convert(source, tmp_path / f"size.{suffix}", noisy, encoder=QUICK)
    size = (tmp_path / f"size.{suffix}").stat().st_size
    assert size > 4 << 20, "the output fits into one buffer; the test would prove nothing"

    with files_up_to(int(size * part)):
        error = assert_fails_cleanly(source, noisy, MediaError, f"out.{suffix} cannot be .*: File too large", suffix)
    assert error.__notes__ == ["raised in the encode stage"]


class Noise(Enlarge):
    """Give pictures that do not compress."""

    def __call__(self, frames: Batch) -> Batch:
        """Give (N, scale·H, scale·W, 3) of noise."""
        count, height, width, _ = frames.shape
        noise = np.random.default_rng(0)
        return noise.integers(0, 256, (count, height * self.scale, width * self.scale, 3), dtype=np.uint8)


@pytest.mark.parametrize("after", [0, 1, 12, 23])
def test_a_stop(clip: Path, after: int) -> None:
    """When asked to stop it stops, after any number of pictures, and leaves nothing."""
    compute = Enlarge(1)
    target = clip.with_name("out.mp4")

    with pytest.raises(Stopped):
        within(
            lambda: convert(
                clip, target, compute, encoder=QUICK, queue_bytes=TIGHT, should_stop=lambda: len(compute.calls) >= after
            )
        )

    assert sum(compute.calls) == after
    assert not list(clip.parent.glob("out*"))
    assert threads_of_ours() == []


def test_a_callback_that_raises_ends_the_work(clip: Path) -> None:
    """A broken progress display is an error like any other, not a hang."""

    def broken(done: int, total: int | None) -> None:
        raise LookupError(f"{done} of {total}")

    with pytest.raises(LookupError, match="1 of 24"):
        within(lambda: convert(clip, clip.with_name("out.mp4"), Enlarge(1), progress=broken))
    assert not list(clip.parent.glob("out*"))


def test_a_source_that_breaks_off_while_it_is_read(clip: Path) -> None:
    """The file shrinks in the middle of the work; a short output would look like success."""
    content = clip.read_bytes()

    def cut() -> None:
        clip.write_bytes(content[: len(content) // 4])

    assert_fails_cleanly(clip, Telling(say=cut), TruncatedMedia, r"clip.mp4 gave \d+ frames of 24")


@dataclass
class Liar(Enlarge):
    """Promise one thing and give another."""

    lie: str = "size"

    def __call__(self, frames: Batch) -> Batch:
        """Give the wrong size, count or type."""
        if self.lie == "size":
            return frames[:, :-2]
        if self.lie == "count":
            return np.concatenate([frames, frames])
        return frames.astype(np.float32)


@pytest.mark.parametrize("lie", ["size", "count", "type"])
def test_a_computation_that_breaks_its_word(clip: Path, lie: str) -> None:
    """Another size, another number of pictures or another type is refused, not stretched, dropped or truncated."""
    assert_fails_cleanly(clip, Liar(lie=lie), MediaError, "the computation gave .* and had promised uint8")


def test_nothing_is_written_over_the_source(clip: Path) -> None:
    """Source and target may not be one file, under whatever name."""
    content = clip.read_bytes()
    (clip.parent / "sub").mkdir()

    with pytest.raises(MediaError, match="is the source itself"):
        convert(clip, clip.parent / "sub" / ".." / "clip.mp4", Enlarge(1))
    assert clip.read_bytes() == content


@pytest.mark.parametrize(("name", "error"), [("gone.mp4", MediaError), ("words.mp4", NotAVideo)])
def test_a_source_that_cannot_be_read(tmp_path: Path, name: str, error: type[MediaError]) -> None:
    """No target and no part appear for a source that is missing or is no video."""
    (tmp_path / "words.mp4").write_text("not a video")

    with pytest.raises(error):
        convert(tmp_path / name, tmp_path / "out.mp4", Enlarge(1))
    assert not list(tmp_path.glob("out*"))


def test_an_old_part_is_overwritten(clip: Path) -> None:
    """What a killed process left under the part's name does not matter to the next one."""
    clip.with_name("out.mp4.part").write_bytes(b"x" * 1_000_000)

    convert(clip, clip.with_name("out.mp4"), Enlarge(1), encoder=QUICK)

    assert not clip.with_name("out.mp4.part").exists()
    assert clip.with_name("out.mp4").stat().st_size < 1_000_000
