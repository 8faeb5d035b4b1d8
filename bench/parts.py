"""The pieces of work that are compared: a whole conversion, and each of its parts alone, on the same pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from framehaul.media.convert import convert
from framehaul.media.decode import Decoder, Frame
from framehaul.media.encode import Encoder, EncoderSettings
from framehaul.media.pixels import RgbWriter
from framehaul.media.probe import VideoInfo
from framehaul.pipelines.enhance.upscaler import Upscaler


@dataclass
class ReadyAnswers:
    """Stand in for the network: give pictures that it made before, in order, a batch at a time."""

    answers: NDArray[np.uint8]  # (N, sH, sW, 3)
    batch: int
    _given: int = field(default=0)

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the answers' (width, height)."""
        return self.answers.shape[2], self.answers.shape[1]

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the next answers, as many as there are frames."""
        start = self._given
        self._given += len(frames)
        return self.answers[start : self._given]


class Parts:
    """Hold a clip, its pictures and the network's answers in memory; each method is a piece of work to be timed."""

    def __init__(self, clip: Path, upscaler: Upscaler, encoder: EncoderSettings, folder: Path) -> None:
        self.clip = clip
        self.upscaler = upscaler
        self.batch = upscaler.batch
        self.encoder = encoder
        self._target = folder / "whole.mp4"
        with Decoder(clip) as decoder:
            self.frames: list[Frame] = list(decoder)
            self.video: VideoInfo = decoder.info.video
        self.pixels = np.stack([frame.rgb for frame in self.frames])  # (N, H, W, 3)
        self.size = upscaler.output_size(self.video.width, self.video.height)
        self.answers = np.concatenate(list(self._answered()))  # (N, sH, sW, 3)

    def whole(self) -> None:
        """Convert the clip as the enhance pipeline does."""
        convert(self.clip, self._target, self.upscaler, encoder=self.encoder)

    def carried(self) -> None:
        """Convert the clip with the network's answers ready in memory: all that is not the network."""
        convert(self.clip, self._target, ReadyAnswers(self.answers, self.batch), encoder=self.encoder)

    def decode(self) -> None:
        """Decode to RGB and let go of it."""
        with Decoder(self.clip) as decoder:
            for _ in decoder:
                pass

    def model(self) -> None:
        """Run the network on pictures that lie in memory, batch after batch."""
        for _ in self._answered():
            pass

    def encode(self) -> None:
        """Encode answers that lie in memory, with the sound, to a file in its place."""
        with Encoder(self._target, self.video, self.size, settings=self.encoder, sound=self.clip) as sink:
            for frame, rgb in zip(self.frames, self.answers, strict=True):
                sink.write(rgb, frame.pts, frame.duration)
            sink.finish()
            sink.commit()

    def decode_bare(self) -> None:
        """Decode with libav alone: no RGB, no checks."""
        with av.open(self.clip) as source:
            stream = source.streams.video[0]
            stream.thread_type = "AUTO"
            for _ in source.decode(stream):
                pass

    def encode_bare(self) -> None:
        """Encode ready YUV with libav alone: same encoder and settings, no RGB, no sound."""
        with av.open(self._target, "w") as output:
            stream = cast(VideoStream, output.add_stream(self.encoder.codec, rate=self.video.avg_rate))
            stream.time_base = self.video.time_base
            stream.width, stream.height, stream.pix_fmt = *self.size, self.encoder.pix_fmt
            stream.options = {"crf": f"{self.encoder.crf:g}", "preset": self.encoder.preset}
            stream.codec_context.time_base = self.video.time_base
            stream.codec_context.thread_type = "AUTO"
            for picture in self._ready_yuv:
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))

    def _answered(self) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(self.pixels), self.batch):
            yield self.upscaler(self.pixels[start : start + self.batch])

    @cached_property
    def _ready_yuv(self) -> list[VideoFrame]:
        writer = RgbWriter(self.video.colour.numbers(self.video.width, self.video.height), *self.size, "yuv420p")
        ready = [writer.write(rgb) for rgb in self.answers]
        for picture, frame in zip(ready, self.frames, strict=True):
            picture.pts, picture.time_base = frame.pts, self.video.time_base
        return ready
