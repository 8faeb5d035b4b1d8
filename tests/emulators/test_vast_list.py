"""The emulated list of instances, and who may ask for what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.vast_scene import KEY, Scene, client, scene_of


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Scene]:
    """Give 30 instances, labelled in turn a, b and nothing; the first two run."""
    with scene_of(tmp_path / "crowd", [{"id": 100 + number} for number in range(30)]) as scene:
        scene.run(100, label="a")
        for number in range(1, 30):
            scene.create(100 + number, label=("a", "b", None)[number % 3])
        yield scene


def test_a_page_has_25_rows(crowd: Scene) -> None:
    """Whatever the limit says; the token gives the rest; counts are of everything that fits."""
    first = crowd.listed(limit=100)
    rest = crowd.listed(after_token=first["next_token"])

    assert (len(first["instances"]), len(rest["instances"]), rest["next_token"]) == (25, 5, None)
    assert (first["total_instances"], first["instances_found"]) == (30, 30)
    assert first["label_counts"] == {"a": 10, "b": 10, "": 10}
    numbers = [row["id"] for row in first["instances"] + rest["instances"]]
    assert numbers == sorted(crowd.vast.instances())


@pytest.mark.parametrize(
    ("query", "many"),
    [
        ({"limit": 3}, 3),
        ({"limit": 0}, 5),
        ({"limit": -1}, 5),
        ({"select_filters": {"label": {"eq": "a"}}}, 10),
        ({"select_filters": {"label": {"in": ["a", None]}}}, 20),
        ({"select_filters": {"label": {"eq": "c"}}}, 0),
        ({"select_filters": {"actual_status": {"in": ["running"]}}}, 1),
        ({"select_filters": {"actual_status": {"neq": None}, "label": {"eq": "a"}}}, 1),
    ],
)
def test_a_list_is_filtered_and_cut(crowd: Scene, query: dict[str, Any], many: int) -> None:
    """By columns of the contract; a limit of nothing means five."""
    assert len(crowd.listed(**query)["instances"]) == many


def test_a_list_is_sorted_and_has_the_columns_that_are_wanted(crowd: Scene) -> None:
    """And the id in any case."""
    order = [{"col": "label", "dir": "desc"}, {"col": "id", "dir": "desc"}]
    rows = crowd.listed(order_by=order, select_cols=["label"], limit=11)["instances"]

    assert [row["label"] for row in rows] == ["b"] * 10 + ["a"]
    assert rows[0]["id"] > rows[1]["id"]
    assert set(rows[0]) == {"id", "label"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"select_filters": json.dumps({"dph_total": {"lt": 1}})}, "invalid_request"),
        ({"select_filters": json.dumps({"num_gpus": {"eq": 1}})}, "invalid_request"),
        ({"select_filters": json.dumps({"label": {"starts": "a"}})}, "invalid_request"),
        ({"select_filters": "{"}, "invalid_request"),
        ({"limit": "many"}, "invalid_request"),
        ({"after_token": "nonsense"}, "invalid_token"),
    ],
)
def test_a_list_refuses(crowd: Scene, query: dict[str, str], error: str) -> None:
    """Columns that are not the contract's, tokens of nobody, and what is no JSON."""
    refused = crowd.http.get("/api/v1/instances/", params=query)

    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_the_old_list_is_retired(scene: Scene) -> None:
    """It answers 410 with the new address."""
    refused = scene.http.get("/api/v0/instances/")

    assert (refused.status_code, refused.json()["error"]) == (410, "deprecated_endpoint")


def test_what_can_be_filtered_by(crowd: Scene) -> None:
    """The table of the official client asks for it."""
    told = crowd.http.get("/api/v0/instances/filters/").json()["filters"]

    assert {combination["actual_status"] for combination in told} == {"running", None}


def test_logs_come_late_and_without_a_key(scene: Scene) -> None:
    """A snapshot lies elsewhere, is refused at first, and does not follow."""
    number = scene.create()
    told = scene.http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "5"}).json()
    with client(scene.vast.url) as stranger:
        stranger.headers.pop("Authorization")
        replies = [stranger.get(told["result_url"]).status_code for _ in range(3)]

    assert (told["success"], replies) == (True, [403, 403, 200])
    refused = scene.http.put("/api/v0/instances/request_logs/5/", json={})
    assert (refused.status_code, refused.json()["error"]) == (404, "invalid_id")
    assert scene.http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "x"}).status_code == 400
    assert scene.http.get(f"{scene.vast.url}/instance_logs/00.log").status_code == 404


def test_a_key_is_needed_and_comes_in_two_places(tmp_path: Path) -> None:
    """In the header or, from older clients, in the address; none and a wrong one are 401."""
    with scene_of(tmp_path, keys=[KEY]) as scene, client(scene.vast.url, "wrong") as wrong:
        assert scene.http.get("/api/v0/users/current").status_code == 200
        refused = wrong.get("/api/v0/users/current")
        wrong.headers.pop("Authorization")
        nobody = wrong.get("/api/v0/users/current")
        in_address = wrong.get("/api/v0/users/current", params={"api_key": KEY})

    assert [refused.status_code, nobody.status_code, in_address.status_code] == [401, 401, 200]
    assert refused.json() == {"success": False, "error": "auth_error", "msg": "Invalid user key"}


def test_the_account(scene: Scene) -> None:
    """`credit` is what is left."""
    assert scene.http.get("/api/v0/users/current/").json()["credit"] == 100.0


def test_ssh_keys(scene: Scene) -> None:
    """None is a 404; they are added, changed, removed; attached to an instance once, and detached."""
    none = scene.http.get("/api/v0/ssh/")
    assert (none.status_code, none.json()["msg"]) == (404, "No SSH keys found for the user.")
    number = scene.http.post("/api/v0/ssh/", json={"ssh_key": "ssh-ed25519 AAAA a"}).json()["key"]["id"]
    scene.http.put(f"/api/v0/ssh/{number}/", json={"ssh_key": "ssh-ed25519 BBBB b"}).raise_for_status()
    assert [key["public_key"] for key in scene.http.get("/api/v0/ssh/").json()] == ["ssh-ed25519 BBBB b"]
    assert scene.http.post("/api/v0/ssh/", json={"ssh_key": "no key"}).status_code == 400

    instance = f"/api/v0/instances/{scene.create()}/ssh/"
    attached = [scene.http.post(instance, json={"ssh_key": "ssh-ed25519 BBBB b"}).status_code for _ in range(2)]
    assert attached == [200, 400]
    assert [scene.http.delete(f"{instance}501/").status_code for _ in range(2)] == [200, 404]
    assert [scene.http.delete(f"/api/v0/ssh/{number}/").status_code for _ in range(2)] == [200, 404]


def test_everything_is_logged(scene: Scene) -> None:
    """What was asked, by whom, and what came of it; stop, start and label go by their own names."""
    number = scene.create(label="x")
    scene.manage(number, state="stopped")
    scene.manage(number, label="y")

    create, stop, label = scene.vast.log()
    assert (create["endpoint"], create["status"], create["body"]["label"]) == ("create", 200, "x")
    assert (create["key"], create["at"]) == (KEY, scene.vast.market.hour)
    assert (stop["endpoint"], label["endpoint"]) == ("stop", "label")
    assert scene.vast.log(endpoint="label") == [label]


def test_an_unknown_address_is_404(scene: Scene) -> None:
    """As is a known one with another method."""
    assert scene.http.get("/api/v0/nothing/").status_code == 404
    assert scene.http.post("/api/v0/instances/").status_code == 404
