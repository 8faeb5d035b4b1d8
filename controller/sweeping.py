"""Find uploads that nobody will complete, and end them: stores bill their parts for as long as they lie there.

Two lists are held against each other: what the ledger knows of, and what the stores show below the places where
results went. An upload of an attempt that may still be running is never touched; one that this ledger does not know
may be another laptop's, and is left alone until it is old.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controller.access import PROBE_NAME
from controller.delivery import abort
from controller.desk import Desk
from controller.errors import ConfigError
from controller.ledger import Ledger, OpenUpload
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import FramehaulError, NotFound, StoreError
from framehaul.storage.base import Upload, UploadStore, takes_uploads

# Longer than any lease: another laptop's machine may be at it for as long.
DEFAULT_AGE = "7d"
# However young the leftovers that are asked for: an upload is begun a moment before it is in the ledger.
_LEAST_AGE_S = 60.0
_UNDER_WAY = frozenset({JobState.ASSIGNED, JobState.DELIVERED, JobState.VERIFIED})


@dataclass(frozen=True)
class Leftover:
    """An upload that is to end, and why: its job's id, or "" where this ledger knows of none."""

    upload: Upload
    job_id: str = ""
    row: OpenUpload | None = None
    # How far the clock that says when it was begun is ahead of ours: the store's, where the store says it.
    ahead_s: float = 0.0

    def age_s(self, now: float) -> float | None:
        """Say how long ago it was begun; None where the store does not tell."""
        return None if self.upload.begun_at is None else now + self.ahead_s - self.upload.begun_at


@dataclass
class Swept:
    """What a sweep found: what it ended (or would have), what it let be, and what went wrong."""

    ended: list[Leftover] = field(default_factory=list)
    kept_running: int = 0
    kept_young: int = 0
    troubles: list[str] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)


def places_of(ledger: Ledger, target: Uri, addresses: Iterable[str]) -> list[tuple[Uri, bool]]:
    """List where to look: what was named, where results go by the settings, and where every batch's went.

    Each with whether a person named it: then it has to be a place that takes uploads.
    """
    found = dict.fromkeys(map(parse_uri, addresses), True)
    for uri in (target, *(parse_uri(batch.target) for batch in ledger.batches())):
        found.setdefault(uri, False)
    return list(found.items())


def sweep(desk: Desk, places: Iterable[tuple[Uri, bool]], older_than_s: float, *, dry_run: bool) -> Swept:
    """End the leftovers of this ledger, and those below the places that are older; blocks.

    ConfigError where a place was named that cannot hold any. What cannot be ended stays in the ledger.
    """
    swept = Swept()
    stores = [
        (uri, store, named) for uri, named in places if (store := _store_at(desk, uri, swept, named=named)) is not None
    ]
    for row in _of_the_ledger(desk.ledger, swept):
        _end(desk, Leftover(Upload(parse_uri(row.uri), row.upload_id, row.begun_at), row.job_id, row), swept, dry_run)
    seen = {(str(one.upload.uri), one.upload.upload_id) for one in swept.ended}
    for uri, store, named in stores:
        for upload in _at(uri, store, swept, named=named):
            if (str(upload.uri), upload.upload_id) not in seen:
                seen.add((str(upload.uri), upload.upload_id))
                _judge(desk, upload, older_than_s, swept, dry_run=dry_run)
    return swept


def _of_the_ledger(ledger: Ledger, swept: Swept) -> Iterator[OpenUpload]:
    """List the uploads of attempts that are over; age is no question, since we know that nobody writes to them."""
    for row in ledger.open_uploads():
        if _is_under_way(ledger, row):
            swept.kept_running += 1
        else:
            yield row


def _is_under_way(ledger: Ledger, row: OpenUpload) -> bool:
    job = ledger.job(row.job_id)
    return job.state in _UNDER_WAY and job.attempt == row.attempt


def _at(place: Uri, store: UploadStore, swept: Swept, *, named: bool) -> Iterator[Upload]:
    try:
        yield from store.uploads(place)
    except NotFound as exc:
        if named:
            raise ConfigError(exc.message, advice=exc.advice) from exc
        return  # the bucket of some old batch is gone, and all that was in it
    except StoreError as exc:
        swept.troubles.append(f"{place.public()} could not be looked through: {exc}")


def _judge(desk: Desk, upload: Upload, older_than_s: float, swept: Swept, *, dry_run: bool) -> None:
    """Decide about an upload that the store shows; the ledger is read only now, when it cannot be behind any more."""
    known = [
        row for row in desk.ledger.open_uploads() if (row.uri, row.upload_id) == (str(upload.uri), upload.upload_id)
    ]
    if any(_is_under_way(desk.ledger, row) for row in known):
        return  # counted already
    found = Leftover(upload, ahead_s=_ahead_s(desk, upload.uri))
    age_s = found.age_s(desk.clock.now())
    # The trial of a plan that had no right to end it: nobody will write to that.
    wanted_s = _LEAST_AGE_S if upload.uri.key.endswith(PROBE_NAME) else max(older_than_s, _LEAST_AGE_S)
    if age_s is None or age_s < wanted_s:
        swept.kept_young += 1
        return
    _end(desk, found, swept, dry_run)


def _ahead_s(desk: Desk, uri: Uri) -> float:
    """Say how far the store's clock is ahead of ours: by it an upload was begun."""
    ahead = getattr(desk.stores.open(uri), "clock_ahead_s", None)
    return float(ahead()) if ahead is not None else 0.0


def _end(desk: Desk, found: Leftover, swept: Swept, dry_run: bool) -> None:
    try:
        if not dry_run and found.row is not None:
            abort(desk, found.row)
        elif not dry_run:
            store = desk.stores.open(found.upload.uri)
            assert takes_uploads(store)
            store.abort_upload(found.upload)
    except FramehaulError as exc:
        swept.troubles.append(f"{found.upload.uri.public()}: upload {found.upload.upload_id} stays: {exc}")
        swept.unpaid.append(found.upload.upload_id)
        return
    swept.ended.append(found)


def _store_at(desk: Desk, uri: Uri, swept: Swept, *, named: bool) -> UploadStore | None:
    try:
        store = desk.stores.open(uri)
    except FramehaulError as exc:
        swept.troubles.append(f"{uri.public()} could not be looked through: {exc}")
        return None
    if takes_uploads(store):
        return store
    if named:
        raise ConfigError(f"{uri.public()} holds no uploads: only buckets do.", advice="Name b2://bucket/ or s3://…")
    return None
