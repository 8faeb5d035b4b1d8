"""This machine as a cloud, seen by providers that remember nothing of each other."""

from __future__ import annotations

from pathlib import Path

import psutil

from controller.providers.base import Instance, InstanceState, RentOrder
from controller.providers.local import MARK, LocalOptions, LocalProvider
from framehaul.clock import SystemClock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs

LABEL = "fh-abc-a1-1800086400"
SECRET = LeaseSecret(b"\x11" * 32)
# In place of an agent: something that lives, and costs no time to start. The agent's words are left unread.
IDLE = ("sh", "-c", "exec sleep 1000")


class Host:
    """A folder for instances, and providers that look into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def provider(self, *launcher: str) -> LocalProvider:
        """Open the cloud anew: a second one remembers nothing of the first."""
        return LocalProvider(self.folder, SystemClock(), LocalOptions(launcher=list(launcher)))

    async def rent(self, *launcher: str, label: str = LABEL) -> LocalProvider:
        """Rent the only offer."""
        provider = self.provider(*launcher)
        (offer,) = await provider.offers(Needs())
        assert await provider.rent(offer, RentOrder(label, SECRET, 1_800_086_400.0, 1.0)) == label
        return provider

    async def the(self, label: str = LABEL) -> Instance | None:
        """Look one instance up, by a provider that has never heard of it."""
        return next((found for found in await self.provider().instances() if found.label == label), None)

    async def is_in(self, state: InstanceState, label: str = LABEL) -> Instance | None:
        """Give the instance if it is in this state."""
        found = await self.the(label)
        return found if found is not None and found.state is state else None

    def processes(self, label: str = LABEL) -> list[psutil.Process]:
        """Find all processes of an instance by their mark, as the kernel tells it."""
        mark = f"{MARK}={self.folder / label}".encode()
        return [process for process in psutil.process_iter() if mark in environ_of(process.pid).split(b"\0")]


def environ_of(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
