"""What all tests share: hypothesis without deadlines, repeatable in CI; no silent skips; programs that judge."""

from __future__ import annotations

import os
import shutil

import hypothesis
import pytest

from tests import running
from tests.media.judge import Judge
from tests.skip_gate import guard_skips

# Machines that run tests are busy and slow; in CI a failure must be the change's, not the draw's.
hypothesis.settings.register_profile("framehaul", deadline=None, derandomize="CI" in os.environ, print_blob=True)
hypothesis.settings.load_profile("framehaul")


def pytest_configure(config: pytest.Config) -> None:
    """Guard against skips where CI=true, and hear Ctrl-C."""
    guard_skips(config)
    running.hear_ctrl_c()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Say what `-n auto` means here."""
    return running.workers(running.cores())


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it judges what framehaul.media writes (Debian: apt install ffmpeg)")
    return found


@pytest.fixture(scope="session")
def ffmpeg_program() -> str:
    """Give the ffmpeg program, which makes files that our own code could not."""
    return _program("ffmpeg")


@pytest.fixture(scope="session")
def judge(ffmpeg_program: str) -> Judge:
    """Give the two programs that judge."""
    return Judge(ffprobe=_program("ffprobe"), ffmpeg=ffmpeg_program)
