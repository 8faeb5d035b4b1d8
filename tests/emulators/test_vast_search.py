"""Searching the emulated vast.ai: filters, units, caps, and what rents away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.vast.offers import complete, from_file, made_up
from tests.emulators.vast_scene import Scene, client, scene_of


def asks(found: list[dict[str, Any]]) -> list[int]:
    return [offer["id"] for offer in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"gpu_name": {"eq": "RTX 4090"}}, [101]),
        ({"gpu_name": {"eq": "RTX_4090"}}, []),
        ({"gpu_name": {"in": ["RTX 4090", "RTX 3090"]}}, [102, 101]),
        ({"gpu_name": {"notin": ["RTX 4090", "RTX 3090"]}}, [104, 103]),
        ({"num_gpus": {"eq": "1"}, "dph_total": {"lte": "0.5"}}, [102, 101]),
        ({"num_gpus": {"gt": 1}}, [103]),
        ({"num_gpus": {"neq": "1"}}, [103]),
        ({"dph_total": {"gt": 0.3, "lt": 2}}, [101, 104]),
        ({"gpu_ram": {"gte": 24_570.0}}, [102]),
        ({"verified": {"eq": True}}, [102, 101, 104]),
        ({"verification": {"eq": "unverified"}}, [103]),
        ({"rentable": {"eq": "true"}, "rented": {"eq": False}, "external": {"eq": False}}, [102, 101, 104, 103]),
        ({"driver_version": {"gte": 570_133_020}}, [102, 101, 104, 103]),
        ({"driver_version": {"gte": "580000000"}}, []),
        ({"id": {"eq": 101}}, []),
        ({"ask_contract_id": {"eq": "101"}}, [101]),
        ({"reliability2": {"gte": 0.99}, "geolocation": {"neq": None}}, [102, 101, 104, 103]),
    ],
)
def test_a_filter_selects_as_vast_does(scene: Scene, query: dict[str, Any], expected: list[int]) -> None:
    """Values may be text; names have spaces; `id` matches nothing, `ask_contract_id` does."""
    assert asks(scene.search(**query)) == expected


@pytest.mark.parametrize(
    "query",
    [{"gpu_nam": {"eq": "x"}}, {"num_gpus": {"is": 1}}, {"num_gpus": 1}, {"num_gpus": {"eq": "x"}}, {"type": "x"}],
)
def test_a_query_with_a_typing_error_is_refused(scene: Scene, query: dict[str, Any]) -> None:
    """Else a test would pass for want of a filter."""
    refused = scene.http.post("/api/v0/bundles/", json=query)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_args")


def test_three_generations_of_clients_search(scene: Scene) -> None:
    """POST with the filters as body, PUT with them in `q`, GET with them in the address."""
    query = {"num_gpus": {"eq": 4}}
    replies = [
        scene.http.post("/api/v0/bundles/", json=query),
        scene.http.put("/api/v0/search/asks/", json={"select_cols": ["*"], "q": query}),
        scene.http.get("/api/v0/bundles", params={"q": json.dumps(query)}),
    ]

    assert [asks(reply.json()["offers"]) for reply in replies] == [[103]] * 3
    assert {reply.headers["Content-Type"] for reply in replies} == {"application/json"}


def test_the_disk_that_is_asked_for_is_in_the_price(scene: Scene) -> None:
    """`storage_cost` is $/GB/month; without `allocated_storage` 8 GB are counted."""
    for words, storage in (({}, 8), ({"allocated_storage": 500.0}, 500)):
        found = scene.search(ask_contract_id={"eq": 101}, **words)[0]
        assert found["dph_total"] == pytest.approx(0.36 + storage * 0.144 / 720)
        assert found["storage_total_cost"] == pytest.approx(found["dph_total"] - found["dph_base"])
        assert found["search"]["totalHour"] == found["dph_total"]


def test_the_best_score_comes_first_and_is_not_the_cheapest(scene: Scene) -> None:
    """Without an order the score decides."""
    found = scene.http.post("/api/v0/bundles/", json={"num_gpus": {"eq": 1}}).json()["offers"]

    assert asks(found) == [101, 102, 104]
    assert found[0]["dph_total"] > found[1]["dph_total"]


def test_a_search_for_bids_shows_the_least_bid(scene: Scene) -> None:
    """What `dph_base` says then is `min_bid`."""
    found = scene.search(type="bid", ask_contract_id={"eq": 101})[0]

    assert (found["is_bid"], found["dph_base"]) == (True, 0.12)


def test_a_search_answers_64_offers_at_most(tmp_path: Path) -> None:
    """Whatever the limit says; by price one comes to the rest."""
    offers = [complete({"id": 1000 + number, "dph_base": 0.1 + number / 1000}) for number in range(70)]
    with scene_of(tmp_path, offers) as scene:
        first = scene.search(limit=3000)
        rest = scene.search(limit=3000, dph_total={"gt": first[-1]["dph_total"]})
        assert len(scene.search(limit=3)) == 3

    assert asks(first + rest) == list(range(1000, 1070))
    assert len(first) == 64


def test_made_up_offers_are_the_same_each_time() -> None:
    """By their seed; they have every field of an ordinary machine, and slices add up to a machine."""
    offers = made_up(3)

    assert offers == made_up(3) != made_up(4)
    assert len(offers) > 64
    assert len({offer["id"] for offer in offers}) == len(offers)
    ordinary = set(complete({"id": 1}))
    for offer in offers:
        assert ordinary <= set(offer)
        assert 0 < offer["reliability"] <= 1
        assert (offer["num_gpus"] / offer["gpu_frac"]).is_integer()
        assert offer["gpu_total_ram"] == offer["gpu_ram"] * offer["num_gpus"]


def test_offers_come_from_a_file(tmp_path: Path) -> None:
    """Each says what differs from an ordinary machine."""
    (tmp_path / "offers.json").write_text(json.dumps([{"id": 5, "gpu_name": "L4"}]), encoding="utf-8")

    (offer,) = from_file(tmp_path / "offers.json")

    assert (offer["id"], offer["ask_contract_id"], offer["gpu_name"], offer["num_gpus"]) == (5, 5, "L4", 1)


def test_an_ask_vanishes_when_it_is_rented_and_comes_back(scene: Scene) -> None:
    """Another rent of it gets 410; some time after the destroy it is there again."""
    number = scene.create(101)
    assert asks(scene.search(gpu_name={"eq": "RTX 4090"})) == []
    assert scene.try_create(101).status_code == 410

    scene.destroy(number)
    assert asks(scene.search(gpu_name={"eq": "RTX 4090"})) == []
    scene.pass_by(31)

    assert asks(scene.search(gpu_name={"eq": "RTX 4090"})) == [101]


def test_a_rented_slice_takes_the_whole_machine_off_the_market(scene: Scene) -> None:
    """Offers of one machine share its GPUs."""
    scene.create(104)

    assert asks(scene.search(gpu_name={"eq": "A100 SXM4"})) == []


def test_the_names_of_gpus_are_public(scene: Scene) -> None:
    """The official CLI asks for them without a key, before anything else."""
    with client(scene.vast.url, "") as stranger:
        stranger.headers.pop("Authorization")
        told = stranger.get("/api/v0/gpu_names/unique/").json()

    assert told == {"gpu_names": ["A100 SXM4", "RTX 3090", "RTX 4090"]}
