"""Memory is judged after the warm-up, by the frame, in shares of a frame."""

from __future__ import annotations

import pytest

from bench.growth import FRAME_BYTES, judged


def test_growth_is_told_in_shares_of_a_frame() -> None:
    """A leak of a hundredth of a picture in each frame is 1 %, whatever the queues did before the warm-up ended."""
    leak = FRAME_BYTES // 100
    filling = [(done, 40 * done * FRAME_BYTES) for done in range(0, 500, 10)]
    settled = [(done, 10**9 + leak * done) for done in range(500, 3001, 10)]

    growth = judged("identity", filling + settled, warm_up=500)

    assert growth.percent_of_frame == pytest.approx(1.0, rel=1e-3)
    assert growth.slope_bytes == pytest.approx(leak)
    assert (growth.rise_bytes, growth.frames) == (2500 * leak, 3000)


def test_memory_that_stays_does_not_grow() -> None:
    """The same bytes at every sample are a growth of 0."""
    growth = judged("identity", [(done, 300 << 20) for done in range(0, 101, 10)], warm_up=50)

    assert (growth.percent_of_frame, growth.rise_bytes, growth.resident_mib) == (0.0, 0, 300.0)
