"""Inputs that the plan pinned by an entity tag: what lies in the store now must be what was planned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framehaul.contract.spec import InputSpec, JobSpec
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, grants, order, reading
from tests.agent.patience import eventually
from tests.agent.vault import Vault, film
from tests.emulators.files import FileServer

_NAME = "clip.mp4"
_FILM = film()


def _pinned(fingerprint: str, data: bytes = _FILM) -> JobSpec:
    entry = InputSpec(slot="source", name=_NAME, size=len(data), fingerprint=fingerprint)
    return order(data=data, inputs=(entry,))


async def _order(inside: Inside, vault: Vault) -> None:
    """Order what lies in the bucket now."""
    spec = _pinned(vault.fingerprint(_NAME))
    assert (await inside.caller.put_job(spec)).status_code == 201
    assert (await inside.caller.put_grants(grants(spec, source=vault.reading(_NAME)))).status_code == 200


async def test_what_was_planned_is_fetched(inside: Inside, vault: Vault) -> None:
    """An object whose tag is the planned one comes whole, in one request."""
    vault.lay(_NAME, _FILM)

    await _order(inside, vault)

    assert await inside.caller.pick_up("job-1") == _FILM
    assert vault.proxy.count(operation="GetObject") == 1


async def test_replaced_since_it_was_planned(inside: Inside, vault: Vault) -> None:
    """Another object of the same length under the same key fails the attempt before a byte of it is used."""
    vault.lay(_NAME, _FILM)
    spec = _pinned(vault.fingerprint(_NAME))
    vault.lay(_NAME, film(seed=2))

    await inside.caller.put_job(spec)
    await inside.caller.put_grants(grants(spec, source=vault.reading(_NAME)))

    failed = await inside.caller.until("job-1", "failed", "input-mismatch")
    assert failed.status.message == "clip.mp4 was replaced since it was planned. Plan it again."


async def test_replaced_between_two_requests(inside: Inside, vault: Vault) -> None:
    """Half of one object and half of another never become a file."""
    vault.lay(_NAME, _FILM)
    vault.proxy.fault("cut", operation="GetObject", bytes=300_000, way="down")
    await _order(inside, vault)
    await eventually(lambda: vault.proxy.count(operation="GetObject") == 1)

    vault.lay(_NAME, film(seed=2))

    failed = await inside.in_time("failed", "input-mismatch")
    assert failed.status.message == "clip.mp4 was replaced since it was planned. Plan it again."
    assert not (inside.folder().inputs / "source").exists()


async def test_stall_ends_and_the_rest_is_fetched(open_agent: OpenAgent, vault: Vault) -> None:
    """A store that falls silent in the middle is left after the read time-out, and asked for what is missing."""
    vault.lay(_NAME, _FILM)
    vault.proxy.fault("stall", operation="GetObject", bytes=250_000, way="down")
    async with open_agent(stall_s=2.0) as inside:
        await _order(inside, vault)

        await inside.in_time("delivering")

        assert await inside.caller.pick_up("job-1") == _FILM
    asked = [entry["range"] for entry in vault.proxy.log(operation="GetObject")]
    assert asked == [None, "bytes=250000-"]


@pytest.mark.parametrize("code", [400, 401, 403])
async def test_refusal_that_speaks_of_expiry_waits_for_new_grants(inside: Inside, vault: Vault, code: int) -> None:
    """Whatever number a store gives to it, an address that is too old is no failure; the next generation opens."""
    vault.lay(_NAME, _FILM)
    vault.proxy.fault("status", code=code, error="AccessDenied", message="Request has expired")
    await _order(inside, vault)

    waiting = await inside.caller.until("job-1", "fetching", "grants-expired")
    assert waiting.status.message == f"The address of clip.mp4 no longer opens: HTTP {code} (AccessDenied)."
    vault.proxy.mend()
    spec = _pinned(vault.fingerprint(_NAME))
    await inside.caller.put_grants(grants(spec, 2, source=vault.reading(_NAME)))

    assert await inside.caller.pick_up("job-1") == _FILM


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """A plain web server that holds the movie."""
    root = tmp_path / "files"
    root.mkdir()
    (root / _NAME).write_bytes(MOVIE)
    with FileServer(root) as opened:
        yield opened


@pytest.mark.parametrize(
    ("etag", "fits"),
    [('"planned"', True), ('W/"planned"', True), ('"another"', False), ('W/"another"', False), (None, False)],
    ids=["the-planned-one", "the-same-weakly", "another-one", "another-one-weakly", "none"],
)
async def test_tags_of_web_servers(inside: Inside, server: FileServer, etag: str | None, fits: bool) -> None:
    """A tag is held against the plan, a weak one too; a reply that shows none proves nothing and is refused."""
    server.fault("headers", set={"ETag": etag})

    await _order_from(inside, server, "http:etag:planned")

    await _assert_fits(inside, fits)


@pytest.mark.parametrize(
    ("date", "fits"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", True),
        ("Tue, 14 Nov 2023 22:13:20 +0000", True),
        ("Wed, 15 Nov 2023 00:53:19 GMT", False),
        (None, False),
    ],
    ids=["the-planned-one", "written-otherwise", "another-one", "none"],
)
async def test_dates_of_web_servers(inside: Inside, server: FileServer, date: str | None, fits: bool) -> None:
    """Where the plan had no tag, an object of equal length and another date is another object."""
    server.fault("headers", set={"ETag": None, "Last-Modified": date})

    await _order_from(inside, server, f"http:{len(MOVIE)}:Tue, 14 Nov 2023 22:13:20 GMT")

    await _assert_fits(inside, fits)


async def test_later_part_may_leave_the_date_out(inside: Inside, server: FileServer) -> None:
    """What comes on condition that nothing has changed need not say again when that was."""
    planned = "Tue, 14 Nov 2023 22:13:20 GMT"
    os.utime(server.root / _NAME, (1_700_000_000, 1_700_000_000))
    server.fault("cut_after", bytes=4000, times=1)
    server.fault("headers", set={"ETag": None, "Last-Modified": planned}, times=1)
    await _order_from(inside, server, f"http:{len(MOVIE)}:{planned}")
    await eventually(lambda: len(server.log()) == 1)
    server.fault("headers", set={"ETag": None, "Last-Modified": None})

    await inside.in_time("delivering")

    await _assert_fits(inside, True)


@pytest.mark.parametrize(
    ("coding", "fits"), [("gzip", False), ("br", False), ("identity", True), ("aws-chunked", True)]
)
async def test_packed_bytes_are_refused(inside: Inside, server: FileServer, coding: str, fits: bool) -> None:
    """A server that packs what was asked for as it is would be mixed with one that does not."""
    server.fault("headers", set={"Content-Encoding": coding})

    await _order_from(inside, server, "http:?")

    failed = await _assert_fits(inside, fits)
    assert not failed or failed.startswith(f"The server sends clip.mp4 packed ({coding}), although it was asked for")


async def test_label_of_an_s3_object_is_no_packing(inside: Inside, server: FileServer) -> None:
    """S3 gives the bytes as they lie there, whatever coding their uploader claimed; their tag is the planned one."""
    server.fault("headers", set={"ETag": '"planned"', "Content-Encoding": "gzip"})

    await _order_from(inside, server, "s3:etag:planned")

    await _assert_fits(inside, True)


async def test_refusal_that_lies_about_its_coding_is_read(inside: Inside, server: FileServer) -> None:
    """An error's body is no gzip although it says so: what counts is the refusal."""
    server.fault("status", code=403, head={"Content-Encoding": "gzip"})

    await _order_from(inside, server, "http:etag:planned")

    await inside.caller.until("job-1", "fetching", "grants-expired")


@pytest.mark.parametrize(
    "words",
    [
        {"code": 403, "error": "AccessDenied", "message": "Cannot download file, download bandwidth or transaction "
         "(Class B) cap exceeded. See the Caps & Alerts page to increase your cap."},
        {"code": 400, "error": "RequestTimeout"},
        {"code": 403, "error": "SlowDown"},
    ],
    ids=["cap", "timeout", "slow-down"],
)  # fmt: skip
async def test_what_passes_is_no_refusal(inside: Inside, vault: Vault, words: dict[str, Any]) -> None:
    """A reached cap, and what a store calls passing by its code, is waited for, whatever the number says."""
    vault.lay(_NAME, _FILM)
    vault.proxy.fault("status", operation="GetObject", times=2, **words)
    await _order(inside, vault)
    await inside.caller.until("job-1", "fetching", "store-unavailable")

    await inside.in_time("delivering")

    assert await inside.caller.pick_up("job-1") == _FILM


async def _order_from(inside: Inside, server: FileServer, fingerprint: str) -> None:
    """Order the movie as it was pinned, from the web server."""
    spec = _pinned(fingerprint, MOVIE)
    assert (await inside.caller.put_job(spec)).status_code == 201
    reply = await inside.caller.put_grants(grants(spec, source=reading(f"{server.url}/{_NAME}")))
    assert reply.status_code == 200


async def _assert_fits(inside: Inside, fits: bool) -> str:
    """Hold that it was taken, or refused as another object; give the sentence of the refusal."""
    if fits:
        assert await inside.caller.pick_up("job-1") == MOVIE
        return ""
    return (await inside.caller.until("job-1", "failed", "input-mismatch")).status.message
