"""The state folder: where the laptop remembers, and who may act on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from controller.errors import ConfigError

_LOOKERS_S = 0.25
_ANOTHER = "Name another: --state, or $FRAMEHAUL_STATE."


@dataclass(frozen=True)
class StateFolder:
    """The folder's names, in one place."""

    root: Path

    @classmethod
    def choose(
        cls,
        given: Path | None,
        environment: Mapping[str, str] = os.environ,
        *,
        user_folder: Callable[[], Path] = Path.home,
    ) -> StateFolder:
        """Take the option, else $FRAMEHAUL_STATE, else the user's state folder (XDG)."""
        if given is None and environment.get("FRAMEHAUL_STATE"):
            given = Path(environment["FRAMEHAUL_STATE"])
        if given is None:
            base = environment.get("XDG_STATE_HOME") or _in_user_folder(user_folder)
            given = Path(base) / "framehaul"
        try:
            root = given.expanduser().resolve()
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except (OSError, RuntimeError) as exc:
            raise ConfigError(f"The state folder {given} cannot be used: {exc}.", advice=_ANOTHER) from exc
        return cls(root)

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "ledger.sqlite"

    @property
    def remote_index(self) -> Path:
        """What is remembered of which work is done where: a copy, which may be deleted at any time."""
        return self.root / "remote-index.sqlite"

    def logs(self, job_id: str) -> Path:
        """Where a job's logs are kept once its machine is gone."""
        return self.root / "logs" / job_id

    def results(self, batch_id: str) -> Path:
        """Where a batch's results.json is kept."""
        return self.root / "batches" / f"{batch_id}.json"

    def inbox(self, job_id: str) -> Path:
        """Where results on their way home lie until they are whole."""
        return self.root / "inbox" / job_id

    def lock(self) -> FileLock:
        """Name the lock: whoever holds it carries out what the ledger wishes. It falls with its process."""
        return FileLock(self._lock_file(), timeout=0)

    def is_locked(self) -> bool:
        """Say whether some process is at work here; one that only looks, as this does, holds it for a moment."""
        lock = FileLock(self._lock_file(), timeout=_LOOKERS_S, poll_interval=_LOOKERS_S / 5)
        try:
            with lock:
                return False
        except Timeout:
            return True

    def _lock_file(self) -> Path:
        """Name the lock's file once it can be opened; ConfigError where it is a folder, or somebody else's."""
        path = self.root / "lock"
        try:
            path.open("ab").close()
        except OSError as exc:
            raise ConfigError(f"The lock {path} cannot be used: {exc.strerror}.", advice=_ANOTHER) from exc
        return path


def _in_user_folder(user_folder: Callable[[], Path]) -> Path:
    try:
        return user_folder() / ".local" / "state"
    except RuntimeError as exc:
        raise ConfigError(
            "There is no state folder: $HOME is not set, and this user has none.", advice=_ANOTHER
        ) from exc
