"""The emulated vast.ai broken by name: each fault of requests does just what it says, as often as it was told."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulators.vast import faults
from tests.emulators.vast_scene import Scene, client, scene_of


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reply_losst", {}),
        ("reply_lost", {}),
        ("reply_lost", {"endpoint": "create", "label": "x"}),
        ("offer_gone", {"form": "418"}),
        ("list_answers", {}),
        ("outbid", {"times": 2}),
        ("offline", {"instance": 5}),
    ],
)
def test_an_unknown_fault_or_word_is_refused(scene: Scene, name: str, words: dict[str, Any]) -> None:
    """A test with a typing error must not pass for want of a fault; by the control route it is a 400."""
    with pytest.raises(ValueError, match=name if "instance" not in words else "no such instance"):
        scene.vast.fault(name, **words)

    assert scene.http.post("/_control", json={"fault": name, **words}).status_code == 400


def test_a_create_whose_reply_is_lost_is_done(scene: Scene) -> None:
    """And one that never came is not."""
    scene.vast.fault("reply_lost", endpoint="create")
    with pytest.raises(httpx.RemoteProtocolError):
        scene.create(101)
    assert len(scene.vast.instances()) == 1

    scene.vast.fault("reply_lost", endpoint="create", committed=False)
    with pytest.raises(httpx.RemoteProtocolError):
        scene.create(102)
    assert len(scene.vast.instances()) == 1
    assert [entry["status"] for entry in scene.vast.log(endpoint="create")] == [None, None]
    assert scene.create(102)


def test_a_create_may_be_done_and_answered_502(scene: Scene) -> None:
    """With the gateway's page; a refusal is passed on as it is."""
    scene.vast.fault("bad_gateway", endpoint="create", times=2)

    assert scene.try_create(999).status_code == 404
    assert scene.try_create(101).status_code == 502
    assert scene.try_create(102).status_code == 502
    assert len(scene.vast.instances()) == 2
    scene.vast.fault("bad_gateway", endpoint="list", code=503, committed=False)
    assert scene.http.get("/api/v1/instances/").status_code == 503


def test_a_create_may_be_done_and_hang(scene: Scene) -> None:
    """Until the client hangs up, or it is released, or the time is over."""
    held = scene.vast.fault("hangs", endpoint="create")
    with pytest.raises(httpx.ReadTimeout):
        scene.http.put("/api/v0/asks/101/", json={"image": "a", "disk": 10}, timeout=0.2)
    assert held.struck.is_set()
    assert len(scene.vast.instances()) == 1
    scene.vast.fault("hangs", endpoint="create", seconds=0.01)

    assert scene.create(102)


@pytest.mark.parametrize(("form", "error"), [("410", "no_such_ask"), ("404", "invalid_args"), ("400", "no_such_ask")])
def test_an_offer_is_gone_in_three_forms(scene: Scene, form: str, error: str) -> None:
    """All say no_such_ask in words; somebody else has it from then on."""
    scene.vast.fault("offer_gone", form=form)
    refused = scene.try_create()

    assert refusal(refused) == (int(form), error)
    assert "no_such_ask" in refused.json()["msg"]
    assert scene.try_create().status_code == 410
    assert scene.vast.instances() == {}


def test_success_may_be_false(scene: Scene) -> None:
    """With status 200, and nothing was done; of any endpoint."""
    scene.vast.fault("success_false", endpoint="create", error="no_such_ask", msg="gone")
    told = scene.try_create()

    assert (told.status_code, told.json()) == (200, {"success": False, "error": "no_such_ask", "msg": "gone"})
    assert scene.vast.instances() == {}


def test_any_answer_can_be_given(scene: Scene) -> None:
    """A word or an object, with any status."""
    scene.vast.fault("answers", endpoint="destroy", code=500, body={"msg": "oh"})
    number = scene.create()

    assert scene.destroy(number).json() == {"msg": "oh"}
    assert list(scene.vast.instances()) == [number]


def test_a_bid_may_be_too_low_all_of_a_sudden(scene: Scene) -> None:
    """The instance is there, stopped, and the error names it."""
    scene.vast.fault("bid_too_low")
    refused = scene.try_create(price=0.3)

    assert refused.status_code == 400
    assert scene.show(refused.json()["new_contract"])["actual_status"] == "stopped"


@pytest.mark.parametrize(("cancel", "status", "many"), [(True, 410, 0), (False, 200, 1)])
def test_a_gpu_may_be_unavailable(scene: Scene, cancel: bool, status: int, many: int) -> None:
    """With cancel_unavail that is an error, without it a stopped instance that looks like a success."""
    scene.vast.fault("unavailable")

    assert scene.try_create(cancel_unavail=cancel).status_code == status
    assert [told["status"] for told in scene.vast.instances().values()] == ["stopped"] * many


def test_filters_may_be_ignored(scene: Scene) -> None:
    """A search for one GPU answers others too, until it is mended."""
    scene.vast.fault("filters_ignored")
    assert len(scene.search(gpu_name={"eq": "RTX 4090"})) == 4
    scene.vast.mend("filters_ignored")

    assert len(scene.search(gpu_name={"eq": "RTX 4090"})) == 1


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_destroy_may_be_throttled(scene: Scene, form: str) -> None:
    """So often, in either form, with Retry-After where wanted; the emulator's pacing is not asked."""
    number = scene.create()
    scene.vast.fault("throttled", endpoint="destroy", times=2, form=form, retry_after=7)
    replies = [scene.destroy(number) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert replies[0].headers["Retry-After"] == "7"
    assert replies[0].text.startswith("{") is (form == "json")


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [("empty", 200, '"instances": []'), ("blank", 200, ""), ("odd", 200, '"instances": {'), ("deprecated", 410, "v1")],
)
def test_a_list_may_be_wrong(scene: Scene, form: str, status: int, text: str) -> None:
    """Empty though something runs, blank, of another shape, or retired."""
    number = scene.create()
    scene.vast.fault("list_answers", form=form)
    wrong = scene.http.get("/api/v1/instances/")

    assert (wrong.status_code, text in wrong.text, bool(wrong.text)) == (status, True, bool(text))
    assert [row["id"] for row in scene.listed()["instances"]] == [number]


def test_what_is_gone_may_be_a_404(scene: Scene) -> None:
    """Instead of null."""
    scene.vast.fault("gone_answers")

    assert refusal(scene.http.get("/api/v0/instances/5/")) == (404, "no_such_instance")


@pytest.mark.parametrize("form", ["401", "404"])
def test_a_key_may_be_bad_in_two_forms(scene: Scene, form: str) -> None:
    """Until it is mended, everywhere or at one endpoint."""
    scene.vast.fault("bad_key", form=form, endpoint="list")
    assert refusal(scene.http.get("/api/v1/instances/")) == (int(form), "auth_error")
    assert scene.http.get("/api/v0/users/current").status_code == 200
    scene.vast.mend()

    assert scene.listed()["instances"] == []


def test_the_days_searches_may_be_used_up(scene: Scene) -> None:
    """A 429 that names the hour when they come back."""
    scene.vast.fault("search_quota")
    refused = scene.http.post("/api/v0/bundles/", json={})

    assert refusal(refused) == (429, "search_quota_exceeded")
    assert int(refused.headers["X-RateLimit-Reset"]) % 86_400 == 0
    assert 0 < int(refused.headers["X-RateLimit-Reset"]) - scene.vast.market.hour <= 86_400


def test_a_fault_can_let_some_pass(scene: Scene) -> None:
    """`after` counts those that it means."""
    scene.vast.fault("answers", endpoint="user", code=500, after=2, times=1)

    assert [scene.http.get("/api/v0/users/current").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_a_fault_may_mean_one_instance(scene: Scene) -> None:
    """By its number."""
    first, second = scene.create(101), scene.create(102)
    scene.vast.fault("answers", endpoint="destroy", instance=second, code=500)

    assert [scene.destroy(number).status_code for number in (first, second)] == [200, 500]


def test_closing_ends_what_hangs(tmp_path: Path) -> None:
    """No connection outlives the emulator."""
    ends = []

    def ask(url: str) -> None:
        with client(url) as http:
            try:
                http.get("/api/v0/users/current")
            except httpx.TransportError as end:
                ends.append(end)

    with scene_of(tmp_path) as scene:
        held = scene.vast.fault("hangs", endpoint="user")
        asking = threading.Thread(target=ask, args=(scene.vast.url,))
        asking.start()
        assert held.struck.wait(60)
    asking.join()

    assert len(ends) == 1


def test_every_fault_is_told_of() -> None:
    """In the words that stand at the top of the file which has them."""
    told = set(re.findall(r"\w+", str(faults.__doc__)))

    assert {*faults.REQUESTS, *faults.BIRTHS, *faults.EVENTS} <= told
