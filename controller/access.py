"""Find what an account lacks before anything runs: a wrong key, bucket, region or endpoint, or a right that is missing.

What is looked at, by what it costs the store, for places in buckets alone:

    listing   the first object at the place is listed; before a plan, for the target and each bucket of inputs
    reading   one byte of the first input; only where there is something to do
    results   an object that is not there is asked for, and an upload begun and aborted: nothing is left behind

The store's own sentence says what is wrong; here it is told which place that concerns, as a mistake in the settings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from controller.errors import ConfigError
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import NotFound, StoreError
from framehaul.storage.base import Entry, Stores, Upload, UploadStore, takes_uploads

PROBE_NAME = ".framehaul/writable"
# Stores refuse what is signed fifteen minutes off.
_CLOCK_OFF_S = 300.0


def buckets_of(inputs: Iterable[str], stores: Stores) -> list[Uri]:
    """Give one address for each bucket among the inputs, as it was named; other stores have no account to be wrong."""
    found: dict[tuple[str, str], Uri] = {}
    for uri in map(parse_uri, inputs):
        if bucket_store(uri, stores) is not None:
            found.setdefault((uri.scheme, uri.authority), uri)
    return list(found.values())


def bucket_store(uri: Uri, stores: Stores) -> UploadStore | None:
    """Open the store where the address lies in a bucket; ConfigError where its account cannot be one."""
    with told_of(uri):
        store = stores.open(uri)
    return store if takes_uploads(store) else None


def check_listing(uri: Uri, stores: Stores) -> Entry | None:
    """List the first object at a place in a bucket; opens none. ConfigError says what the account lacks."""
    store = bucket_store(uri, stores)
    if store is None:
        return None
    with told_of(uri):
        return next(iter(store.list(uri)), None)


def check_reading(uri: Uri, size: int | None, stores: Stores) -> None:
    """Read one byte of an object in a bucket; an empty one has none."""
    store = bucket_store(uri, stores)
    if store is None or not size:
        return
    with told_of(uri), contextlib.suppress(NotFound):  # gone since it was listed: not the account's fault
        next(iter(store.get(uri, 0, 1)), None)


def check_results(target: Uri, stores: Stores) -> None:
    """Try every right that results need at a place in a bucket, and leave nothing there."""
    store = bucket_store(target, stores)
    if store is None:
        return
    check_listing(target, stores)
    probe = target.join(PROBE_NAME)
    with told_of(target), contextlib.suppress(NotFound):
        store.stat(probe)  # the right to read is judged before it is looked whether anything is there
    with told_of(target):
        upload = Upload(probe, store.begin_upload(probe))
    with told_of(target, "An empty upload stays open there: framehaul sweep ends it."):
        store.abort_upload(upload)


def clock_note(uri: Uri, stores: Stores) -> str:
    """Say that a bucket's store has another hour than this machine, once it was spoken to; "" where it has not."""
    ahead = getattr(bucket_store(uri, stores), "clock_ahead_s", None)
    off_s = float(ahead()) if ahead is not None else 0.0
    if abs(off_s) < _CLOCK_OFF_S:
        return ""
    return f"its clock is {abs(off_s) / 60:.0f} min {'ahead of' if off_s > 0 else 'behind'} this machine's."


@contextlib.contextmanager
def told_of(uri: Uri, more: str = "") -> Iterator[None]:
    """Turn what a store refuses into a mistake of the settings, with the place that it concerns."""
    try:
        yield
    except StoreError as exc:
        advice = exc.advice or ("Is the network there? Else try again later." if exc.retryable else "")
        raise ConfigError(f"{uri.public()}: {exc.message}", advice=f"{advice} {more}".strip()) from exc
