"""What the tests of the controller share: hours that pass on order, a cloud in memory, a desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.desk import Desk
from controller.ledger import Ledger
from tests.controller.agents import Agents
from tests.controller.buckets import BucketStores
from tests.controller.clouds import Cloud
from tests.controller.depots import Depot
from tests.controller.desks import HOUR, open_desk
from tests.controller.folders import Folder
from tests.controller.hosts import Host
from tests.controller.hours import Hours, SameThread
from tests.controller.sites import Site
from tests.controller.typist import Typist
from tests.controller.yards import Yard


@pytest.fixture
def clock() -> Hours:
    """The hour, which stands still until it is moved."""
    return Hours(HOUR)


@pytest.fixture
def desk(tmp_path: Path, clock: Hours) -> Iterator[Desk]:
    """A desk with an empty ledger."""
    opened = open_desk(tmp_path / "state", clock)
    yield opened
    opened.stores.close()
    opened.ledger.close()


@pytest.fixture
def agents() -> Agents:
    """The network."""
    return Agents()


@pytest.fixture
def cloud(clock: Hours, agents: Agents) -> Cloud:
    """A cloud with one machine."""
    return Cloud(clock, agents)


@pytest.fixture
async def one_thread() -> None:
    """Run what goes to threads on the loop's own, so that a test takes the same course every time."""
    asyncio.get_running_loop().set_default_executor(SameThread())


@pytest.fixture
def yard(desk: Desk, cloud: Cloud, clock: Hours, agents: Agents) -> Yard:
    """A fleet without any machine."""
    return Yard(desk, cloud, clock, agents)


@pytest.fixture
def site(tmp_path: Path, desk: Desk, cloud: Cloud, clock: Hours, agents: Agents) -> Site:
    """A laptop beside a cloud with three machines whose list does not lag."""
    cloud.names = ["m1", "m2", "m3"]
    cloud.absence_pauses_s = ()
    cloud.boot_timeout_s = 10.0
    return Site(tmp_path, desk, cloud, clock, agents)


@pytest.fixture
def depot(site: Site) -> Depot:
    """The same between buckets, far from the laptop."""
    stores = BucketStores(site.clock)
    site.cloud.stores, site.cloud.runs_here = stores, False
    return Depot(site.inputs.parent, replace(site.desk, stores=stores), site.cloud, site.clock, site.agents)


@pytest.fixture
def folder(tmp_path: Path, desk: Desk) -> Folder:
    """An empty folder of inputs."""
    return Folder(tmp_path, desk)


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    """An empty ledger."""
    return desk.ledger


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A folder; whatever still runs there at the end is killed."""
    opened = Host(tmp_path / "local-cloud")
    yield opened
    for instance in await opened.provider().instances():
        await opened.provider().destroy(instance.ref)


@pytest.fixture
def typist(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typist:
    """A person at a keyboard, in a folder of their own."""
    home = tmp_path / "laptop"
    home.mkdir()
    monkeypatch.chdir(home)
    return Typist(home, capsys)
