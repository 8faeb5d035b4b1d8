"""Ask the machines how the jobs on them stand: for whoever looks on while another process does the work."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

from controller.channel import AgentChannel
from controller.desk import Desk
from controller.errors import AgentError, AgentUnreachable, ConfigError, ProviderError
from controller.fleet import OpenChannel
from controller.ledger import Job, Lease
from controller.providers.base import Instance, Provider
from framehaul.contract.states import JobState
from framehaul.contract.status import JobStatus

# Whoever looks on would rather see less than wait for a machine that does not answer.
_PATIENCE_S = 5.0

OpenProvider = Callable[[str], Provider]


async def ask_agents(
    desk: Desk, open_provider: OpenProvider, jobs: Iterable[Job], open_channel: OpenChannel = AgentChannel
) -> dict[str, JobStatus]:
    """Give each job's status by its id; a machine that does not answer is left out."""
    on_lease: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.state is JobState.ASSIGNED and job.lease_id is not None:
            on_lease[job.lease_id].append(job)
    leases = [desk.ledger.lease(lease_id) for lease_id in on_lease]
    found = await _instances(open_provider, {lease.provider for lease in leases})
    told: dict[str, JobStatus] = {}
    for lease in leases:
        instance = found.get(lease.label)
        if instance is not None and instance.address is not None:
            told |= await _ask(lease, instance.address, on_lease[lease.id], open_channel)
    return told


def runs_here(open_provider: OpenProvider, name: str) -> bool:
    """Say whether a cloud's machines are this very computer; one that cannot be opened here has none."""
    try:
        return open_provider(name).runs_here
    except ConfigError:
        return False


async def _instances(open_provider: OpenProvider, names: Iterable[str]) -> dict[str, Instance]:
    found: dict[str, Instance] = {}
    for name in names:
        try:
            found |= {instance.label: instance for instance in await open_provider(name).instances()}
        except (ConfigError, ProviderError):
            continue  # the ledger's word has to do
    return found


async def _ask(
    lease: Lease, address: tuple[str, int], jobs: Iterable[Job], open_channel: OpenChannel
) -> dict[str, JobStatus]:
    told: dict[str, JobStatus] = {}
    async with open_channel(address, lease.secret) as channel:
        for job in jobs:
            try:
                view = await asyncio.wait_for(channel.job(job.id), _PATIENCE_S)
            except (AgentUnreachable, AgentError, TimeoutError):
                continue
            if view.attempt == job.attempt:
                told[job.id] = view.status
    return told
