"""The batch follows what a frame takes of the device's memory."""

from __future__ import annotations

import pytest

from framehaul.pipelines.enhance.footprint import bytes_a_frame, choose_batch
from framehaul.pipelines.enhance.form import Form

OFFICIAL = Form(features=64, convs=16, scale=4)
GIB = 1 << 30


def test_full_hd_takes_what_others_measured() -> None:
    """In fp16, frames of 1080p in the official ×4 model take 0.8 to 1 GB each."""
    assert 0.79e9 < bytes_a_frame(OFFICIAL, 1920, 1080, 2, scale=4) < 1e9


def test_more_of_anything_takes_more() -> None:
    """Precision, size, features and a resampling all cost memory; the number of layers does not."""
    least = bytes_a_frame(OFFICIAL, 320, 180, 2, scale=4)

    assert bytes_a_frame(OFFICIAL, 320, 180, 4, scale=4) == 2 * least
    assert bytes_a_frame(OFFICIAL, 640, 180, 2, scale=4) == 2 * least
    assert bytes_a_frame(OFFICIAL, 320, 180, 2, scale=3) > least
    assert bytes_a_frame(OFFICIAL, 320, 180, 2, scale=8) > bytes_a_frame(OFFICIAL, 320, 180, 2, scale=3)
    assert bytes_a_frame(Form(24, 16, 4), 320, 180, 2, scale=4) < least
    assert bytes_a_frame(Form(64, 32, 4), 320, 180, 2, scale=4) == least


@pytest.mark.parametrize(
    ("free_bytes", "batch"), [(100 * GIB, 4), (4 * GIB, 3), (2 * GIB, 1), (GIB // 2, 1), (0, 1), (None, 1)]
)
def test_a_gpu_takes_as_many_as_fit_up_to_four(free_bytes: int | None, batch: int) -> None:
    """A fifth of the memory is left free; one frame is always tried."""
    assert choose_batch("auto", "cuda", GIB, free_bytes) == batch


def test_a_cpu_takes_one() -> None:
    """A larger batch was measured to be slower there, however much memory there is."""
    assert choose_batch("auto", "cpu", GIB, 100 * GIB) == 1


def test_a_wish_is_taken_as_it_is() -> None:
    """Whoever names a number has it tried; running out of memory halves it later."""
    assert choose_batch(64, "cpu", GIB, None) == choose_batch(64, "cuda", GIB, 0) == 64
