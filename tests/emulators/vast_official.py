"""vast's own client, in an environment of its own: it must never decide what packages Framehaul has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

VERSION = "1.9.1"
_PLACE = Path(__file__).parents[2] / "build" / f"vastai-{VERSION}"
_INSTALL_S = 900


class NotInstalled(Exception):
    """Raised where pip cannot bring the client, with what it said."""


@dataclass(frozen=True)
class Official:
    """The client with a home of its own, and what it is told in its environment."""

    folder: Path
    home: Path

    def cli(self, url: str, *words: str, key: str = "account-key") -> subprocess.CompletedProcess[str]:
        """Run one command; its exit status is no news: 1.1, it is 0 on every HTTP error."""
        return self._run([str(self.folder / "bin" / "vastai"), *words], url, key)

    def raw(self, url: str, *words: str) -> Any:
        """Run one command and read the JSON that it prints."""
        done = self.cli(url, *words, "--raw")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def sdk(self, url: str, script: str) -> Any:
        """Run a script on its SDK, as `vast`; what it leaves in `told` comes back."""
        whole = (
            f"import json\nfrom vastai import VastAI\nvast, told = VastAI(), {{}}\n{script}\nprint(json.dumps(told))"
        )
        done = self._run([str(self.folder / "bin" / "python"), "-c", whole], url, "account-key")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def _run(self, command: list[str], url: str, key: str) -> subprocess.CompletedProcess[str]:
        # No colours, a wide table, no look for updates, and no proxy between it and loopback.
        told = {"VAST_URL": url, "VAST_API_KEY": key, "VASTAI_NO_UPDATE_CHECK": "1", "HOME": str(self.home)}
        told |= {"PATH": os.environ["PATH"], "COLUMNS": "400", "NO_PROXY": "127.0.0.1", "LANG": "C.UTF-8"}
        return subprocess.run(
            command, env=told, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )


def installed(home: Path, place: Path = _PLACE) -> Official:
    """Give the client, installed once a checkout, however many tests want it at the same time."""
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = place / "whole"  # written last: a broken installation is made again
    with FileLock(f"{place}.lock"):
        if not whole.exists():
            _pip(place)
            whole.touch()
    return Official(place, home)


def in_ci(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether a skip would be a hole."""
    return environment.get("CI", "").lower() in {"true", "1"}


def _pip(place: Path) -> None:
    # With our pip, and compiled only where it is used: a pip of its own and all .pyc take a third of the time.
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)],
        [*pip, "--no-input", "install", "--quiet", "--no-compile", f"vastai=={VERSION}"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        if done.returncode != 0:
            raise NotInstalled(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
