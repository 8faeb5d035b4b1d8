"""A small vast.ai for tests: known offers, an hour that only the test moves, and a client that knows the routes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx

from tests.emulators.clock import Hour
from tests.emulators.vast.emulator import Vast
from tests.emulators.vast.offers import Offer, complete
from tests.loopback import loopback

START = 1_800_000_000.0
RUNNING_S = 45.0  # from the order to `running`: tests/emulators/vast/life.py
KEY = "account-key"

# One machine with four GPUs, offered whole and as a slice; and two others.
OFFERS = (
    {"id": 101, "dph_base": 0.36, "storage_cost": 0.144, "min_bid": 0.12},
    {"id": 102, "gpu_name": "RTX 3090", "gpu_ram": 24_576, "dph_base": 0.18, "dlperf": 20.0},
    {"id": 103, "machine_id": 7, "gpu_name": "A100 SXM4", "num_gpus": 4, "dph_base": 4.0, "verification": "unverified"},
    {"id": 104, "machine_id": 7, "gpu_name": "A100 SXM4", "num_gpus": 1, "gpu_frac": 0.25, "dph_base": 1.0},
)


@dataclass
class Scene:
    """The emulator, its hour, and a client with an account's key."""

    vast: Vast
    hour: Hour
    http: httpx.Client

    def pass_by(self, seconds: float) -> None:
        """Move the hour, and let happen what is due."""
        self.hour.advance(seconds, 0)
        self.vast.market.settle()

    def search(self, **query: Any) -> list[dict[str, Any]]:
        """Search, by price unless told otherwise."""
        reply = self.http.post("/api/v0/bundles/", json={"order": [["dph_total", "asc"]], **query})
        found: list[dict[str, Any]] = reply.raise_for_status().json()["offers"]
        return found

    def try_create(self, ask: int = 101, **order: Any) -> httpx.Response:
        """Rent, and give the answer as it comes."""
        body = {"client_id": "me", "image": "a/b:c", "disk": 20.0, "env": {}, "cancel_unavail": True, **order}
        return self.http.put(f"/api/v0/asks/{ask}/", json=body)

    def create(self, ask: int = 101, **order: Any) -> int:
        """Rent, and give the instance's number."""
        number: int = self.try_create(ask, **order).raise_for_status().json()["new_contract"]
        return number

    def run(self, ask: int = 101, **order: Any) -> int:
        """Rent, and let it come to run."""
        number = self.create(ask, **order)
        self.pass_by(RUNNING_S)
        return number

    def show(self, number: int) -> dict[str, Any]:
        """Show one; nothing when it is gone."""
        reply = self.http.get(f"/api/v0/instances/{number}/", params={"owner": "me"})
        return reply.raise_for_status().json()["instances"] or {}

    def listed(self, **query: Any) -> dict[str, Any]:
        """List, with a query as the official client writes it."""
        words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
        page: dict[str, Any] = self.http.get("/api/v1/instances/", params=words).raise_for_status().json()
        return page

    def manage(self, number: int, **body: Any) -> httpx.Response:
        """Stop, start, label."""
        return self.http.put(f"/api/v0/instances/{number}/", json=body)

    def destroy(self, number: int) -> httpx.Response:
        """Destroy."""
        return self.http.request("DELETE", f"/api/v0/instances/{number}/", json={})


@contextmanager
def scene_of(root: Path, offers: Iterable[dict[str, Any] | Offer] = OFFERS, **words: Any) -> Iterator[Scene]:
    """Start one."""
    hour = Hour(START)
    words = {"pacing": False, "now": lambda: hour.told()["now"], **words}
    with Vast(root, offers=[complete(said) for said in offers], **words) as vast, client(vast.url) as http:
        yield Scene(vast, hour, http)


def client(url: str, key: str = KEY) -> httpx.Client:
    """Give a client with a key."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, transport=loopback(), timeout=60)


@dataclass
class Pipe:
    """How a test hears of an instance's process without looking again and again: by a pipe that it holds open."""

    path: Path

    @property
    def onstart(self) -> str:
        """Give the beginning of a script that opens it, as 3."""
        return f"exec 3>{self.path}\n"

    @contextmanager
    def opened(self) -> Iterator[TextIO]:
        """Open it, once the script does; a read ends when the last process that holds it is dead."""
        with self.path.open(encoding="utf-8") as heard:
            yield heard


def pipe(folder: Path) -> Pipe:
    """Make one."""
    path = folder / "pipe"
    os.mkfifo(path)
    return Pipe(path)
