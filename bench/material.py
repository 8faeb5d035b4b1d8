"""Make the videos that are measured, all out of the sample that comes with the project."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from framehaul.media.decode import Decoder
from framehaul.media.encode import Encoder, EncoderSettings
from framehaul.media.pixels import Rgb

SAMPLE = Path(__file__).parents[1] / "samples" / "clip.mp4"


def make_clip(target: Path, size: tuple[int, int], frames: int) -> Path:
    """Write the sample's first pictures, stretched to `size` (width, height), with the sample's sound.

    Where pictures of the sample's own number and size are asked for, it is taken as it is.
    """
    with Decoder(SAMPLE) as decoder:
        video = decoder.info.video
        if (video.width, video.height) == size and frames >= (video.frames or 0):
            return SAMPLE
        with Encoder(target, video, size, settings=EncoderSettings(crf=17), sound=SAMPLE) as sink:
            for frame in islice(decoder, frames):
                sink.write(stretched(frame.rgb, size), frame.pts, frame.duration)
            sink.finish()
            sink.commit()
    return target


def stretched(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """Resize (H, W, 3) to `size` (width, height), bicubic."""
    width, height = size
    return cast(Rgb, av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(width, height).to_ndarray())


def make_long_clip(target: Path, size: tuple[int, int], frames: int) -> Path:
    """Write at least `frames` pictures without sound: a short clip's packets over and over, so that one coding serves.

    The short clip stays beside it, as short_<name>.
    """
    short = make_clip(target.with_name(f"short_{target.name}"), size, frames)
    with av.open(target, "w") as output:
        stream: VideoStream | None = None
        written = shift = 0  # packets, ticks
        while written < frames:
            with av.open(short) as again:
                stream = stream or output.add_stream_from_template(again.streams.video[0])
                packets = list(_packets(again))
                for packet in packets:
                    _mux(output, stream, packet, shift)
                written += len(packets)
                shift += sum(packet.duration or 0 for packet in packets)
    return target


def _packets(source: InputContainer) -> Iterator[Packet[VideoStream]]:
    return (packet for packet in source.demux(source.streams.video[0]) if packet.size)


def _mux(output: OutputContainer, stream: VideoStream, packet: Packet[VideoStream], shift: int) -> None:
    if packet.pts is None or packet.dts is None:
        raise ValueError("The encoder gave a packet without a time stamp.")
    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
    output.mux(packet)
