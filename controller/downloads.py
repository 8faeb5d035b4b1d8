"""Sign addresses by which a person can fetch results from a store, and say until when they are good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from controller.desk import Desk
from controller.report import kept_aside
from framehaul.contract.grants import HttpGet
from framehaul.contract.states import JobState
from framehaul.contract.uris import parse_uri
from framehaul.errors import FramehaulError

# No store signs for longer; who wants a result later signs again, or calls: framehaul pull.
_LIFE_S = 7 * 24 * 3600.0
# Nobody fetches more than this by hand, and signing a million addresses takes minutes.
_MOST = 1000


def with_downloads(desk: Desk, results: dict[str, Any]) -> dict[str, Any]:
    """Give the results with an address to fetch each output by, where its store grants reading over HTTP.

    For the eyes of whoever asked, never for results.json: who holds such an address reads the object without any
    account, so it must not lie in the bucket or on a disk; and in a week it would be a dead one.
    """
    return {**results, "jobs": kept_aside(_with_addresses(desk, results["jobs"]))}


def _with_addresses(desk: Desk, jobs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    left = _MOST
    for job in jobs:
        if left > 0 and job["state"] == JobState.PUBLISHED:
            signed = [_signed(desk, job, output) for output in job["outputs"]]
            left -= sum("download_url" in output for output in signed)
            yield {**job, "outputs": signed}
        else:
            yield job


def _signed(desk: Desk, job: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
    address = job.get("uris", {}).get(output["slot"])
    if address is None:
        return output
    uri, now = parse_uri(address), desk.clock.now()
    try:
        grant = desk.stores.open(uri).grant(uri, "read", expires_at=now + _LIFE_S)
    except FramehaulError:
        return output  # a result without such an address is none the worse
    if not isinstance(grant, HttpGet):
        return output
    until = datetime.fromtimestamp(grant.expires_at or now + _LIFE_S, UTC)
    return {
        **output,
        "download_url": grant.url.get_secret_value(),
        "download_url_expires_at": until.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
