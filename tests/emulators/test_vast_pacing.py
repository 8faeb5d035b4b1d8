"""How often the emulated vast.ai may be asked, by its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.emulators.vast_scene import Scene, client, scene_of


@pytest.fixture
def paced(tmp_path: Path) -> Iterator[Scene]:
    with scene_of(tmp_path / "paced", pacing=True) as scene:
        yield scene


def ask(scene: Scene, endpoint: str) -> httpx.Response:
    """Ask an endpoint in a way that would be a 404 or a success."""
    http = scene.http
    match endpoint:
        case "create":
            return scene.try_create(999)
        case "destroy":
            return scene.destroy(5)
        case "show":
            return http.get("/api/v0/instances/5/")
        case "list":
            return http.get("/api/v1/instances/")
        case "manage":
            return scene.manage(5, state="stopped")
        case "ssh_keys":
            return http.get("/api/v0/ssh/")
    return http.request("DELETE", "/api/v0/instances/5/ssh/5/")


@pytest.mark.parametrize(
    ("endpoint", "pause"),
    [("create", 4.5), ("destroy", 3), ("show", 2), ("list", 1), ("manage", 1), ("ssh_keys", 1), ("ssh_detach", 2)],
)
def test_each_endpoint_has_its_pause(paced: Scene, endpoint: str, pause: float) -> None:
    """A request that keeps it passes; one that comes early gets 429 in plain text, without Retry-After."""
    assert ask(paced, endpoint).status_code != 429
    paced.pass_by(pause)
    assert ask(paced, endpoint).status_code != 429
    paced.pass_by(pause - 0.1)
    early = ask(paced, endpoint)

    assert (early.status_code, early.text) == (
        429,
        f"API requests too frequent: endpoint threshold={float(pause)}",
    )
    assert "Retry-After" not in early.headers


def test_a_create_that_comes_early_pays_for_it(paced: Scene) -> None:
    """It waits 12 s from then on, not 4.5."""
    answers = []
    for seconds in (0, 4, 11, 12):
        paced.pass_by(seconds)
        answers.append(ask(paced, "create").status_code)

    assert answers == [404, 429, 429, 404]


def test_pauses_are_counted_for_each_endpoint_and_key(paced: Scene) -> None:
    """Stop and label are one endpoint; another key has pauses of its own."""
    assert paced.manage(5, state="stopped").status_code == 404
    assert paced.manage(5, label="x").status_code == 429
    assert paced.destroy(5).status_code == 404
    with client(paced.vast.url, "another") as other:
        assert other.put("/api/v0/instances/5/", json={"label": "x"}).status_code == 404


def test_ten_searches_a_minute(paced: Scene) -> None:
    """Whoever makes them, for they are counted by address."""
    with client(paced.vast.url, "another") as other:
        found = [http.post("/api/v0/bundles/", json={}).status_code for http in (paced.http, other) * 6]
    paced.pass_by(60)

    assert found == [200] * 10 + [429] * 2
    assert paced.search() != []


def test_both_forms_of_the_refusal(paced: Scene) -> None:
    """JSON too, and Retry-After, which the official client expects already."""
    paced.vast.pacer.form, paced.vast.pacer.retry_after = "json", True
    ask(paced, "show")
    paced.pass_by(0.5)
    early = ask(paced, "show")

    assert early.json() == {"detail": "API requests too frequent endpoint threshold=2.0"}
    assert early.headers["Retry-After"] == "1.5"
