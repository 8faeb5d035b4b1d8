"""Inputs that the plan pinned by an entity tag: what lies in the store now must be what was planned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    [('"planned"', True), ('"another"', False), ('W/"another"', True), (None, True)],
    ids=["the-planned-one", "another-one", "a-weak-one-says-nothing", "none"],
)
async def test_tags_of_web_servers(inside: Inside, server: FileServer, etag: str | None, fits: bool) -> None:
    """A strong tag is held against the plan; what gives none is held by size and date alone."""
    server.fault("headers", set={"ETag": etag})
    spec = _pinned("http:etag:planned", MOVIE)
    await inside.caller.put_job(spec)

    await inside.caller.put_grants(grants(spec, source=reading(f"{server.url}/{_NAME}")))

    if fits:
        assert await inside.caller.pick_up("job-1") == MOVIE
    else:
        await inside.caller.until("job-1", "failed", "input-mismatch")
