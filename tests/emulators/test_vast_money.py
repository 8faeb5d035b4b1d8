"""What the emulated instances cost, to the second and the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulators.vast_scene import RUNNING_S, Scene, scene_of

GPU_S = 0.36 / 3600  # of offer 101
DISK_S = 100 * 0.144 / 720 / 3600  # of 100 GB on it


def bill(scene: Scene, number: int) -> dict[str, float]:
    told = scene.vast.bill()["instances"][str(number)]
    return {name: told[name] for name in ("gpu", "disk", "up", "down")}


def test_the_gpu_costs_while_it_runs_and_the_disk_always(scene: Scene) -> None:
    """Loading and stopped cost storage only, and a destroyed instance nothing; one jump of hours counts all that."""
    number = scene.create(disk=100)
    scene.pass_by(RUNNING_S + 3600)
    assert bill(scene, number) == pytest.approx({"gpu": 3600 * GPU_S, "disk": 3645 * DISK_S, "up": 0, "down": 0})
    scene.manage(number, state="stopped")
    scene.pass_by(3 + 7200)  # it takes 3 s to stop
    assert bill(scene, number) == pytest.approx({"gpu": 3603 * GPU_S, "disk": 10_848 * DISK_S, "up": 0, "down": 0})
    scene.destroy(number)
    before = scene.vast.bill()
    scene.pass_by(86_400)

    assert scene.vast.bill() == before
    assert before["total"] == pytest.approx(100 - before["credit"])


def test_a_jump_costs_what_many_steps_cost(tmp_path: Path) -> None:
    """Stops, a bid that is lost, a host that is away and the end of the credit included."""
    bills = []
    for step in (20_000.0, 7.3):
        with scene_of(tmp_path / str(step)) as scene:
            scene.vast.credit(3.0)
            first, second, third = scene.create(101), scene.create(102, price=0.5), scene.create(103)
            scene.pass_by(RUNNING_S)
            scene.manage(first, state="stopped")
            scene.vast.fault("outbid", instance=second)
            scene.vast.fault("offline", instance=third, for_s=5000)
            left = 20_000.0
            while left > 0:
                scene.pass_by(min(step, left))
                left -= step
            assert scene.show(third)["actual_status"] == "stopped"
            bills.append(scene.vast.bill())

    jump, steps = bills
    assert jump["total"] == pytest.approx(steps["total"])
    for number, told in jump["instances"].items():
        assert told == pytest.approx(steps["instances"][number])


def test_bytes_cost_in_any_state(scene: Scene) -> None:
    """Up and down apart, by the offer's prices, and in no dph."""
    number = scene.create()
    scene.vast.traffic(number, up=2_000_000_000, down=10_000_000_000)

    assert (bill(scene, number)["up"], bill(scene, number)["down"]) == pytest.approx((0.01, 0.03))


def test_a_host_that_is_away_costs_nothing(scene: Scene) -> None:
    """Neither GPU nor disk; it goes on where it was when the host is back."""
    number = scene.run(disk=100)
    before = bill(scene, number)
    scene.vast.fault("offline", instance=number, for_s=1000)
    scene.pass_by(999)
    assert scene.show(number)["actual_status"] == "offline"
    assert bill(scene, number) == before
    scene.pass_by(11)

    assert scene.show(number)["actual_status"] == "running"
    assert bill(scene, number)["gpu"] == pytest.approx(before["gpu"] + 10 * GPU_S)


def test_all_are_stopped_the_second_that_credit_is_gone(scene: Scene) -> None:
    """Not destroyed: their storage goes on, below nothing; nothing can be rented or started."""
    scene.vast.credit(1000 * (GPU_S + DISK_S) + RUNNING_S * DISK_S)
    number = scene.create(disk=100)
    scene.pass_by(86_400)

    assert scene.show(number)["cur_state"] == scene.show(number)["actual_status"] == "stopped"
    assert bill(scene, number)["gpu"] == pytest.approx(1000 * GPU_S)
    assert bill(scene, number)["disk"] == pytest.approx(86_400 * DISK_S)
    assert scene.vast.bill()["credit"] < 0
    assert scene.try_create(102).json()["error"] == "insufficient_credit"
    assert scene.manage(number, state="running").json()["error"] == "missing_billing"


def test_a_price_can_rise(scene: Scene) -> None:
    """From then on; the row says it."""
    number = scene.run(disk=100)
    scene.vast.fault("price_increase", instance=number, factor=2)
    before = bill(scene, number)["gpu"]
    scene.pass_by(100)

    assert scene.show(number)["dph_base"] == pytest.approx(0.72)
    assert bill(scene, number)["gpu"] - before == pytest.approx(200 * GPU_S)


def test_a_bid_is_charged_as_it_was_made(scene: Scene) -> None:
    """Not by the offer's price."""
    number = scene.run(price=0.18)
    scene.pass_by(3600)

    assert bill(scene, number)["gpu"] == pytest.approx(0.18)
