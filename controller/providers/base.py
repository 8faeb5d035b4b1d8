"""The verbs of a cloud, each with its promise. What is true of one cloud alone stays in its file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

import controller.providers as folder
from controller.errors import ConfigError
from framehaul.clock import Clock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs


@dataclass(frozen=True)
class Offer:
    """One machine that can be rented now."""

    id: str
    machine_id: str
    gpu: str
    dollars_per_hour: float
    vram_gb: float = 0.0
    disk_gb: float = 0.0


@dataclass(frozen=True)
class RentOrder:
    """What a new instance must be told. Holds the lease's secret, and never an account key."""

    label: str
    secret: LeaseSecret
    deadline: float
    disk_gb: float


class InstanceState(StrEnum):
    """What a cloud says of an instance."""

    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class Instance:
    """One instance that exists, and may cost money, whatever its state."""

    ref: str
    label: str
    state: InstanceState
    address: tuple[str, int] | None
    detail: str = ""


class Provider(Protocol):
    """A cloud."""

    # An instance is proven gone when it is absent from a well-shaped list, and again after each of these pauses.
    # A cloud whose list can lag names long ones; one that is read from the kernel needs none.
    absence_pauses_s: Sequence[float]
    # How long a fresh instance may take until its agent answers.
    boot_timeout_s: float
    # Whether strangers own the machines.
    remote: bool
    # Whether its machines are this very computer, which must then stay awake.
    runs_here: bool
    # Whether every instance it lists belongs to this state folder.
    exclusive: bool

    async def offers(self, needs: Needs) -> list[Offer]:
        """List what fits, cheapest first."""
        ...

    async def rent(self, offer: Offer, order: RentOrder) -> str:
        """Buy an offer and give the instance's id. Tried once: an unclear answer is resolved by the label."""
        ...

    async def instances(self) -> list[Instance]:
        """List every instance of this account that is ours to see. An odd answer is an error, never 'none'."""
        ...

    async def start(self, ref: str) -> None:
        """Start an instance that exited, on the disk that it had. Idempotent."""
        ...

    async def destroy(self, ref: str) -> None:
        """Ask for an instance's end, disk included. Idempotent; whoever asked must still prove it gone."""
        ...


def provider_names() -> list[str]:
    """List the clouds that lie here."""
    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if module.name != "base")


def options_model(name: str) -> type[BaseModel] | None:
    """Give the shape of a cloud's options, where its file names one as `OPTIONS`: settings are then judged by it."""
    model: type[BaseModel] | None = getattr(importlib.import_module(f"{folder.__name__}.{name}"), "OPTIONS", None)
    return model


def load_provider(name: str, options: Mapping[str, Any], *, state: Path, clock: Clock) -> Provider:
    """Load a cloud by its file's name; its options pass through unread."""
    known = provider_names()
    if name not in known:
        near = get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        raise ConfigError(f"There is no provider {name!r}.", advice=advice)
    module = importlib.import_module(f"{folder.__name__}.{name}")
    provider: Provider = module.open_provider(dict(options), state=state, clock=clock)
    return provider
