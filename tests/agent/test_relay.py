"""The relay journey: inputs come from the laptop, results go back to it."""

from __future__ import annotations

import hashlib

from framehaul.contract.manifest import Manifest
from framehaul.contract.receipt import Sentinel
from tests.agent.caller import assert_refused
from tests.agent.conftest import Inside
from tests.agent.letters import MOVIE, grants, order


async def test_relay_journey(inside: Inside) -> None:
    """A job goes there and back in pieces, and the last file that it writes vouches for the receipt."""
    caller, spec, folder = inside.caller, order(), inside.folder()

    assert (await caller.put_job(spec)).status_code == 201
    await caller.until("job-1", "fetching", "waiting-for-grants")
    assert (await caller.put_grants(grants(spec))).status_code == 200
    await caller.until("job-1", "fetching", "waiting-for-input")
    assert (await caller.put_input("job-1", MOVIE, 0, 4000)).json() == {
        "received": 4000,
        "size": 10240,
        "complete": False,
    }
    wrong = assert_refused(await caller.put_input("job-1", MOVIE, 5000, 6000), 409, "wrong-offset")
    assert wrong.model_extra == {"offset": 4000}
    assert (await caller.put_input("job-1", MOVIE, 4000, 9000)).status_code == 200
    assert (await caller.put_input("job-1", MOVIE, 9000)).json()["complete"] is True

    receipt = await caller.receipt("job-1")
    assert receipt.spec_digest == spec.digest()
    assert receipt.output("result").uri == "relay:job-1/result"
    assert receipt.output("result").sha256 == hashlib.sha256(MOVIE).hexdigest()
    first = await caller.get_output("job-1", Range="bytes=0-999")
    rest = await caller.get_output("job-1", Range="bytes=1000-")
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == MOVIE
    manifest = Manifest.model_validate_json((await caller.get_output("job-1", "manifest")).content)
    assert manifest.outputs[0].sha256 == receipt.output("result").sha256
    assert not folder.sentinel.exists()

    await caller.received("job-1", receipt.output("result"))
    assert (await caller.view("job-1")).status.state == "delivering"
    delivered = await caller.received("job-1", receipt.output("manifest"))

    assert delivered.json()["status"]["state"] == "delivered"
    assert Sentinel.model_validate_json(folder.sentinel.read_bytes()).vouches_for(receipt)
    assert (await caller.delete("job-1")).status_code == 204
    assert_refused(await caller.client.get("/jobs/job-1"), 404, "unknown-job")
    assert not folder.root.exists()
