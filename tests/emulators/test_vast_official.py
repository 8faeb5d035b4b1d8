"""vast's own client 1.9.1 against the emulator: it takes the one for the other, in everything that a rental needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.vast_official import VERSION, NotInstalled, Official, in_ci, installed
from tests.emulators.vast_scene import KEY, RUNNING_S, Scene, pipe, scene_of

pytestmark = [pytest.mark.slow, pytest.mark.privileged]

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbc me@here"
# 1.4: every key, nulls included.
SAID_BY_CREATE = {
    *("client_id", "image", "env", "price", "disk", "label", "extra", "onstart", "image_login", "python_utf8", "user"),
    *("lang_utf8", "use_jupyter_lab", "jupyter_dir", "force", "cancel_unavail", "template_hash_id", "runtype"),
}


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    try:
        return installed(tmp_path_factory.mktemp("home"))
    except NotInstalled as exc:
        if in_ci():
            raise
        pytest.skip(f"vastai {VERSION} cannot be installed here: {exc}")


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(tmp_path / "market", keys=[KEY]) as scene:
        yield scene


def test_search(official: Official, market: Scene) -> None:
    """As JSON and as a table, with what its query language makes of names, gigabytes and versions."""
    query = "gpu_name=RTX_4090 num_gpus=1 gpu_ram>=20 driver_version>=535.86.05 dph<1 duration>3 verified=any"
    found = official.raw(market.vast.url, "search", "offers", query, "-o", "dph", "--storage", "50")
    table = official.cli(market.vast.url, "search", "offers", "num_gpus>=1 verified=any", "-o", "dph-")

    assert [(offer["id"], offer["gpu_name"]) for offer in found] == [(101, "RTX 4090")]
    assert found[0]["dph_total"] == pytest.approx(0.36 + 50 * 0.144 / 720)
    rows = [line.split() for line in table.stdout.splitlines()]
    assert [row[2] for row in rows if row[3:4] and row[3].startswith("12.8")] == ["103", "104", "101", "102"]
    first, second = market.vast.log(endpoint="search")
    assert (first["method"], first["path"], first["agent"]) == ("POST", "/api/v0/bundles/", f"vastai-cli/{VERSION}")
    assert first["body"]["gpu_name"] == {"eq": "RTX 4090"}
    assert first["body"]["gpu_ram"] == {"gte": 20_000.0}
    assert first["body"]["driver_version"]["gte"] in {535_086_005, "535086005"}
    assert second["body"]["num_gpus"] == {"gte": "1"}


def test_a_rental(official: Official, market: Scene, tmp_path: Path) -> None:
    """Created, gone for the next one, listed, shown, its logs read, labelled, stopped, started, destroyed, null."""
    url, heard = market.vast.url, pipe(tmp_path)
    onstart = f"{heard.onstart}echo hello from $CONTAINER_ID; echo up >&3; exec sleep 1000"
    order = ["--image", "a/b:c", "--disk", "20", "--label", "haul-1", "--onstart-cmd", onstart]
    order += ["--env", "-e A=1 -p 8000:8000", "--ssh", "--direct", "--cancel-unavail"]
    made = official.raw(url, "create", "instance", "101", *order)
    number = made["new_contract"]
    gone = official.cli(url, "create", "instance", "101", "--image", "a", "--raw")
    market.pass_by(RUNNING_S)
    with heard.opened() as lines:
        assert lines.readline() == "up\n"

    assert made == {"success": True, "new_contract": number}
    assert (gone.returncode, '"status_code": 410' in gone.stderr) == (0, True)
    (row,) = official.raw(url, "show", "instances")
    assert (row["id"], row["label"], row["extra_env"]) == (number, "haul-1", {"A": "1", "-p 8000:8000": "1"})
    table = official.cli(url, "show", "instances", "--no-color").stdout
    assert all(word in table for word in (str(number), "running", "haul-1", "1x RTX 4090", "Total: 1 instances"))
    ports = official.raw(url, "show", "instance", str(number))["ports"]
    assert set(ports) == {"22/tcp", "8000/tcp"}
    address = f"ssh://root@127.0.0.1:{ports['22/tcp'][0]['HostPort']}"
    assert official.cli(url, "ssh-url", str(number)).stdout.strip() == address
    assert f"hello from {number}" in official.cli(url, "logs", str(number)).stdout
    assert "set to haul-2" in official.cli(url, "label", "instance", str(number), "haul-2").stdout
    assert market.show(number)["label"] == "haul-2"
    assert official.cli(url, "stop", "instance", str(number)).stdout == f"stopping instance {number}.\n"
    market.pass_by(3)
    assert market.show(number)["actual_status"] == "stopped"
    assert official.cli(url, "start", "instance", str(number)).stdout == f"starting instance {number}.\n"
    assert official.cli(url, "destroy", "instance", str(number), "-y").stdout == f"destroying instance {number}.\n"
    assert f"Instance {number} not found" in official.cli(url, "show", "instance", str(number)).stderr
    assert market.vast.instances() == {}


@pytest.mark.parametrize(("fault", "first"), [("reply_lost", None), ("bad_gateway", 502)])
def test_the_double_create_trap(official: Official, market: Scene, fault: str, first: int | None) -> None:
    """The reply to a create is lost, the client asks again, hears 410, and an instance is left that nobody wanted."""
    market.vast.fault(fault, endpoint="create")
    told = official.cli(market.vast.url, "create", "instance", "101", "--image", "a", "--raw")

    create, again = market.vast.log(endpoint="create")
    assert (create["status"], again["status"]) == (first, 410)
    assert create["body"] == again["body"]
    assert set(create["body"]) == SAID_BY_CREATE
    assert (told.returncode, told.stdout) == (0, "")
    assert "no longer available" in told.stderr
    assert len(market.vast.instances()) == 1


def test_ssh_keys(official: Official, market: Scene) -> None:
    """Added to the account, listed, attached to an instance."""
    number = market.create()
    added = official.cli(market.vast.url, "create", "ssh-key", SSH_KEY)
    attached = official.cli(market.vast.url, "attach", "ssh", str(number), SSH_KEY)

    assert "ssh-key created" in added.stdout
    assert [key["public_key"] for key in official.raw(market.vast.url, "show", "ssh-keys")] == [SSH_KEY]
    assert "SSH key added to instance" in attached.stdout


def test_the_account_and_a_bad_key(official: Official, market: Scene) -> None:
    """Credit is told, the key is not; a wrong key is 401, and still exit status 0."""
    account = official.raw(market.vast.url, "show", "user")
    refused = official.cli(market.vast.url, "show", "user", "--raw", key="wrong")

    assert (account["credit"], "api_key" in account) == (100.0, False)
    assert (refused.returncode, '"status_code": 401' in refused.stderr) == (0, True)


def test_the_sdk(official: Official, tmp_path: Path) -> None:
    """Pages are followed; None for what is gone; no keys are a 404; Retry-After is obeyed, without it patience ends."""
    with scene_of(tmp_path, [{"id": 100 + number} for number in range(31)]) as scene:
        for number in range(30):
            scene.create(100 + number, label="crowd")
        scene.vast.fault("throttled", endpoint="destroy", times=2, form="json", retry_after=0.01)
        scene.vast.fault("throttled", endpoint="user", times=3)
        told = official.sdk(
            scene.vast.url,
            """
import requests
told["free"] = [offer["id"] for offer in vast.search_offers(query="num_gpus=1")]
told["made"] = vast.create_instance(130, image="a", disk=10, env={"A": "1"}, label="by-sdk", cancel_unavail=True)
rows = vast.show_instances()
told["rows"], told["label"] = len(rows), rows[-1]["label"]
told["gone"] = vast.show_instance(5)
for name, call in (("keys", vast.show_ssh_keys), ("throttled", vast.show_user)):
    try:
        call()
    except requests.HTTPError as refused:
        told[name] = refused.response.status_code
told["destroyed"] = vast.destroy_instance(told["made"]["new_contract"])
""",
        )
        listed = scene.vast.log(endpoint="list")
        destroys = [entry["status"] for entry in scene.vast.log(endpoint="destroy")]

    assert (told["free"], told["made"]["success"]) == ([130], True)
    assert (told["rows"], told["label"], len(listed)) == (31, "by-sdk", 2)
    assert (told["gone"], told["keys"], told["throttled"]) == (None, 404, 429)
    assert (destroys, told["destroyed"]) == ([429, 429, 200], {"success": True})
