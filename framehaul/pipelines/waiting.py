"""Settle how the idle threads of a computation wait. Without torch, because it must be done before torch is loaded."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

POLICY = "OMP_WAIT_POLICY"


def wait_asleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep at the end of each parallel region, unless the person has chosen otherwise.

    By default they spin, which pays where nothing else wants the cores. Here decoder and encoder want them: a thread
    that spins for its sister holds back the very codec thread that keeps the sister waiting. The variable is read
    once, when libgomp (or libomp, or MKL's) is loaded; source: OpenMP 5.2, chapter 21.
    """
    environment.setdefault(POLICY, "passive")
