"""The demo: the sample clip, this machine as the cloud, a fresh folder as the store."""

from __future__ import annotations

from pathlib import Path

import framehaul
from controller.errors import ConfigError
from controller.settings import Settings
from controller.verify import VerifyMode
from framehaul.contract.naming import timestamp

SAMPLE = Path(framehaul.__file__).resolve().parent.parent / "samples" / "clip.mp4"


def demo_settings(under: Path, now: float) -> Settings:
    """Compose the demo's settings; every run gets a folder of its own."""
    if not SAMPLE.is_file():
        raise ConfigError(f"The sample clip is missing: {SAMPLE}.", advice="Run the demo from a clone.")
    return Settings(
        inputs=(str(SAMPLE),),
        to=fresh_folder(under, now),
        provider="local",
        pipeline="enhance",
        params={"mode": "upscale", "scale": 2},
        verify=VerifyMode.FULL,
        preview=True,
    )


def fresh_folder(under: Path, now: float) -> str:
    """Name a folder that is not there yet, by the hour."""
    folder = under / timestamp(now)
    number = 1
    while folder.exists():
        number += 1
        folder = under / f"{timestamp(now)}_{number}"
    return str(folder.resolve()) + "/"
