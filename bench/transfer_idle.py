"""Measure how long the worker has nothing to do between two jobs of a batch.

    python -m bench.transfer_idle [--size 100MB] [--jobs 3] [--work-s 8] [--folder DIR] [--json]

A real agent gets jobs of the copy pipeline with grants on `rclone serve s3`, each with an object to fetch and one to
deliver, and copies at such a rate that the work lasts as long as told. While one job is computed, the one before it is
delivered and the next one fetched. The idle time runs from the hour when a job is known to be computed to the hour when
the worker begins to copy the next one; both come from the jobs' journals.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.agent_polls import agent_words, program, until
from bench.rclone import NoServer, Rclone
from bench.transfer import bytes_of, fill, positive
from bench.transfer_orders import ordered
from controller.channel import AgentChannel
from framehaul.contract.jobdir import JobDir
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.states import AttemptState

_FINAL = {AttemptState.DELIVERED, AttemptState.FAILED, AttemptState.STOPPED}


def measure(folder: Path | None, size: int, jobs: int, work_s: float) -> list[float]:
    """Run a batch; give the idle seconds between each two of its jobs."""
    with tempfile.TemporaryDirectory(prefix="framehaul-idle-", dir=folder) as name:
        work = Path(name)
        with Rclone(work) as store, program(agent_words(work), work, LeaseSecret.new()) as agent:
            names = [f"job-{number}" for number in range(1, jobs + 1)]
            for job_id in names:
                fill(store.bucket / f"source-{job_id}.bin", size)
            asyncio.run(_run(agent.channel, store, names, max(1, int(size / work_s))))
            computed = [_computed(JobDir.under(work / "home", job_id)) for job_id in names]
    return idle(computed)


def idle(computed: Sequence[dict[str, Any]]) -> list[float]:
    """Read the gaps from the journals' entries, one a job, in the order in which they were computed."""
    ended = [float(entry["finished_at"]) for entry in computed]
    began = [end - float(entry["stage_seconds"]["copy"]) for end, entry in zip(ended, computed, strict=True)]
    return [later - earlier for earlier, later in zip(ended[:-1], began[1:], strict=True)]


async def _run(channel: AgentChannel, store: Rclone, names: list[str], rate_bytes_s: int) -> None:
    await until(channel.health)
    for job_id in names:
        spec, granted = ordered(store, f"source-{job_id}.bin", f"{job_id}.bin", rate_bytes_s=rate_bytes_s)
        await channel.put_job(spec)
        await channel.put_grants(granted)
    for job_id in names:
        status = (await channel.job(job_id)).status
        while status.state not in _FINAL:
            await asyncio.sleep(0.2)
            status = (await channel.job(job_id)).status
        if status.state is not AttemptState.DELIVERED:
            raise RuntimeError(f"{job_id}: {status.state} ({status.reason}) {status.message}")
    await channel.close()


def _computed(folder: JobDir) -> dict[str, Any]:
    entries = map(json.loads, folder.journal.read_text().splitlines())
    return next(entry for entry in entries if entry["event"] == "computed")


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(prog="python -m bench.transfer_idle", description="Idle time between two jobs.")
    words.add_argument("--size", type=bytes_of, default=100 * 10**6, help="of each object, by default 100MB")
    words.add_argument("--jobs", type=positive, default=3, help="by default %(default)s")
    words.add_argument("--work-s", type=float, default=8.0, help="seconds that each copy takes, by default %(default)s")
    words.add_argument("--folder", type=Path, help="where to work; the objects must fit five times")
    words.add_argument("--json", action="store_true", help="print for machines")
    told = words.parse_args()
    try:
        gaps = measure(told.folder, told.size, told.jobs, told.work_s)
    except NoServer as exc:
        print(exc, file=sys.stderr)
        raise SystemExit(2) from exc
    if told.json:
        print(json.dumps({"size": told.size, "work_s": told.work_s, "idle_s": gaps}))
    else:
        print(f"idle between jobs of {told.size / 1e6:.0f} MB: " + ", ".join(f"{gap:.3f} s" for gap in gaps))


if __name__ == "__main__":
    main()
