"""The place where results go: judged before anything is done, without a trace where nothing may be written."""

from __future__ import annotations

import os
from pathlib import Path

from controller.errors import ConfigError
from framehaul.contract.uris import Uri
from framehaul.errors import StoreError
from framehaul.storage.base import Stores

_ADVICE = "Name another folder with --to."


def judge_kind(target: Uri) -> None:
    """Refuse an address that no result can ever be written to."""
    if target.scheme in {"http", "https"}:
        raise ConfigError(f"Results cannot be put on a web server: {target.public()}.", advice=_ADVICE)


def judge_folder(target: Uri) -> None:
    """Refuse a folder that takes no results, as far as looking tells; writes nothing.

    Looks at the lowest folder that is there: the rest would be made in it.
    """
    if target.scheme != "file":
        return
    folder = Path(target.key)
    above = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path("/"))
    if not above.is_dir():
        at = "" if above == folder else f" into {str(folder)!r}"
        raise ConfigError(f"Results cannot be written{at}: a file lies at {str(above)!r}.", advice=_ADVICE)
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"The system does not let us write results into {str(above)!r}.", advice=_ADVICE)


def check_target(target: Uri, stores: Stores) -> None:
    """Write a small object where results will go: better refused now than after the work is done and paid."""
    probe_at = target.join(".framehaul/writable")
    try:
        stores.open(target).put(probe_at, [b"Framehaul writes here.\n"], replace=True)
    except StoreError as exc:
        raise ConfigError(f"Results cannot be written there: {exc}", advice=_ADVICE) from exc
