"""The life of an emulated instance: rented, loading, running, stopped, started, gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.emulators.vast_scene import RUNNING_S, START, Scene


def statuses(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("actual_status", "cur_state", "intended_status", "next_state"))


def test_a_fresh_instance_comes_to_run(scene: Scene) -> None:
    """Nothing, created, loading with docker's lines, running; and nothing but the clock moves it."""
    number = scene.create()
    seen = []
    for seconds in (0, 2, 3, 20, 19, 1):
        scene.pass_by(seconds)
        seen.append((scene.show(number)["actual_status"], scene.show(number)["status_msg"]))

    assert [status for status, _ in seen] == [None, "created", "loading", "loading", "loading", "running"]
    assert seen[2][1] == "4c7d45f7c63c: Pulling fs layer"
    assert seen[4][1].endswith(": Pull complete")
    assert seen[3][1] not in {seen[2][1], seen[4][1]}


def test_a_row_says_what_was_ordered_and_where(scene: Scene) -> None:
    """Ports while it runs; `extra_env` in pairs; `start_date` a number: the official client needs both."""
    order: dict[str, Any] = {"label": "haul-1", "env": {"A": "1", "-p 8000:8000": "1", "-p 9/udp": "1"}, "disk": 50.0}
    number = scene.create(runtype="ssh_direc ssh_proxy", **order)
    assert scene.show(number)["ports"] is None
    scene.pass_by(RUNNING_S)
    row = scene.show(number)

    assert (row["id"], row["label"], row["machine_id"], row["gpu_name"]) == (number, "haul-1", 10_101, "RTX 4090")
    assert row["start_date"] == START
    assert row["extra_env"] == [["A", "1"], ["-p 8000:8000", "1"], ["-p 9/udp", "1"]]
    assert set(row["ports"]) == {"22/tcp", "8000/tcp", "9/udp"}
    assert row["ports"]["8000/tcp"][0]["HostPort"].isdigit()
    assert row["public_ipaddr"] == "127.0.0.1\n"
    assert row["dph_total"] == pytest.approx(0.36 + 50 * 0.144 / 720)
    assert (row["is_bid"], row["disk_space"], row["image_uuid"]) == (False, 50.0, "a/b:c")


def test_stop_and_start(scene: Scene) -> None:
    """A stopped instance says so in all states; after a start it reports `exited` before it runs again."""
    number = scene.run()
    assert scene.manage(number, state="stopped").json() == {"success": True}
    assert statuses(scene.show(number)) == ("running", "running", "stopped", "stopped")
    scene.pass_by(3)
    assert statuses(scene.show(number)) == ("stopped",) * 4

    scene.manage(number, state="running")
    scene.pass_by(1)
    assert statuses(scene.show(number)) == ("exited", "stopped", "running", "running")
    scene.pass_by(19)

    assert statuses(scene.show(number)) == ("running",) * 4


def test_a_start_hurries_nothing(scene: Scene) -> None:
    """One that loads goes on loading, one that starts is not put off."""
    number = scene.create()
    scene.pass_by(10)
    scene.manage(number, state="running")
    assert scene.show(number)["actual_status"] == "loading"
    scene.pass_by(34)
    assert scene.show(number)["actual_status"] == "loading"
    scene.pass_by(1)
    scene.manage(number, state="stopped")
    scene.pass_by(3)
    scene.manage(number, state="running")
    scene.pass_by(15)
    scene.manage(number, state="running")
    scene.pass_by(5)

    assert scene.show(number)["actual_status"] == "running"


def test_a_reboot_starts_the_process_again(scene: Scene) -> None:
    """On its GPU and its disk; one that does not run is refused."""
    number = scene.run(onstart="exec sleep 1000")
    reboot = f"/api/v0/instances/reboot/{number}/"
    first = scene.vast.instances()[number]["pid"]
    scene.http.put(reboot, json={}).raise_for_status()
    scene.pass_by(20)
    assert scene.vast.instances()[number]["pid"] not in {None, first}
    scene.vast.fault("outbid")

    assert scene.http.put(reboot, json={}).status_code == 400


def test_one_of_many_gets_the_offer(scene: Scene) -> None:
    """However many ask for it at the same time."""
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: scene.try_create(101).status_code, range(16)))

    assert sorted(answers) == [200] + [410] * 15


def test_a_destroyed_instance_is_null(scene: Scene) -> None:
    """Show answers 200 and null; to destroy it again, to stop and to label it is a 404."""
    number = scene.run()
    assert scene.destroy(number).json() == {"success": True}

    told = scene.http.get(f"/api/v0/instances/{number}/")
    assert (told.status_code, told.json()) == (200, {"instances": None})
    for reply in (scene.destroy(number), scene.manage(number, state="stopped"), scene.manage(number, label="x")):
        assert (reply.status_code, reply.json()["error"]) == (404, "no_such_instance")


def test_several_are_stopped_started_and_destroyed_at_once(scene: Scene) -> None:
    """By their ids; what is gone already does not stop the others from being destroyed."""
    numbers = [scene.run(101), scene.run(102)]
    scene.http.put("/api/v0/instances/", json={"state": "stopped", "ids": numbers}).raise_for_status()
    scene.pass_by(3)
    assert {scene.show(number)["actual_status"] for number in numbers} == {"stopped"}

    gone = {"instance_ids": [*numbers, 5]}
    assert scene.http.request("DELETE", "/api/v0/instances/", json=gone).json() == {"success": True}
    assert scene.listed()["instances"] == []


def test_a_contract_ends_with_its_offer(scene: Scene) -> None:
    """Then all states say stopped, and it cannot be started."""
    number = scene.run()
    scene.pass_by(14 * 86_400)

    assert statuses(scene.show(number)) == ("stopped",) * 4
    assert scene.manage(number, state="running").status_code == 400


@pytest.mark.parametrize(
    ("order", "status", "error"),
    [
        ({"env": "-e A=1"}, 400, "invalid_args"),
        ({"env": {"A": "x" * 256}}, 400, "invalid_args"),
        ({"env": {f"-p {port}:{port}": "1" for port in range(65)}}, 400, "invalid_args"),
        ({"image": None}, 400, "invalid_args"),
        ({"disk": "20"}, 400, "invalid_args"),
        ({"disk": 7}, 400, "invalid_args"),
        ({"disk": 5000}, 400, "invalid_args"),
        ({"onstart": "x" * 4097}, 400, "invalid_args"),
        ({"label": "x" * 257}, 400, "label_too_long"),
        ({"price": 0}, 400, "invalid_price"),
        ({"price": 129}, 400, "invalid_price"),
        ({"target_state": "sleeping"}, 400, "invalid_args"),
    ],
)
def test_an_order_has_limits(scene: Scene, order: dict[str, Any], status: int, error: str) -> None:
    """What is beyond them is refused, and nothing is rented."""
    refused = scene.try_create(**order)

    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert scene.vast.instances() == {}


def test_an_offer_that_never_was_is_refused_otherwise(scene: Scene) -> None:
    """With a 404, where a rented one is a 410; both say no_such_ask."""
    scene.create(101)
    rented, unknown = scene.try_create(101), scene.try_create(999)

    assert (rented.status_code, rented.json()["error"]) == (410, "no_such_ask")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "invalid_args")
    assert "no_such_ask" in unknown.json()["msg"]


def test_a_low_bid_makes_a_stopped_instance_and_an_error(scene: Scene) -> None:
    """The error carries `new_contract`, and its storage costs."""
    refused = scene.try_create(price=0.05)

    assert refused.status_code == 400
    assert statuses(scene.show(refused.json()["new_contract"])) == ("stopped",) * 4


def test_a_bid_costs_what_it_says(scene: Scene) -> None:
    """And without a price an instance is on demand, whatever was searched for."""
    bid, demand = scene.show(scene.create(101, price=0.2)), scene.show(scene.create(102))

    assert (bid["is_bid"], bid["dph_base"]) == (True, 0.2)
    assert (demand["is_bid"], demand["dph_base"]) == (False, 0.18)
    assert scene.http.put(f"/api/v0/instances/bid_price/{bid['id']}/", json={"price": 0.3}).status_code == 200
    assert scene.show(bid["id"])["dph_base"] == 0.3


def test_an_instance_may_be_made_stopped(scene: Scene) -> None:
    """`target_state` says so."""
    assert statuses(scene.show(scene.create(target_state="stopped"))) == ("stopped",) * 4


def test_labels(scene: Scene) -> None:
    """A label can be changed, to one longer than create takes, and taken away."""
    number = scene.create(label="a")

    for label in ("b" * 1024, None):
        scene.manage(number, label=label).raise_for_status()
        assert scene.show(number)["label"] == label
    assert scene.manage(number, label="b" * 1025).json()["error"] == "label_too_long"
    assert scene.manage(number, other="x").status_code == 400
