"""This machine as a cloud: an instance is ended with everything that it started, and nothing else is."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from controller.errors import ProviderError
from controller.providers.base import RentOrder
from framehaul.contract.pipeline import Needs
from tests.agent.patience import eventually
from tests.controller.hosts import IDLE, LABEL, SECRET, Host, alive

# -- destroy ---------------------------------------------------------------------------------------------------------


async def test_destroying_ends_everything_that_the_instance_started(host: Host) -> None:
    """A child in the group that dropped its environment; a grandchild that left the group; the folder."""
    script = "env -i sleep 1001 & echo $! > group.pid; (setsid sleep 1002 & echo $! > stray.pid); exec sleep 1000"
    provider = await host.rent("sh", "-c", script)
    home = host.folder / LABEL
    await eventually(lambda: (home / "stray.pid").exists() and (home / "stray.pid").read_text().strip())
    pids = [int((home / name).read_text()) for name in ("group.pid", "stray.pid")]
    pids += [process.pid for process in host.processes()]
    assert all(alive(pid) for pid in pids)

    await provider.destroy(LABEL)

    await eventually(lambda: not any(alive(pid) for pid in pids))
    assert await host.the() is None
    assert not home.exists()


async def test_destroying_ends_an_agent_that_does_not_want_to(host: Host) -> None:
    """No signal that can be ignored is used."""
    provider = await host.rent("sh", "-c", "trap '' TERM INT HUP; touch deaf; while :; do sleep 1; done")
    await eventually(lambda: (host.folder / LABEL / "deaf").exists())

    await provider.destroy(LABEL)

    assert host.processes() == []


async def test_destroying_twice_is_destroying_once(host: Host) -> None:
    """By whichever provider; also what never was."""
    provider = await host.rent(*IDLE)

    await provider.destroy(LABEL)
    await provider.destroy(LABEL)
    await host.provider().destroy("fh-never-was")

    assert await host.provider().instances() == []


async def test_destroying_leaves_the_neighbours_alone(host: Host) -> None:
    """Also one whose label begins alike."""
    await host.rent(*IDLE)
    await host.rent(*IDLE, label=f"{LABEL}0")

    await host.provider().destroy(LABEL)

    assert host.processes() == []
    assert len(host.processes(f"{LABEL}0")) == 1
    assert (host.folder / f"{LABEL}0").is_dir()


async def test_destroying_ends_what_is_frozen(host: Host) -> None:
    """A stopped process does not heed anything but SIGKILL."""
    provider = await host.rent(*IDLE)
    (process,) = host.processes()
    process.send_signal(signal.SIGSTOP)

    await provider.destroy(LABEL)

    assert not alive(process.pid)


HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", "A", "-rf", "a b", "a\n", "a\x00", "é", "a" * 97, "~", "a.b"]


@pytest.mark.parametrize("label", HOSTILE)
async def test_a_label_that_could_lead_elsewhere_is_refused(host: Host, tmp_path: Path, label: str) -> None:
    """By every verb that would touch the disk; nothing is made and nothing removed."""
    precious = tmp_path / "x" / "precious"
    precious.parent.mkdir()
    precious.touch()
    provider = host.provider(*IDLE)
    (offer,) = await provider.offers(Needs())

    with pytest.raises(ProviderError, match="Not an instance"):
        await provider.rent(offer, RentOrder(label, SECRET, 1.0, 1.0))
    with pytest.raises(ProviderError, match="Not an instance"):
        await provider.destroy(label)
    with pytest.raises(ProviderError, match="Not an instance"):
        await provider.start(label)

    assert precious.exists()
    assert list(host.folder.iterdir()) == []
