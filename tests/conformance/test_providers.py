"""What every provider promises, with real instances. A newcomer joins with one file in `providers/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.channel import AgentChannel
from controller.errors import AgentUnreachable, ProviderError
from controller.providers.base import Instance, InstanceState, Provider, RentOrder, provider_names
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs
from framehaul.contract.status import HealthState, LeaseOrder
from tests.agent.patience import eventually
from tests.conformance.providers.base import Cloud, cloud_names, open_cloud

LABEL = "fh-abc-a1-1800086400"
OTHER = "fh-abc-b2-1800086400"
SECRET = LeaseSecret(b"\x11" * 32)
DEADLINE = 4_000_000_000.0
BOOT_S = 60.0
ABSURD_GB = 1e9

every_provider = pytest.mark.parametrize("cloud", cloud_names(), indirect=True)


@pytest.fixture
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """Open the cloud without instances."""
    with open_cloud(request.param, tmp_path) as opened:
        yield opened


async def _rent(provider: Provider, label: str = LABEL, secret: LeaseSecret = SECRET) -> str:
    offer = (await provider.offers(Needs(disk_gb=0.001)))[0]
    return await provider.rent(offer, RentOrder(label, secret, DEADLINE, 0.001))


async def _find(cloud: Cloud, label: str = LABEL) -> Instance | None:
    """Look an instance up, by a provider that has never heard of it."""
    return next((found for found in await cloud.open().instances() if found.label == label), None)


async def _end(cloud: Cloud, ref: str, label: str = LABEL) -> None:
    """Ask for an instance's end until it is gone, as the engine does: a process that is being born may be missed."""

    async def ask() -> bool:
        await cloud.open().destroy(ref)
        return await _find(cloud, label) is None

    await eventually(ask)


async def _exited(cloud: Cloud) -> Instance | None:
    found = await _find(cloud)
    return found if found is not None and found.state is InstanceState.EXITED else None


async def _ready(cloud: Cloud) -> tuple[str, int] | None:
    """Give the address of the instance once its agent takes work."""
    found = await _find(cloud)
    if found is None or found.state is not InstanceState.RUNNING or found.address is None:
        return None
    try:
        async with AgentChannel(found.address, SECRET) as channel:
            return found.address if (await channel.health()).state is HealthState.READY else None
    except AgentUnreachable:
        return None


async def _answering(cloud: Cloud) -> tuple[str, int]:
    address = await eventually(lambda: _ready(cloud), within_s=BOOT_S)
    assert address is not None
    return address


# The table itself


def test_every_provider_takes_part() -> None:
    """A cloud that can be named can be tested."""
    assert cloud_names() == provider_names()


# What it says of itself


@every_provider
def test_what_it_says_of_itself(cloud: Cloud) -> None:
    """Pauses and time-outs are seconds; machines of strangers are not this one."""
    provider = cloud.open()

    assert all(pause > 0 for pause in provider.absence_pauses_s)
    assert provider.boot_timeout_s > 0
    assert not (provider.remote and provider.runs_here)
    assert isinstance(provider.exclusive, bool)


@every_provider
async def test_offers_come_cheapest_first_and_fit(cloud: Cloud) -> None:
    """Each can be told from the others; what nobody has is offered by nobody."""
    offers = await cloud.open().offers(Needs(disk_gb=0.001))

    prices = [offer.dollars_per_hour for offer in offers]
    assert offers
    assert prices == sorted(prices)
    assert prices[0] >= 0
    assert len({offer.id for offer in offers}) == len(offers)
    assert all(offer.machine_id and offer.gpu for offer in offers)
    assert await cloud.open().offers(Needs(disk_gb=ABSURD_GB)) == []


@every_provider
async def test_nothing_rented_is_an_empty_list(cloud: Cloud) -> None:
    """A cloud that was never used says so."""
    assert await cloud.open().instances() == []


# From the purchase to the end


@every_provider
@pytest.mark.slow
async def test_an_instance_lives_exits_starts_again_and_goes(cloud: Cloud) -> None:
    """One life, seen by providers that remember nothing: rented, found, answering, exited, started on its own disk."""
    ref = await _rent(cloud.open())
    found = await _find(cloud)
    assert found is not None
    assert found.ref == ref

    async with AgentChannel(await _answering(cloud), SECRET) as channel:
        await channel.heartbeat(LeaseOrder(deadline=DEADLINE))
    await cloud.open().start(ref)
    assert len(await cloud.open().instances()) == 1, "starting what runs changes nothing"

    cloud.exit(ref)
    await eventually(lambda: _exited(cloud))

    await cloud.open().start(ref)
    async with AgentChannel(await _answering(cloud), SECRET) as channel:
        view = await channel.heartbeat(LeaseOrder(deadline=DEADLINE - 1000))
    assert view.deadline == DEADLINE, "the disk that it had remembers the later deadline"

    await _end(cloud, ref)


@every_provider
async def test_an_exited_instance_is_listed_until_it_is_destroyed(cloud: Cloud) -> None:
    """Its disk still costs money."""
    ref = await _rent(cloud.open())
    cloud.exit(ref)

    found = await eventually(lambda: _exited(cloud))

    assert found is not None
    assert found.ref == ref
    await _end(cloud, ref)


@every_provider
async def test_destroying_twice_is_destroying_once(cloud: Cloud) -> None:
    """Whoever asks again after a crash is not punished for it."""
    ref = await _rent(cloud.open())

    await _end(cloud, ref)
    await cloud.open().destroy(ref)

    assert await cloud.open().instances() == []


@every_provider
async def test_what_is_gone_cannot_be_started(cloud: Cloud) -> None:
    """An error of the cloud, and nothing comes back to life."""
    ref = await _rent(cloud.open())
    await _end(cloud, ref)

    with pytest.raises(ProviderError):
        await cloud.open().start(ref)

    assert await cloud.open().instances() == []


@every_provider
async def test_two_instances_are_told_apart(cloud: Cloud) -> None:
    """By label and by id; the end of one is not the end of the other."""
    first = await _rent(cloud.open())
    second = await _rent(cloud.open(), OTHER, LeaseSecret.new())

    listed = {found.label: found.ref for found in await cloud.open().instances()}
    assert listed == {LABEL: first, OTHER: second}
    assert first != second

    await _end(cloud, first)
    assert [found.label for found in await cloud.open().instances()] == [OTHER]
    await _end(cloud, second, OTHER)
