"""docs/add-a-provider.md: its file, laid into a copy of the tree, rents, is billed, and leaves nothing running."""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from controller.providers.base import Provider
from framehaul.contract.lease_secret import SECRET_VARIABLE
from tests.docs.checkouts import Checkout
from tests.docs.pages import DOCS, Page, first_cells
from tests.emulators.shed import OFFERS
from tests.loopback import loopback

pytestmark = pytest.mark.slow

PAGE = Page(DOCS / "add-a-provider.md")
KEY = "a-key"
# What the page names; here any free port does.
PAGE_PORT = "8099"


@dataclass(frozen=True)
class Typed:
    """The developer's tree after all commands of the page, how each ended, and the cloud, which still runs."""

    checkout: Checkout
    shed: httpx.Client
    ended: dict[str, subprocess.CompletedProcess[str]]

    def machines(self) -> list[object]:
        """List what exists in the cloud."""
        listed: list[object] = self.shed.get("/machines").json()["machines"]
        return listed

    def orders(self) -> list[dict[str, object]]:
        """List every purchase so far."""
        orders: list[dict[str, object]] = self.shed.get("/_control/orders").json()["orders"]
        return orders


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """Write the page's files, start its cloud as it says, and type its commands, once for all claims."""
    checkout = Checkout.make(tmp_path_factory.mktemp("developer") / "framehaul")
    checkout.write(PAGE.files())
    (line,) = PAGE.blocks("sh")
    assert PAGE_PORT in line
    program = checkout.starts(line.replace(PAGE_PORT, "0"))
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        _point_at(checkout, url)
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, transport=loopback(), timeout=60) as shed:
            ended = {line: checkout.types(line, SHED_API_KEY=KEY) for line in PAGE.commands()}
            yield Typed(checkout, shed, ended)
    finally:
        program.terminate()
        program.communicate(timeout=30)
        checkout.leave()


def _point_at(checkout: Checkout, url: str) -> None:
    config = checkout.root / "shed.yaml"
    said = config.read_text()
    assert f"http://127.0.0.1:{PAGE_PORT}" in said
    config.write_text(said.replace(f"http://127.0.0.1:{PAGE_PORT}", url))


def test_every_promise_of_a_provider_is_told() -> None:
    """The tables hold the verbs and the attributes of the protocol, all of them and nothing else."""
    verbs = {name for name, value in vars(Provider).items() if inspect.iscoroutinefunction(value)}

    assert set(first_cells(PAGE.table("verb", "promise"))) == verbs
    assert set(first_cells(PAGE.table("attribute", "says"))) == set(Provider.__annotations__)


def test_every_command_of_the_page_ends_well(typed: Typed) -> None:
    """The conformance suite over the new provider, a run, and a look at what is left: exit code 0, each of them."""
    assert len(typed.ended) == 3
    for line, done in typed.ended.items():
        assert done.returncode == 0, f"{line}\n{done.stdout}"


def test_the_result_came_home_and_the_cloud_is_empty(typed: Typed) -> None:
    """Verified, byte for byte what went out; no machine is left in the cloud, and none of its processes either."""
    root = typed.checkout.root
    (result,) = (path for path in (root / "hauled").glob("clip_result_*.mp4"))

    assert result.read_bytes() == (root / "samples" / "clip.mp4").read_bytes()
    assert typed.machines() == []
    assert [process for process in typed.checkout.processes() if "agent" in process.cmdline()] == []


def test_the_cheapest_machine_was_rented_and_is_on_the_bill(typed: Typed) -> None:
    """Dollars are the offer's price times the time from purchase to proof of its end."""
    results = json.loads((typed.checkout.root / "hauled" / "results.json").read_text())

    (lease,) = results["leases"]
    assert typed.orders()[0]["offer"] == "ash"
    assert lease["gone"]
    assert results["dollars"] == pytest.approx(OFFERS["ash"] * lease["seconds"] / 3600)
    assert results["dollars"] > 0


def test_the_account_s_key_stays_on_the_laptop(typed: Typed) -> None:
    """No order holds it, though each holds the secret of its lease."""
    assert typed.orders()
    for order in typed.orders():
        assert SECRET_VARIABLE in str(order["env"])
        assert KEY not in json.dumps(order)


def test_a_bad_day_of_the_cloud_costs_time_and_nothing_else(typed: Typed) -> None:
    """It is busy, its list comes odd, the answer to the purchase is lost: one machine is bought, and found again."""
    before = len(typed.orders())
    for fault in ("busy", "list_odd", "rent_reply_lost"):
        typed.shed.post("/_control", json={"fault": fault, "times": 1}).raise_for_status()

    done = typed.checkout.types(
        "framehaul run samples/clip.mp4 --pipeline copy --config shed.yaml --to again", SHED_API_KEY=KEY
    )

    assert done.returncode == 0, done.stdout
    for sentence in ("The shed answered 503.", "The shed's answer is odd", "Looking it up by its label."):
        assert sentence in done.stdout
    assert len(typed.orders()) == before + 1
    assert typed.machines() == []


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SHED_API_KEY": ""}, "SHED_API_KEY is not set."),
        ({"SHED_API_KEY": "another"}, "The shed does not know this key. Look at SHED_API_KEY."),
    ],
    ids=["no key", "a wrong key"],
)
def test_a_key_that_opens_nothing_is_told_in_a_sentence(
    typed: Typed, environment: dict[str, str], sentence: str
) -> None:
    """Nothing is bought, and the command does not end well."""
    before = len(typed.orders())

    done = typed.checkout.types(
        "framehaul run samples/clip.mp4 --pipeline copy --config shed.yaml --to refused --state other", **environment
    )

    assert done.returncode not in {0, 5}, done.stdout
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
    assert len(typed.orders()) == before


def test_an_option_that_is_missing_is_named(typed: Typed) -> None:
    """With its place in config.yaml."""
    done = typed.checkout.types("framehaul run samples/clip.mp4 --provider shed", SHED_API_KEY=KEY)

    assert done.returncode == 2
    assert "providers.shed.url: Field required." in done.stdout


def test_the_files_are_written_as_the_project_s_own(typed: Typed) -> None:
    """Style and format: what is copied from the page passes `make lint`."""
    assert typed.checkout.complaints_about(PAGE.files()) == ""
