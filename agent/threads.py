"""Threads for what blocks: hashing, writing and, with a shared clock, waiting."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

_THREADS = 64


def use_unjoined_threads() -> None:
    """Give the running loop threads that do not hold up the end of the process."""
    asyncio.get_running_loop().set_default_executor(_Unjoined(_THREADS, thread_name_prefix="agent"))


class _Unjoined(ThreadPoolExecutor):
    """Threads that nobody waits for at the end: one may be hashing a file of many gigabytes.

    All they write is either appended or renamed into place, so they may be cut off anywhere.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return at once; the process ends by `os._exit`, which waits for no thread either."""
        super().shutdown(wait=False, cancel_futures=True)
