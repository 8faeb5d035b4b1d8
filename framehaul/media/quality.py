"""Say how a video is encoded: the encoder, its quality and its effort, in one scale for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from framehaul.errors import UnsupportedMedia
from framehaul.media.containers import container_of

_DEFAULT_EFFORT = ("good", "2")
_EFFORT = {  # x264's preset -> libvpx's deadline and cpu-used
    "ultrafast": ("realtime", "8"),
    "superfast": ("realtime", "7"),
    "veryfast": ("good", "5"),
    "faster": ("good", "4"),
    "fast": ("good", "3"),
    "medium": _DEFAULT_EFFORT,
    "slow": ("good", "1"),
    "slower": ("good", "0"),
    "veryslow": ("good", "0"),
}


@dataclass(frozen=True)
class EncoderSettings:
    """Choose the encoder (libx264, libx265 or libvpx-vp9) and its quality.

    `crf` is constant quality in x264's scale, and `preset` the effort in x264's words, whichever the encoder: 0 is
    lossless (but for libx265), 17 hardly differs from the input. `pix_fmt` is 8-bit YUV. `options` are passed to the
    encoder as they are.
    """

    codec: str = "libx264"
    crf: float = 17
    preset: str = "medium"
    pix_fmt: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()


BALANCED = EncoderSettings()
FAST = EncoderSettings(crf=18, preset="veryfast")
ARCHIVE = EncoderSettings(crf=14, preset="slow")
LOSSLESS = EncoderSettings(crf=0, preset="veryfast")


@dataclass(frozen=True)
class Dialect:
    """Say what an encoder needs besides the settings.

    `mp4_tag` is its tag in mp4; `odd_420` says whether it codes odd sizes with halved chroma, `tells_aspect` whether
    its stream tells the shape of its pixels (PyAV cannot set what mkv and webm tell of it); `words` are its options.
    """

    mp4_tag: str
    odd_420: bool
    tells_aspect: bool
    words: Callable[[EncoderSettings], dict[str, str]]


def _x264_words(settings: EncoderSettings) -> dict[str, str]:
    return {"crf": f"{settings.crf:g}", "preset": settings.preset}


def _x265_words(settings: EncoderSettings) -> dict[str, str]:
    return {**_x264_words(settings), "x265-params": "log-level=error"}  # x265 writes to stderr by itself


def _vp9_words(settings: EncoderSettings) -> dict[str, str]:
    deadline, cpu_used = _EFFORT.get(settings.preset, _DEFAULT_EFFORT)
    words = {"deadline": deadline, "cpu-used": cpu_used, "row-mt": "1"}
    if settings.crf == 0:
        return {**words, "lossless": "1"}
    return {**words, "crf": str(vp9_crf(settings.crf)), "b": "0"}  # a rate of 0: quality alone rules


def vp9_crf(crf: float) -> int:
    """Translate x264's 0–51 to libvpx's 0–63, of which 31 is what people use where x264 has its default, 23."""
    return min(63, round(1.25 * crf + 2))


DIALECTS = {
    "libx264": Dialect("avc1", False, True, _x264_words),
    # Apple's players refuse HEVC under libav's default tag, hev1.
    "libx265": Dialect("hvc1", False, True, _x265_words),
    "libvpx-vp9": Dialect("vp09", True, False, _vp9_words),
}


def encoder_for(suffix: str, settings: EncoderSettings = BALANCED) -> EncoderSettings:
    """Give the settings with an encoder that the container takes: libx264 for mp4, mov and mkv, libvpx-vp9 for webm.

    Quality and effort mean the same in each. Options for an encoder that is not taken are dropped: it alone knows them.
    Raises UnsupportedMedia for another container, an unknown encoder, and one that is missing here.
    """
    if settings.codec not in DIALECTS:
        raise UnsupportedMedia(f"{settings.codec} is no encoder of this version; {', '.join(sorted(DIALECTS))} are.")
    encoders = container_of(Path(f"video{suffix}")).encoders
    if settings.codec not in encoders:
        settings = replace(settings, codec=encoders[0], options=())
    require_encoder(settings.codec)
    return settings


def require_encoder(name: str) -> None:
    """Raise UnsupportedMedia where libav was built without this encoder."""
    try:
        Codec(name, "w")
    except UnknownCodecError as exc:
        raise UnsupportedMedia(
            f"The encoder {name} is not in the FFmpeg libraries of this machine.",
            advice="Install the av package from PyPI, which brings it, or choose another container.",
        ) from exc
