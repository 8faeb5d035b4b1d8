"""Results that the agent brings to a store by itself: its own work from order to sentinel, with nobody to help."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framehaul.contract.grants import OutputGrant, RelayOut
from framehaul.contract.receipt import Receipt, Sentinel
from framehaul.contract.spec import RECEIPT_SLOT
from framehaul.contract.status import LeaseOrder
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside, OpenAgent
from tests.agent.letters import MOVIE, grants, order
from tests.agent.patience import eventually
from tests.agent.vault import Vault

_RECEIPT = ".framehaul/receipts/job-1.1.json"


async def _ship(inside: Inside, vault: Vault) -> None:
    spec = order()
    for reply in (
        await inside.caller.put_job(spec),
        await inside.caller.put_grants(grants(spec, outputs=vault.outputs(spec))),
        await inside.caller.put_input("job-1", MOVIE),
    ):
        assert reply.is_success, reply.text


async def _controller_falls_silent(inside: Inside) -> None:
    told = LeaseOrder(deadline=inside.clock.now() + 86_400, ttl_s=600, grace_s=120)
    await inside.caller.client.post("/lease", content=told.canonical())
    inside.clock.advance(1000)


async def _time_passes_until(inside: Inside, reason: str) -> None:
    """Let the agent try again and again, until it tells this reason."""

    async def told() -> bool:
        inside.clock.advance(1)
        return (await inside.caller.view("job-1")).status.reason == reason

    await eventually(told)


async def _ends_by_itself(inside: Inside) -> None:
    def ended() -> bool:
        inside.clock.advance(1)
        return inside.agent.ended.is_set()

    await eventually(ended)


async def test_agent_delivers_alone(inside: Inside, vault: Vault) -> None:
    """Result, manifest and receipt lie in the store; the disk is free again, the sentinel vouches for it."""
    await _ship(inside, vault)

    view = await inside.caller.until("job-1", "delivered")

    folder = inside.folder()
    receipt = Receipt.model_validate_json(vault.read(_RECEIPT) or b"")
    assert receipt == view.receipt
    assert vault.read("job-1.mp4") == MOVIE
    assert vault.read("job-1.mp4.manifest.json") == folder.manifest.read_bytes()
    assert [entry.uri for entry in receipt.outputs] == [
        str(vault.place(name)) for name in ("job-1.mp4", "job-1.mp4.manifest.json")
    ]
    assert Sentinel.model_validate_json(folder.sentinel.read_bytes()).vouches_for(receipt)
    assert folder.receipt.stat().st_mode & 0o077 == 0
    await eventually(lambda: not any(folder.outputs.iterdir()))  # a moment after the last word


async def test_silent_controller_gets_its_result_all_the_same(inside: Inside, vault: Vault) -> None:
    """A controller that was killed after shipping finds everything in the store; only then the agent ends."""
    held = vault.proxy.fault("stall", operation="UploadPart")
    assert held is not None
    await _ship(inside, vault)
    await eventually(held.struck.is_set)
    await _controller_falls_silent(inside)
    for _ in range(5):
        inside.clock.advance(1)
        await inside.caller.view("job-1")
    assert not inside.agent.ended.is_set()
    held.release()

    await inside.caller.until("job-1", "delivered")
    await _ends_by_itself(inside)

    assert vault.read("job-1.mp4") == MOVIE
    assert vault.read(_RECEIPT)


async def test_agent_waits_for_a_store_but_not_for_grants(open_agent: OpenAgent, vault: Vault) -> None:
    """In silence a store that is down keeps the agent; grants that only a controller renews do not. Nothing is lost."""
    vault.proxy.fault("status", code=500, operation="UploadPart")
    async with open_agent() as first:
        await _ship(first, vault)
        await _controller_falls_silent(first)
        await _time_passes_until(first, "store-unavailable")
        assert not first.agent.ended.is_set()
        vault.proxy.mend()
        vault.proxy.fault("deny", operation="UploadPart")

        await _ends_by_itself(first)

        assert (await first.caller.view("job-1")).status.reason == "grants-expired"
    vault.proxy.mend()

    async with open_agent() as second:
        await second.caller.until("job-1", "delivered")

    assert vault.read("job-1.mp4") == MOVIE


async def test_what_was_delivered_is_cleared_after_a_crash(open_agent: OpenAgent, vault: Vault) -> None:
    """An agent that died between its last word and the clearing up leaves no gigabytes behind for ever."""
    async with open_agent() as first:
        await _ship(first, vault)
        await first.caller.until("job-1", "delivered")
        left = first.folder().outputs / "job-1.mp4"
    left.write_bytes(MOVIE)

    async with open_agent() as second:
        assert (await second.caller.view("job-1")).status.state == "delivered"

    assert not left.exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda outputs: outputs.pop(RECEIPT_SLOT), "slots-differ"),
        (lambda outputs: outputs.update(receipt=RelayOut()), "slots-differ"),
        (lambda outputs: outputs.update(manifest=RelayOut()), "slots-differ"),
        (lambda outputs: outputs.update(result=_elsewhere(outputs["result"], "file:///etc/passwd?")), "bad-address"),
        (lambda outputs: outputs.update(result=_elsewhere(outputs["result"], "http://10.0.0.9/b/k?")), "bad-address"),
    ],
    ids=["no-receipt", "relayed-receipt", "relayed-manifest", "no-web-address", "plain-http"],
)
async def test_uploads_are_granted_whole_or_not_at_all(
    inside: Inside, vault: Vault, change: Callable[[dict[str, OutputGrant]], object], name: str
) -> None:
    """Where all goes to the store the receipt does too, and nowhere else; addresses are safe on their way."""
    spec = order()
    outputs = vault.outputs(spec)
    change(outputs)
    await inside.caller.put_job(spec)

    reply = await inside.caller.put_grants(grants(spec, outputs=outputs))

    assert_refused(reply, 422, name)
    assert "5ec2e7" not in reply.text


async def test_result_may_go_to_a_store_and_the_manifest_by_relay(inside: Inside, vault: Vault) -> None:
    """Both ways in one job: what is uploaded arrives by itself, what is relayed waits to be fetched."""
    spec = order()
    uploads = vault.outputs(spec)
    await inside.caller.put_job(spec)
    await inside.caller.put_grants(grants(spec, outputs={"result": uploads["result"], "manifest": RelayOut()}))
    await inside.caller.put_input("job-1", MOVIE)

    receipt = await inside.caller.receipt("job-1")
    assert vault.read("job-1.mp4") == MOVIE
    await inside.caller.received("job-1", receipt.output("manifest"))

    await inside.caller.until("job-1", "delivered")


def _elsewhere(grant: OutputGrant, address: str) -> OutputGrant:
    return grant.model_validate(grant.model_dump(mode="json") | {"complete_url": f"{address}5ec2e7"})
