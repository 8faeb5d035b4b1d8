"""The states of an instance as data: which follow each other, after how long, and what each one costs (1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Status = str | None  # vast's actual_status; None while the instance is being provisioned

GONE = "gone"  # no status of vast's: the moment from which nobody finds it any more

# 1.8: the GPU costs while `running` only, and while `frozen` (1.6); whether while `exited` is open [?]. Storage costs
# always, unless the host is away.
GPU_COSTS = frozenset({"running", "frozen"})
AWAY = frozenset({"offline", "unknown"})


@dataclass(frozen=True)
class Lengths:
    """How long things take, in seconds of the emulator's clock."""

    provisioning_s: float = 2.0
    created_s: float = 3.0
    loading_s: float = 40.0
    again_s: float = 20.0
    stopping_s: float = 3.0
    vanishing_s: float = 0.0
    ask_returns_s: float = 30.0


@dataclass(frozen=True)
class Step:
    """A state that an instance will be in from an hour on."""

    at: float
    status: Status
    message: str = ""


def fresh(now: float, lengths: Lengths) -> list[Step]:
    """Walk from the order to the running process."""
    created = now + lengths.provisioning_s
    loading = created + lengths.created_s
    running = loading + lengths.loading_s
    return [Step(created, "created"), Step(loading, "loading"), Step(running, "running", "success, running")]


def again(now: float, lengths: Lengths) -> list[Step]:
    """Walk from stopped to running; 1.6: right after a start it still reports `exited`, for minutes."""
    return [Step(now, "exited"), Step(now + lengths.again_s, "running", "success, running")]


def stop(now: float, lengths: Lengths) -> list[Step]:
    """Walk to stopped."""
    return [Step(now + lengths.stopping_s, "stopped", "success, stopped")]


# 1.6: while it loads, `status_msg` is what docker says of the image's layers.
_LAYERS = ("4c7d45f7c63c", "a3ed95caeb02", "5f70bf18a086", "d7bfe07ed847", "1f8a1f2b7c1e")
_PULL = ("Pulling fs layer", "Downloading", "Download complete", "Extracting", "Pull complete")


def pull_line(share: float) -> str:
    """Give docker's line when so much of the image is there."""
    step = min(int(max(share, 0.0) * len(_LAYERS) * len(_PULL)), len(_LAYERS) * len(_PULL) - 1)
    return f"{_LAYERS[step // len(_PULL)]}: {_PULL[step % len(_PULL)]}"


@dataclass
class Instance:
    """One contract: what was ordered, on which offer, where it stands, and what comes."""

    id: int
    offer: Mapping[str, Any]
    order: Mapping[str, Any]
    key: str
    made_at: float
    ends_at: float
    label: str | None
    gpu_dph: float  # $/h of the GPU alone; disk comes on top
    is_bid: bool
    status: Status = None
    message: str = ""
    intended: str = "running"
    current: str = "running"  # vast's cur_state: of the contract, not of the container
    since: float = 0.0  # when `status` began
    running_since: float | None = None
    coming: list[Step] = field(default_factory=list)
    before_away: tuple[Status, list[Step]] | None = None
    ports: dict[str, int] = field(default_factory=dict)  # "8000/tcp" -> port of loopback
    ssh_keys: dict[int, str] = field(default_factory=dict)
    hides_ports: bool = False
    listed_from: float = 0.0
    doomed: bool = False  # destroyed, and still listed

    @property
    def disk_gb(self) -> float:
        """Give what was ordered."""
        return float(self.order["disk"])

    @property
    def wanted(self) -> bool:
        """Say whether it runs or is to run."""
        return "running" in {self.current, self.intended}

    @property
    def starts(self) -> bool:
        """Say whether it runs or comes to run without another word; what exited or hangs does not."""
        loads = self.status in {None, "created", "loading"}
        on_its_way = loads or any(step.status == "running" for step in self.coming)
        return self.intended == "running" and (self.status == "running" or on_its_way)

    @property
    def next(self) -> str:
        """Give vast's next_state."""
        return self.intended
