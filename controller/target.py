"""The place where results go: judged before anything is done, without a trace where nothing may be written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from controller.access import PROBE_NAME, bucket_store, check_results
from controller.errors import ConfigError
from framehaul.contract.naming import manifest_name
from framehaul.contract.spec import OutputSlot
from framehaul.contract.uris import Uri
from framehaul.errors import StoreError
from framehaul.storage.base import Stores

_LONGEST_KEY_BYTES = {"b2": 1024, "s3": 1024, "file": 4095}
_MOST_BYTES_A_SIGN, _FOR_THE_ENDING = 4, 32  # in UTF-8; of `/` and `.manifest.json`
# Of what lies below a target besides results: done-markers and receipts, with some bytes to spare.
_LONGEST_OWN_BYTES = 100
_ADVICE = "Name another folder with --to."


def judge_kind(target: Uri) -> None:
    """Refuse an address that no result can ever be written to."""
    if target.scheme in {"http", "https"}:
        raise ConfigError(f"Results cannot be put on a web server: {target.public()}.", advice=_ADVICE)


def judge_folder(target: Uri) -> None:
    """Refuse a folder that takes no results, as far as looking tells; writes nothing.

    Looks at the lowest folder that is there: the rest would be made in it.
    """
    most, size = _LONGEST_KEY_BYTES.get(target.scheme), len(target.key.encode(errors="surrogateescape"))
    if most is not None and size + _LONGEST_OWN_BYTES > most:
        raise ConfigError(
            f"The name of the results' folder has {size} bytes; with what Framehaul notes in it, such as"
            f" done-markers, the store would need {size + _LONGEST_OWN_BYTES} of {most}.",
            advice=_ADVICE,
        )
    if target.scheme != "file":
        return
    folder = Path(target.key)
    above = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path("/"))
    if not above.is_dir():
        at = "" if above == folder else f" into {str(folder)!r}"
        raise ConfigError(f"Results cannot be written{at}: a file lies at {str(above)!r}.", advice=_ADVICE)
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"The system does not let us write results into {str(above)!r}.", advice=_ADVICE)


def judge_names(target: Uri, folder: str, outputs: Iterable[OutputSlot]) -> None:
    """Refuse (StoreError) an input whose result the store cannot hold: its own key may be as long as any can be."""
    most = _LONGEST_KEY_BYTES.get(target.scheme)
    if most is None:
        return
    for output in outputs:
        if _MOST_BYTES_A_SIGN * (len(target.key) + len(folder) + len(output.name)) + _FOR_THE_ENDING <= most:
            continue  # far from it: not worth to be counted for a million
        size = len(target.join(folder + manifest_name(output.name)).key.encode(errors="surrogateescape"))
        if size > most:
            raise StoreError(
                f"Its result's manifest would have a name of {size} bytes with all its folders;"
                f" the store takes {most}. Name a deeper folder as the input, or a shorter one with --to."
            )


def check_target(target: Uri, stores: Stores) -> None:
    """Try to write where results will go: better refused now than after the work is done and paid.

    Leaves nothing in a bucket, and a small file in a folder.
    """
    if bucket_store(target, stores) is not None:
        check_results(target, stores)
        return
    try:
        stores.open(target).put(target.join(PROBE_NAME), [b"Framehaul writes here.\n"], replace=True)
    except StoreError as exc:
        raise ConfigError(f"Results cannot be written there: {exc}", advice=_ADVICE) from exc
