"""This machine as a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.conformance.providers.base import Cloud
from tests.controller.hosts import Host


@contextmanager
def open_cloud(folder: Path) -> Iterator[Cloud]:
    """Use a folder of the test's own; whatever is left in it ends with the test."""
    host = Host((folder / "cloud").resolve())

    def end(ref: str) -> None:
        processes = host.processes(ref)
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    yield Cloud(host.provider, end)
    for left in host.folder.iterdir() if host.folder.exists() else ():
        end(left.name)
