"""Frames in, larger frames out: exact rounding, any batch, any size, and a second try when precision fails."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from framehaul.errors import ModelError
from framehaul.pipelines.enhance.devices import choose_precision, find_device
from framehaul.pipelines.enhance.params import enlarged
from framehaul.pipelines.enhance.upscaler import Upscaler
from framehaul.pipelines.enhance.weights import DEFAULT_WEIGHTS, load_network
from tests.pipelines.enhance.networks import overflowing, repeater, with_memory_for

Frames = NDArray[np.uint8]


def noise(count: int, height: int, width: int) -> Frames:
    """Give frames that differ from each other in every pixel, the same at every call."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def every_level() -> Frames:
    """Give one frame that holds each of the 256 levels in each colour: (1, 16, 16, 3)."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    return np.stack([ramp, ramp[:, ::-1], ramp[:, :, ::-1]], axis=3)


def repeated(frames: Frames, scale: int) -> Frames:
    return frames.repeat(scale, axis=1).repeat(scale, axis=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_network_that_adds_nothing_returns_every_level_unchanged(dtype: torch.dtype, scale: int) -> None:
    """0…255 to 0…1 and back is exact, in fp16 too: no level is lost to conversion."""
    upscaler = Upscaler(repeater(scale=scale), dtype=dtype)

    assert np.array_equal(upscaler(every_level()), repeated(every_level(), scale))


@pytest.mark.parametrize(("lift", "step"), [(0.6, 1), (0.4, 0), (-0.4, 0), (-0.6, -1)])
def test_results_are_rounded_and_clamped(lift: float, step: int) -> None:
    """Six tenths of a level are a level (truncation would lose it), and 255 + 1 stays 255 (a cast would make it 0)."""
    upscaler = Upscaler(repeater(lift=lift / 255))

    after = upscaler(every_level())

    expected = np.clip(repeated(every_level(), 2).astype(int) + step, 0, 255)
    assert np.array_equal(after, expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (9, 16)])
def test_odd_sizes_come_out_whole_and_contiguous(height: int, width: int) -> None:
    """The result has the promised size and can be handed to an encoder as it is."""
    upscaler = Upscaler(load_network(DEFAULT_WEIGHTS))

    after = upscaler(noise(2, height, width))

    assert after.shape == (2, 2 * height, 2 * width, 3)
    assert upscaler.output_size(width, height) == (2 * width, 2 * height)
    assert after.dtype == np.uint8
    assert after.flags.c_contiguous


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_a_batch_equals_its_frames_one_by_one(batch: int) -> None:
    """Order is kept and neighbours do not matter; sums may differ in their last bit, hence one level."""
    loaded = load_network(DEFAULT_WEIGHTS)
    frames = noise(5, 9, 7)

    together = Upscaler(loaded, batch=batch)(frames).astype(int)
    alone = np.concatenate([Upscaler(loaded)(frames[i : i + 1]) for i in range(5)])

    assert np.abs(together - alone).max() <= 1
    assert np.mean(together != alone) < 0.001


def test_no_frames_are_no_frames() -> None:
    """The end of a video may leave an empty batch."""
    assert Upscaler(repeater())(noise(0, 4, 6)).shape == (0, 8, 12, 3)


def test_read_only_and_mirrored_frames_are_taken() -> None:
    """A decoder's buffer may be read-only or a view; it is neither refused nor written to."""
    frames = noise(1, 4, 6)
    frames.setflags(write=False)

    assert np.array_equal(Upscaler(repeater())(frames), repeated(frames, 2))
    assert np.array_equal(Upscaler(repeater())(frames[:, :, ::-1]), repeated(frames[:, :, ::-1], 2))


@pytest.mark.parametrize(
    "frames",
    [noise(1, 4, 4)[0], noise(1, 4, 4)[..., :2], noise(1, 4, 4).astype(np.float32)],
    ids=["one frame without its batch", "two colours", "floats"],
)
def test_frames_of_another_shape_or_type_are_refused(frames: Frames) -> None:
    """What would give a picture of nonsense gives an error instead."""
    with pytest.raises(ValueError, match=r"Frames are \(N, H, W, 3\) uint8"):
        Upscaler(repeater())(frames)


def test_a_batch_has_at_least_one_frame() -> None:
    """A batch of zero would loop over nothing and return garbage."""
    with pytest.raises(ValueError, match="at least one frame"):
        Upscaler(repeater(), batch=0)


def test_only_the_batch_that_overflows_is_made_again_in_fp32() -> None:
    """White overflows fp16 inside this network and black does not: one retry, and both results are right."""
    loaded = overflowing(gain=50_000)
    frames = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])
    frames[1, 0, 0] = 100
    upscaler = Upscaler(loaded, dtype=torch.float16)

    after = upscaler(frames)

    assert upscaler.precision_retries == 1
    assert np.array_equal(after, Upscaler(loaded)(frames))


def test_retries_add_up_over_calls() -> None:
    """The count tells at the end of a job how much of it reduced precision could not do."""
    upscaler = Upscaler(overflowing(gain=50_000), dtype=torch.float16, batch=2)
    white = np.full((3, 4, 4, 3), 255, np.uint8)

    upscaler(white)
    upscaler(white)

    assert upscaler.precision_retries == 4


def test_what_is_not_finite_in_fp32_is_an_error() -> None:
    """A network that overflows fp32 is at fault itself: no frame of garbage leaves."""
    upscaler = Upscaler(overflowing(gain=3e38))

    with pytest.raises(ModelError, match="The network made gave values that are not finite"):
        upscaler(np.full((1, 4, 4, 3), 255, np.uint8))


def test_the_loaded_network_stays_as_it_was() -> None:
    """Two upscalers of different precision can share one loaded network."""
    loaded = load_network(DEFAULT_WEIGHTS)

    Upscaler(loaded, dtype=torch.float16)

    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}


def test_inference_mode_holds_in_whichever_thread_calls() -> None:
    """The mode is thread-local, so that setting it where the upscaler was made would not reach a compute thread."""
    loaded = repeater()
    modes: list[bool] = []

    def note(module: nn.Module, args: object, output: object) -> None:
        modes.append(torch.is_inference_mode_enabled())

    loaded.network.register_forward_hook(note)
    upscaler = Upscaler(loaded)

    thread = threading.Thread(target=upscaler, args=(noise(1, 4, 4),))
    thread.start()
    thread.join()

    assert modes == [True]


@pytest.mark.parametrize(
    ("scale", "size"),
    [(1, (7, 5)), (1.5, (11, 8)), (2, (14, 10)), (2.5, (18, 13)), (3, (21, 15)), (7.99, (56, 40))],
)
def test_any_factor_gives_the_nearest_whole_size(scale: float, size: tuple[int, int]) -> None:
    """Smaller than the network's own, between, and larger: halves are rounded up, and one colour stays that colour."""
    upscaler = Upscaler(repeater(), scale=scale)

    after = upscaler(np.full((2, 5, 7, 3), 90, np.uint8))

    assert upscaler.output_size(7, 5) == size
    assert after.shape == (2, size[1], size[0], 3)
    assert (after == 90).all()


@pytest.mark.parametrize("scale", [1, 1.3, 2.5, 3])
def test_other_factors_are_resampled_as_pillow_does(scale: float) -> None:
    """Bicubic, filtered first where the picture becomes smaller: an independent program gives the same levels."""
    frames = noise(1, 20, 30) // 2 + 64  # within what Pillow's first pass can hold
    size = enlarged(scale, 30, 20)
    judged = np.asarray(Image.fromarray(repeated(frames, 2)[0]).resize(size, Image.Resampling.BICUBIC)).astype(int)

    resampled = Upscaler(repeater(), scale=scale)(frames)[0]

    assert np.abs(resampled - judged).max() <= 1


def test_a_factor_that_is_the_networks_own_changes_nothing() -> None:
    """Naming the default gives the same bytes as leaving it away."""
    loaded, frames = load_network(DEFAULT_WEIGHTS), noise(1, 6, 9)

    assert np.array_equal(Upscaler(loaded, scale=2)(frames), Upscaler(loaded)(frames))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 4 GB)."),
    ],
    ids=["cuda", "cpu", "mps"],
)
def test_a_batch_that_does_not_fit_is_halved(error: RuntimeError) -> None:
    """No frame is lost or done twice, the smaller batch stays, and the halvings are counted."""
    loaded, batches = with_memory_for(2, error)
    upscaler = Upscaler(loaded, batch=8)

    after = upscaler(noise(9, 4, 6))

    assert np.array_equal(after, repeated(noise(9, 4, 6), 2))
    assert (upscaler.batch, upscaler.batch_halvings) == (2, 2)
    assert batches == [8, 4, 2, 2, 2, 2, 1]


def test_a_frame_that_does_not_fit_alone_is_an_error() -> None:
    """Where one picture is too much, the sentence names its size and what to do."""
    loaded, _ = with_memory_for(0, torch.OutOfMemoryError("no"))

    with pytest.raises(ModelError, match="memory of cpu does not hold one picture of 6×4") as caught:
        Upscaler(loaded, batch=2)(noise(2, 4, 6))

    assert "smaller --scale" in caught.value.advice


def test_another_error_of_the_network_is_not_taken_for_a_full_memory() -> None:
    """A wrong shape is a fault in the program: it is neither hidden nor tried again."""
    loaded, batches = with_memory_for(0, RuntimeError("The size of tensor a must match"))

    with pytest.raises(RuntimeError, match="The size of tensor a"):
        Upscaler(loaded, batch=2)(noise(2, 4, 6))

    assert batches == [2]


def test_a_new_job_has_counts_and_a_batch_of_its_own() -> None:
    """The network stays where it is; what the last job met says nothing of the next."""
    upscaler = Upscaler(overflowing(gain=50_000), dtype=torch.float16, batch=4)
    white = np.full((2, 4, 4, 3), 255, np.uint8)
    upscaler(white)

    other = upscaler.afresh(batch=1, scale=1.5)
    other(white)

    assert (upscaler.precision_retries, other.precision_retries) == (1, 2)
    assert (other.batch, other.scale, upscaler.scale) == (1, 1.5, 2)


def test_the_chosen_device_works_here() -> None:
    """Whatever is chosen on this machine enlarges a frame."""
    device = find_device()

    upscaler = Upscaler(repeater(), device=device.name, dtype=choose_precision("auto", device).dtype)

    assert np.array_equal(upscaler(every_level()), repeated(every_level(), 2))
