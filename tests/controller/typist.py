"""Somebody who types commands into the program in this very process, and reads what it prints."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli.program import main


@dataclass(frozen=True)
class Printed:
    """What a command left: its exit code, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Read stdout as the one JSON document that it must be."""
        return json.loads(self.out)


class Typist:
    """A person with a state folder of their own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.state = home / "state"
        self._capsys = capsys

    def types(self, *words: str) -> Printed:
        """Type a command that remembers, and wait for its end."""
        return self.types_bare(*words, "--state", str(self.state))

    def types_bare(self, *words: str) -> Printed:
        """Type a command as it is."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = self._capsys.readouterr()
        return Printed(int(ended.value.code or 0), captured.out, captured.err)

    def world(self) -> dict[str, str]:
        """Describe everything that a rehearsal must leave alone: the ledger's rows, and every other file."""
        found = {"ledger": "\n".join(self._rows())}
        for path in sorted(self.home.rglob("*")):
            inside = path.relative_to(self.home)
            # The database's files change when they are read; the lock is there for whoever looks whether it is free.
            if path.is_file() and "ledger.sqlite" not in path.name and path.name != "lock":
                found[str(inside)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def _rows(self) -> list[str]:
        path = self.state / "ledger.sqlite"
        if not path.exists():
            return []
        db = sqlite3.connect(path)
        try:
            return list(db.iterdump())
        finally:
            db.close()
