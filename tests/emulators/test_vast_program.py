"""The emulated vast.ai as a program: it says where, follows a clock, and obeys its control route."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulators.clock import ClockServer
from tests.emulators.test_programs import program
from tests.emulators.vast_scene import pipe


def test_a_program_on_a_shared_clock(tmp_path: Path) -> None:
    """Hours pass in milliseconds: an instance runs and ends while nobody asks, and the bill is to the second."""
    heard = pipe(tmp_path)
    (tmp_path / "offers.json").write_text(json.dumps([{"id": 7, "dph_base": 0.36}]), encoding="utf-8")
    words = ["--offers", str(tmp_path / "offers.json"), "--root", str(tmp_path / "vast"), "--key", "k"]
    order = {"image": "a", "disk": 10, "onstart": f"{heard.onstart}echo $COLOUR >&3; exec sleep 1000"}
    with ClockServer() as clock:
        words += ["--clock", clock.url, "--image", "COLOUR=red", "--no-pacing"]
        with program("tests.emulators.vast", *words) as http:
            assert http.get("/api/v0/users/current").status_code == 401
            http.headers["Authorization"] = "Bearer k"
            number = http.put("/api/v0/asks/7/", json=order).raise_for_status().json()["new_contract"]
            clock.advance(45)
            with heard.opened() as lines:
                assert lines.readline() == "red\n"
                clock.advance(3600)
                http.post("/_control", json={"fault": "outbid"}).raise_for_status()
                assert lines.read() == ""
            bill = http.get("/_control/bill").json()["instances"][str(number)]

    assert bill["gpu"] == pytest.approx(0.36)


def test_a_program_obeys(tmp_path: Path) -> None:
    """Faults, money, traffic, pacing and the log; and refuses what it does not know."""
    with program("tests.emulators.vast", "--root", str(tmp_path), "--seed", "5") as http:

        def order(**words: object) -> dict[str, object]:
            told: dict[str, object] = http.post("/_control", json=words).raise_for_status().json()
            return told

        http.headers["Authorization"] = "Bearer k"
        order(pacing=False)
        ask = http.post("/api/v0/bundles/", json={}).json()["offers"][0]["id"]
        number = http.put(f"/api/v0/asks/{ask}/", json={"image": "a", "disk": 8, "label": "x"}).json()["new_contract"]
        order(credit=5)
        order(traffic=number, up=0, down=0)
        fault = order(fault="answers", endpoint="user", code=500, times=5)["fault"]
        assert http.get("/api/v0/users/current").status_code == 500
        assert http.get("/_control/struck", params={"fault": str(fault)}).json() == {"struck": True}
        order(mend="answers")
        order(fault=None)
        assert http.get("/api/v0/users/current").json()["credit"] <= 5
        assert http.get("/_control/instances").json()["instances"][str(number)]["label"] == "x"
        assert http.get("/_control/bill").json()["instances"][str(number)]["label"] == "x"
        asked = [entry["endpoint"] for entry in http.get("/_control/log").json()["requests"]]
        assert asked == ["search", "create", "user", "user"]
        order(forget=True)
        assert http.get("/_control/log").json() == {"requests": []}
        for wrong in ({"fault": "x"}, {"credit": "5"}, {"pause": True}, {"release": 99}, {"pacing": True, "on": 1}, {}):
            assert http.post("/_control", json=wrong).status_code == 400
        assert http.get("/_control/nothing").status_code == 400
