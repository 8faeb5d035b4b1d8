"""Grants: replaced as a whole, by a higher generation only, and kept to ourselves."""

from __future__ import annotations

import stat

import pytest

from framehaul.contract.grants import FileIn, FileOut, GrantSet, OutputGrant, RelayOut
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, grants, order, reading

_SIGNED = "https://store.example/clip.mp4?X-Amz-Signature=5ec2e7"


async def test_grants_are_kept_for_a_restart_and_for_us_alone(inside: Inside) -> None:
    """The addresses lie on disk in clear, since an agent that restarts works alone, but no other user reads them."""
    await inside.caller.put_job(order())

    reply = await inside.caller.put_grants(grants(order(), source=reading(_SIGNED)))

    assert reply.json()["grants_generation"] == 1
    path = inside.folder().grants
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert GrantSet.model_validate_json(path.read_bytes()) == grants(order(), source=reading(_SIGNED))
    assert stat.S_IMODE(inside.home.stat().st_mode) == 0o700


async def test_generation_only_goes_up(inside: Inside) -> None:
    """The same set again is known; another one under the same or a lower number is stale."""
    caller, spec = inside.caller, order()
    await caller.put_job(spec)
    assert (await caller.put_grants(grants(spec, 2))).status_code == 200

    assert (await caller.put_grants(grants(spec, 2))).status_code == 200
    assert_refused(await caller.put_grants(grants(spec, 2, source=reading(_SIGNED))), 409, "stale-grants")
    assert_refused(await caller.put_grants(grants(spec, 1)), 409, "stale-grants")
    assert (await caller.put_grants(grants(spec, 3))).json()["grants_generation"] == 3


async def test_grants_of_another_attempt_are_stale(inside: Inside) -> None:
    """Yesterday's addresses do not serve today's attempt."""
    await inside.caller.put_job(order())

    assert_refused(await inside.caller.put_grants(grants(order(attempt=2))), 409, "stale-grants")


@pytest.mark.parametrize(
    "outputs",
    [
        {"result": RelayOut()},
        {"result": RelayOut(), "manifest": RelayOut(), "extra": RelayOut()},
    ],
    ids=["manifest-lacking", "one-too-many"],
)
async def test_grants_name_exactly_the_slots(inside: Inside, outputs: dict[str, OutputGrant]) -> None:
    """A slot without a grant could never be delivered, so it is told at once."""
    await inside.caller.put_job(order())

    assert_refused(await inside.caller.put_grants(grants(order(), outputs=outputs)), 422, "slots-differ")


@pytest.mark.parametrize("kind", [FileIn(path="/etc/passwd"), FileOut(path="/tmp/x")], ids=lambda kind: str(kind))
async def test_unserved_kinds_are_refused(inside: Inside, kind: FileIn | FileOut) -> None:
    """An agent that was not told to touch its own disk says so before any work."""
    await inside.caller.put_job(order())
    if isinstance(kind, FileIn):
        sent = grants(order(), source=kind)
    else:
        sent = grants(order(), outputs={"result": kind, "manifest": RelayOut()})

    assert_refused(await inside.caller.put_grants(sent), 422, "grant-not-served")


async def test_file_grants_work_where_they_are_allowed(open_agent: OpenAgent, tmp_path: object) -> None:
    """With --allow-file-grants inputs are read from, and results written to, this machine's disk."""
    async with open_agent(allow_file_grants=True) as inside:
        source, target = inside.home / "clip.mp4", inside.home / "results"
        source.write_bytes(MOVIE)
        spec = order()
        names = spec.output_names()
        outputs: dict[str, OutputGrant] = {slot: FileOut(path=str(target / name)) for slot, name in names.items()}

        await inside.caller.put_job(spec)
        await inside.caller.put_grants(grants(spec, source=FileIn(path=str(source)), outputs=outputs))
        view = await inside.caller.until("job-1", "delivered")

        assert (target / names["result"]).read_bytes() == MOVIE
        assert (target / names["manifest"]).read_bytes() == inside.folder().manifest.read_bytes()
        assert view.receipt
        assert view.receipt.output("result").uri == f"file:{target / names['result']}"
        assert source.read_bytes() == MOVIE
        assert sorted(path.name for path in target.iterdir()) == sorted(names.values())


async def test_addresses_are_not_repeated_in_errors(inside: Inside, caplog: pytest.LogCaptureFixture) -> None:
    """A presigned address in a malformed set appears neither in the answer nor in the log."""
    await inside.caller.put_job(order())
    body = grants(order(), source=reading(_SIGNED)).model_dump(mode="json") | {"surprise": _SIGNED, "attempt": _SIGNED}

    reply = await inside.caller.client.put("/jobs/job-1/grants", json=body)

    assert_refused(reply, 422, "bad-request")
    assert "5ec2e7" not in reply.text + caplog.text
