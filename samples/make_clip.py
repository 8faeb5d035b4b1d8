"""Make samples/clip.mp4: the painted scene as H.264 with a sound track as AAC.

    python -m samples.make_clip --out samples/clip.mp4

Two runs with the same av and numpy on the same machine give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from samples.scene import FRAMES, paint

FPS = 24
SOUND_HZ = 48000
_SAMPLES_A_FRAME = 1024  # of AAC
_CAREFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_CHORDS = ((220.0, 277.18, 329.63), (185.0, 233.08, 277.18), (146.83, 220.0, 293.66), (164.81, 246.94, 329.63))


def make_clip(path: Path, *, scale: int = 1, frames: int = FRAMES) -> None:
    """Write the first `frames` pictures and their sound; `scale` 1 is 320×180, 2 is 640×360."""
    with av.open(path, "w", options={"fflags": "+bitexact", "movflags": "+faststart"}) as output:
        pictures, sound = _video_stream(output, scale), _sound_stream(output)
        for index in range(frames):
            output.mux(pictures.encode(_frame(index, scale)))
        output.mux(pictures.encode(None))
        for piece in _pieces(music(frames / FPS)):
            output.mux(sound.encode(piece))
        output.mux(sound.encode(None))


def _video_stream(output: OutputContainer, scale: int) -> VideoStream:
    # One thread: x264 decides by thread count, and the file must not depend on the machine.
    options = {"crf": "17", "preset": "slow", "threads": "1", "flags": "+bitexact"}
    stream = output.add_stream("libx264", rate=FPS, time_base=Fraction(1, 512 * FPS), options=options)
    stream.width, stream.height, stream.pix_fmt = 320 * scale, 180 * scale, "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709, H.273
    context.color_range = ColorRange.MPEG
    return stream


def _frame(index: int, scale: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(paint(index, scale), "rgb24").reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=_CAREFUL,
    )
    frame.pts, frame.time_base = 512 * index, Fraction(1, 512 * FPS)
    return frame


def _sound_stream(output: OutputContainer) -> AudioStream:
    options = {"flags": "+bitexact"}
    return output.add_stream("aac", rate=SOUND_HZ, layout="stereo", bit_rate=96000, options=options)


def music(seconds: float) -> NDArray[np.float32]:
    """Compose four slow chords over the clatter of wheels on joints; (2, samples), -1 to 1."""
    time = np.arange(round(seconds * SOUND_HZ)) / SOUND_HZ
    bar = np.minimum((time / 1.125).astype(int), 3)
    fade = np.minimum(1, np.minimum(time, seconds - time) * 6)
    left, right = np.zeros_like(time), np.zeros_like(time)
    for number, chord in enumerate(_CHORDS):
        envelope = (bar == number) * np.exp(-1.1 * (time - 1.125 * number)) * 0.16
        for voice, pitch in enumerate(chord):
            tone = np.sin(2 * np.pi * pitch * time) + 0.3 * np.sin(4 * np.pi * pitch * time)
            left += envelope * tone * (1 - 0.25 * voice)
            right += envelope * tone * (0.5 + 0.25 * voice)
    both: NDArray[np.float32] = ((np.stack([left, right]) + _clatter(time)) * fade).astype(np.float32)
    return both


def _clatter(time: NDArray[np.float64]) -> NDArray[np.float64]:
    hiss = np.random.Generator(np.random.PCG64(7)).standard_normal(time.size)
    since = np.minimum(time % 0.5625, (time - 0.14) % 0.5625)
    clatter: NDArray[np.float64] = hiss * np.exp(-since * 45) * 0.12
    return clatter


def _pieces(sound: NDArray[np.float32]) -> Iterable[AudioFrame]:
    for start in range(0, sound.shape[1], _SAMPLES_A_FRAME):
        piece = np.ascontiguousarray(sound[:, start : start + _SAMPLES_A_FRAME])
        frame = AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, start, Fraction(1, SOUND_HZ)
        yield frame


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="where to write, an .mp4")
    parser.add_argument("--scale", type=int, choices=(1, 2, 4), default=1, help="1: 320×180, 2: 640×360")
    chosen = parser.parse_args()
    make_clip(chosen.out, scale=chosen.scale)


if __name__ == "__main__":
    main()
