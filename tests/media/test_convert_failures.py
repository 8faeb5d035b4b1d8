"""Whatever goes wrong, and whenever: that error comes out, soon, and neither files nor threads are left."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@pytest.mark.parametrize("at", [0, 12, 23], ids=["first", "middle", "last"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_failing_computation(clip: Path, at: int, batch: int) -> None:
    """The computation's own error comes out unchanged, with its stage named."""
    error = assert_fails_cleanly(clip, Failing(batch=batch, at=at), ArithmeticError, f"picture {at}")

    assert error.__notes__ == ["raised in the compute stage"]


@pytest.mark.parametrize("at", [0, 12, 23], ids=["first", "middle", "last"])
def test_a_failing_decoder(tmp_path: Path, at: int) -> None:
    """A damaged picture ends the conversion as TruncatedMedia."""
    path = one_second(tmp_path / "clip.mp4", options={"crf": "18", "g": "1"})
    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][at]
        damaged = path.read_bytes().replace(bytes(packet), bytes(packet.size))
    path.write_bytes(damaged)

    # The probe decodes one picture; with every picture a key frame, a damaged first one leaves it the second.
    error = assert_fails_cleanly(path, Enlarge(1), TruncatedMedia, r"clip.mp4 gave \d+ frames of 24")
    assert error.__notes__ == ["raised in the decode stage"]


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: the nearest thing to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
