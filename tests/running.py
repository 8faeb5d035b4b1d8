"""How the suite itself runs: how many tests at once, and deaf to no signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

# Of xdist: a person who sets it has chosen, and xdist reads it itself.
CHOSEN = "PYTEST_XDIST_AUTO_NUM_WORKERS"
# Each worker holds torch, up to 0.8 GB; and beyond eight the longest test is what the others wait for.
_MOST = 8


def workers(cores: int, environment: Mapping[str, str] = os.environ) -> int | None:
    """Give twice as many workers as cores, for a journey waits for other processes half of its time; None: chosen."""
    return None if environment.get(CHOSEN) else min(2 * cores, _MOST)


def cores() -> int:
    """Count the cores that this process may use, which `taskset` or a container may have made fewer."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hear_ctrl_c() -> None:
    """Undo what a shell does to programs in the background: they ignore SIGINT, and so does whatever they start.

    Tests type Ctrl-C into programs that they start; with `make test &` those would never end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
