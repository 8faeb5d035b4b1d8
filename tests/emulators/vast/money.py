"""What instances cost, by the second: GPU, disk, and bytes either way, apart from each other (1.8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.vast.life import AWAY, GPU_COSTS, Instance
from tests.emulators.vast.offers import HOURS_A_MONTH

_GB = 1_000_000_000


@dataclass
class Bill:
    """One instance's dollars so far; it outlives the instance."""

    label: str | None
    gpu: float = 0.0
    disk: float = 0.0
    up: float = 0.0
    down: float = 0.0

    @property
    def total(self) -> float:
        """Sum it up."""
        return self.gpu + self.disk + self.up + self.down


def gpu_rate(instance: Instance) -> float:
    """Give the $/s of its GPU now."""
    return instance.gpu_dph / 3600 if instance.status in GPU_COSTS else 0.0


def disk_rate(instance: Instance) -> float:
    """Give the $/s of its disk now: while it loads and while it is stopped too, but not while the host is away."""
    dph = instance.disk_gb * instance.offer["storage_cost"] / HOURS_A_MONTH
    return 0.0 if instance.status in AWAY else float(dph) / 3600


@dataclass
class Purse:
    """The account's credit, and all bills."""

    credit: float = 100.0
    bills: dict[int, Bill] = field(default_factory=dict)

    def accrue(self, instances: Iterable[Instance], seconds: float) -> None:
        """Charge everybody for so many seconds in the states that they are in."""
        for instance in instances:
            bill = self._bill(instance)
            gpu, disk = gpu_rate(instance) * seconds, disk_rate(instance) * seconds
            bill.gpu += gpu
            bill.disk += disk
            self.credit -= gpu + disk

    def move(self, instance: Instance, up: int, down: int) -> None:
        """Charge for bytes, which no dph holds."""
        bill = self._bill(instance)
        out = up / _GB * instance.offer["inet_up_cost"]
        home = down / _GB * instance.offer["inet_down_cost"]
        bill.up += out
        bill.down += home
        self.credit -= out + home

    def lasts_s(self, instances: Iterable[Instance]) -> float | None:
        """Say for how many seconds the credit lasts as things stand; None: for ever."""
        rate = sum(gpu_rate(one) + disk_rate(one) for one in instances)
        return max(self.credit, 0.0) / rate if rate > 0 else None

    def told(self) -> dict[str, Any]:
        """Give it all as the control route answers it."""
        each = {str(number): {**vars(bill), "total": bill.total} for number, bill in self.bills.items()}
        return {"credit": self.credit, "total": sum(bill.total for bill in self.bills.values()), "instances": each}

    def _bill(self, instance: Instance) -> Bill:
        bill = self.bills.setdefault(instance.id, Bill(instance.label))
        bill.label = instance.label
        return bill
