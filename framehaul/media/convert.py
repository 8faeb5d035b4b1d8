"""Send a whole video through a computation on its pictures; sound, timing, colour tags and rotation stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from framehaul.errors import MediaError, Stopped
from framehaul.media.decode import Decoder, Frame
from framehaul.media.encode import BALANCED, Encoder, EncoderSettings
from framehaul.media.gate import DEFAULT_LIMITS, Limits
from framehaul.media.pixels import Rgb
from framehaul.media.span import WHOLE, Span
from framehaul.media.stages import LineReport, Timer, run_line

QUEUE_BYTES = 512 << 20


class Compute(Protocol):
    """Turn batches of pictures into batches of pictures, one for one."""

    @property
    def batch(self) -> int:
        """Give how many pictures a call takes; the last call takes what is left."""

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the output's (width, height) for this input."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Take (N, H, W, 3) RGB, give (N, H2, W2, 3). Called from one thread only, the caller's of `convert`."""


Progress = Callable[[int, int | None], None]
OnFrame = Callable[[int, Rgb, Rgb], None]


@dataclass(frozen=True)
class Conversion:
    """Report a finished conversion: size in pixels, seconds a stage (see LineReport), streams by number and name.

    `shortfall` is a sentence where the source breaks off and less came out than was asked for; else it is empty.
    """

    frames_in: int
    frames_out: int
    width: int
    height: int
    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, float]
    peak_bytes: Mapping[str, int]
    audio_streams_copied: int
    left_behind: tuple[str, ...]
    wall_s: float
    shortfall: str = ""


@dataclass(frozen=True)
class _Result:
    """Hold a computed picture and when it is shown, in the source's ticks."""

    rgb: Rgb
    pts: int
    duration: int


def convert(
    source: Path,
    target: Path,
    compute: Compute,
    *,
    span: Span = WHOLE,
    allow_truncated: bool = False,
    encoder: EncoderSettings = BALANCED,
    progress: Progress = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_frame: OnFrame | None = None,
    limits: Limits = DEFAULT_LIMITS,
    queue_bytes: int = QUEUE_BYTES,
    timer: Timer = time.perf_counter,
) -> Conversion:
    """Decode `source`, compute, encode to `target`, all three at once; `target` appears when it is whole.

    Of a `span`, its pictures and sound are taken, and times count from its start. A source that breaks off is refused,
    or with `allow_truncated` taken as far as it goes.

    `progress(done, total)` and `on_frame(index, before, after)` run in the calling thread, after each batch; total is
    an estimate from the header or None. `should_stop` is asked before each picture, and ends the work with Stopped.
    Each of the two queues holds at most `queue_bytes` of pictures; batches in hand come on top.

    Raises MediaError and its family, Stopped, and unchanged whatever `compute` and the callbacks raise. After an error
    there is no `target` and no part of it.
    """
    if source.resolve() == target.resolve():
        raise MediaError(f"{target.name} is the source itself; nothing is written over what is being read.")
    began = timer()
    with Decoder(source, limits=limits, span=span, allow_truncated=allow_truncated) as decoder:
        video = decoder.info.video
        size = compute.output_size(video.width, video.height)
        with Encoder(
            target,
            video,
            size,
            settings=encoder,
            sound=source,
            cut=decoder.cut,
            allow_truncated=allow_truncated,
            limits=limits,
        ) as sink:
            work = _Work(compute, size, decoder.info.frames_within(span), progress, should_stop, on_frame)
            report = _run(decoder, work, sink, queue_bytes, timer)
            if sink.frames != decoder.frames:
                raise MediaError(f"{target.name} got {sink.frames} frames for {decoder.frames} of {source.name}.")
            sink.commit()
    return Conversion(
        frames_in=decoder.frames,
        frames_out=sink.frames,
        width=size[0],
        height=size[1],
        seconds=report.busy_s,
        cpu_seconds=report.cpu_s,
        peak_bytes=report.peak_bytes,
        audio_streams_copied=sink.sound_streams,
        left_behind=sink.left_behind + decoder.info.other,
        wall_s=timer() - began,
        shortfall=decoder.shortfall,
    )


def _run(decoder: Decoder, work: _Work, sink: Encoder, queue_bytes: int, timer: Timer) -> LineReport:
    def encode(results: Iterator[_Result]) -> None:
        for result in results:
            sink.write(result.rgb, result.pts, result.duration)
        sink.finish(sound_end_s=decoder.end_s if decoder.shortfall else None)

    return run_line(
        lambda: decoder,
        work.results,
        encode,
        weigh_decoded=lambda frame: frame.rgb.nbytes,
        weigh_computed=lambda result: result.rgb.nbytes,
        limit_bytes=queue_bytes,
        timer=timer,
    )


@dataclass(frozen=True)
class _Work:
    """The middle stage: batches in, pictures out, callbacks told."""

    compute: Compute
    size: tuple[int, int]
    total: int | None
    progress: Progress
    should_stop: Callable[[], bool]
    on_frame: OnFrame | None

    def results(self, frames: Iterator[Frame]) -> Iterator[_Result]:
        """Compute each picture, in order."""
        frames = self._until_stopped(frames)
        done = 0
        while batch := list(islice(frames, max(1, self.compute.batch))):
            after = self._computed(batch)
            for frame, rgb in zip(batch, after, strict=True):
                if self.on_frame is not None:
                    self.on_frame(frame.index, frame.rgb, rgb)
                yield _Result(rgb, frame.pts, frame.duration)
            done += len(batch)
            self.progress(done, None if self.total is None else max(done, self.total))

    def _until_stopped(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self.should_stop():
                raise Stopped("The conversion was stopped.")
            yield frame

    def _computed(self, batch: list[Frame]) -> NDArray[np.uint8]:
        """Compute one batch, (N, H, W, 3) -> (N, H2, W2, 3), and hold the computation to its word."""
        # One picture alone is shown as a batch, not copied into one.
        after = self.compute(np.stack([frame.rgb for frame in batch]) if len(batch) > 1 else batch[0].rgb[np.newaxis])
        width, height = self.size
        promised = (len(batch), height, width, 3)
        if after.shape != promised or after.dtype != np.uint8:
            raise MediaError(f"the computation gave {after.dtype} {after.shape} and had promised uint8 {promised}.")
        return after
