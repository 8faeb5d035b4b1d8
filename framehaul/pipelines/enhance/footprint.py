"""Reckon what a batch takes of a device's memory, and choose how large it is. Needs no torch."""

from __future__ import annotations

from typing import Literal

from framehaul.pipelines.enhance.form import Form

# In the hidden layers: input, output, and a workspace about as large. At the output's size: the shuffled result, the
# repeated input, and their sum. When resampled: a copy in fp32, one half done, the result, and its bytes twice.
_HIDDEN, _TAIL, _BYTES = 3, 3, 2
_COLOURS, _FP32_BYTES = 3, 4
_SHARE_OF_FREE = 0.8  # the rest is the allocator's fragments and whatever else uses the device
MOST_ON_GPU = 4  # published gains of this network end there (Real-ESRGAN pull request 650)


def bytes_a_frame(form: Form, width: int, height: int, number_bytes: int, *, scale: float) -> int:
    """Give the peak bytes on the device for one frame of width × height, in numbers of `number_bytes`.

    Held against a CPU's peak at 640×360 in fp32 (MB reckoned, measured): 24x8 x2 66, 66, and at ×3 76, 63;
    64x16 x4 177, 125, and at ×8 442, 266. On GPUs 64x16 x4 is known to take 0.8 to 1 GB at 1080p in fp16: here 0.80.
    """
    own = form.scale**2
    hidden = _HIDDEN * form.features * number_bytes
    tail = _COLOURS * own * (_TAIL * number_bytes)
    resized = own * (number_bytes + _FP32_BYTES) + _FP32_BYTES * form.scale * scale + (_FP32_BYTES + _BYTES) * scale**2
    return int(width * height * max(hidden, tail, 0 if scale == form.scale else _COLOURS * resized))


def choose_batch(wish: int | Literal["auto"], device: str, frame_bytes: int, free_bytes: int | None) -> int:
    """Take the wish, or choose: on a GPU as many as fit, up to four; on a CPU one.

    On a CPU a batch falls out of the caches. CPU-ms a frame in batches of 1, 2 and 4 (torch 2.13, fp32, one thread,
    best of 4): 24x8 at 320×180 44, 45, 53 and at 320×240 62, 64, 75; 64x16 407, 423, 606 and 531, 652, 784.
    """
    if wish != "auto":
        return wish
    if free_bytes is None or device == "cpu":
        return 1
    return max(1, min(MOST_ON_GPU, int(free_bytes * _SHARE_OF_FREE // max(1, frame_bytes))))
