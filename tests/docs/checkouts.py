"""A developer's own copy of the tree, into which a page's files are written, and where its commands are typed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.docs.pages import ROOT

_COPIED = ("framehaul", "agent", "controller", "samples", "tests", "pyproject.toml")
_PROGRAMS = {"framehaul": (sys.executable, "-m", "controller"), "python": (sys.executable,)}
_PATIENCE_S = 500.0  # a page runs a small suite of its own


@dataclass(frozen=True)
class Checkout:
    """The copy, and the environment of its terminal."""

    root: Path
    environment: Mapping[str, str]

    @classmethod
    def make(cls, root: Path) -> Checkout:
        """Copy what the packages and their tests need."""
        root.mkdir()
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, root / name)
        return cls(root, {"FRAMEHAUL_STATE": str(root / "state")})

    def write(self, files: Mapping[str, str]) -> list[Path]:
        """Write a page's files; one that is there already is not the page's to replace."""
        for name, text in files.items():
            path = self.root / name
            assert not path.exists(), f"{name} is in the tree already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [self.root / name for name in files]

    def types(self, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one line of a page to its end; both streams come as one."""
        process = self.starts(line, **environment)
        text, _ = process.communicate(timeout=_PATIENCE_S)
        return subprocess.CompletedProcess(line, process.returncode, text)

    def starts(self, line: str, **environment: str) -> subprocess.Popen[str]:
        """Run one line of a page, and go on."""
        program, *words = shlex.split(line)
        return subprocess.Popen(
            [*_PROGRAMS[program], *words],
            cwd=self.root,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def complaints_about(self, names: Iterable[str]) -> str:
        """Say what ruff has against files; "" when nothing."""
        files = [str(self.root / name) for name in names if name.endswith(".py")]
        said = ""
        for words in (["check", "--quiet"], ["format", "--check", "--quiet"]):
            command = [sys.executable, "-m", "ruff", *words, *files]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said += done.stdout + done.stderr + ("" if done.returncode == 0 else " ".join(words))
        return said

    def processes(self) -> list[psutil.Process]:
        """List the processes that work in this tree."""
        return [process for process in psutil.process_iter() if self._is_here(process)]

    def leave(self) -> None:
        """End whatever a failed test left behind."""
        for process in self.processes():
            process.kill()

    def _is_here(self, process: psutil.Process) -> bool:
        try:
            place = Path(process.cwd())
            return place.is_relative_to(self.root) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False
