"""What becomes of emulated instances by name: they hang, fail, lose things, are stopped, are away, rise again."""

from __future__ import annotations

import pytest

from tests.emulators.vast_scene import RUNNING_S, Scene


def test_an_image_may_load_for_ever(scene: Scene) -> None:
    """Its storage costs all the while, its GPU does not."""
    scene.vast.fault("stuck_loading", label="slow")
    fast, slow = scene.create(101, label="fast-1"), scene.create(102, label="slow-1")
    scene.pass_by(86_400)

    assert [scene.show(number)["actual_status"] for number in (fast, slow)] == ["running", "loading"]
    assert scene.vast.bill()["instances"][str(slow)]["gpu"] == 0


def test_a_container_may_not_start(scene: Scene) -> None:
    """It stays created, and the message says why."""
    scene.vast.fault("oci_error")
    scene.vast.fault("oci_error", message="no space left on device")
    rows = [scene.show(scene.run(ask)) for ask in (101, 102)]

    assert [row["actual_status"] for row in rows] == ["created", "created"]
    assert "OCI runtime create failed" in rows[0]["status_msg"]
    assert rows[1]["status_msg"] == "no space left on device"


def test_ports_may_be_missing(scene: Scene) -> None:
    """While it runs all the same."""
    scene.vast.fault("no_ports")
    row = scene.show(scene.run(env={"-p 8000:8000": "1"}))

    assert (row["actual_status"], row["ports"]) == ("running", None)


def test_an_instance_may_exit_right_after_it_ran(scene: Scene) -> None:
    """And never run again by itself."""
    scene.vast.fault("exits_at_once")
    number = scene.run(onstart="exec sleep 1000")
    assert scene.vast.instances()[number]["pid"] is not None
    scene.pass_by(3600)

    assert (scene.show(number)["actual_status"], scene.show(number)["intended_status"]) == ("exited", "running")
    assert scene.vast.instances()[number]["pid"] is None


def test_a_label_may_be_lost(scene: Scene) -> None:
    """The instance is there without one."""
    scene.vast.fault("label_lost")

    assert scene.show(scene.create(label="x"))["label"] is None


def test_an_instance_may_be_listed_late(scene: Scene) -> None:
    """Show knows it, the list does not yet."""
    scene.vast.fault("listed_late", for_s=20)
    number = scene.create()
    assert scene.show(number)["id"] == number
    assert scene.listed()["instances"] == []
    scene.pass_by(20)

    assert [row["id"] for row in scene.listed()["instances"]] == [number]


@pytest.mark.parametrize("name", ["outbid", "credit_gone", "contract_ended"])
def test_an_instance_may_be_stopped_from_outside(scene: Scene, name: str) -> None:
    """All three states say stopped, at once."""
    number = scene.run()
    scene.vast.fault(name)
    row = scene.show(number)

    assert {row[state] for state in ("actual_status", "cur_state", "intended_status", "next_state")} == {"stopped"}


def test_an_event_means_one_instance_or_all(scene: Scene) -> None:
    """By its number."""
    first, second = scene.run(101), scene.run(102)
    scene.vast.fault("outbid", instance=first)

    assert [scene.show(number)["actual_status"] for number in (first, second)] == ["stopped", "running"]


def test_a_stop_waits_for_the_host(scene: Scene) -> None:
    """What is told to stop while its host is away stops once it is back."""
    number = scene.run()
    scene.vast.fault("offline")
    scene.manage(number, state="stopped")
    scene.pass_by(600)
    assert scene.show(number)["actual_status"] == "offline"
    scene.vast.fault("online")
    scene.pass_by(3)

    assert scene.show(number)["actual_status"] == "stopped"


def test_a_host_may_be_offline(scene: Scene) -> None:
    """Or unknown, until it is back; one that was loading loads on."""
    number = scene.create()
    scene.pass_by(10)
    scene.vast.fault("offline", status="unknown")
    scene.pass_by(86_400)
    assert scene.show(number)["actual_status"] == "unknown"
    scene.vast.fault("online")
    assert scene.show(number)["actual_status"] == "loading"
    scene.pass_by(RUNNING_S - 10)

    assert scene.show(number)["actual_status"] == "running"


def test_a_destroyed_instance_may_rise_again(scene: Scene) -> None:
    """The answer is success; it is listed, and costs, until its time is over."""
    number = scene.run()
    scene.vast.fault("resurrection", for_s=30)
    assert [scene.destroy(number).json() for _ in range(2)] == [{"success": True}] * 2
    before = scene.vast.bill()["total"]
    scene.pass_by(29)
    assert [row["id"] for row in scene.listed()["instances"]] == [number]
    assert scene.vast.bill()["total"] > before
    scene.pass_by(1)

    assert scene.listed()["instances"] == []


def test_a_destroy_may_do_nothing(scene: Scene) -> None:
    """Though it says success; the next one does."""
    number = scene.run()
    scene.vast.fault("destroy_ignored")

    assert scene.destroy(number).json() == {"success": True}
    scene.pass_by(86_400)
    assert scene.show(number)["actual_status"] == "running"
    scene.destroy(number)
    assert scene.show(number) == {}


def test_a_start_may_be_queued(scene: Scene) -> None:
    """It is an error, and the instance runs and costs later all the same, unless it is stopped again."""
    numbers = [scene.run(101), scene.run(102)]
    for number in numbers:
        scene.manage(number, state="stopped")
    scene.pass_by(3)
    scene.vast.fault("start_queued", for_s=600, times=2)
    for number in numbers:
        assert "state change queued" in scene.manage(number, state="running").json()["msg"]
    scene.manage(numbers[0], state="stopped")
    scene.pass_by(620)

    assert [scene.show(number)["actual_status"] for number in numbers] == ["stopped", "running"]
