"""Tables: the plan, what runs, the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.ledger import Job, Lease, Ledger
from controller.planning import Plan, PlannedJob
from controller.terminal.words import counted, dollars_words, plain, size_words, time_words
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri, parse_uri


def show_plan(console: Console, plan: Plan) -> None:
    """Print what would be done, and what is set aside and why."""
    if plan.jobs:
        table = _table("input", "video", "frames", "size", "becomes")
        for job in plan.jobs:
            _row(table, plain(job.source.folder + job.source.name), *_plan_cells(job))
        console.print(table)
    for refusal in plan.refused:
        say(console, f"Refused: {place(parse_uri(refusal.uri))}: {refusal.why}")
    for source, running in plan.under_way:
        say(console, f"Under way already: {source.name} is job {running.id}")
    if plan.done:
        say(console, f"Done before: {counted(len(plan.done), 'input')}, by the markers in {place(plan.target)}")
    if not plan.jobs:
        return
    params = ", ".join(f"{key} {value}" for key, value in plan.params.items() if value is not None)
    took = f"about {time_words(plan.seconds)}" if plan.seconds else "unknown until the first run here"
    say(console, f"{counted(len(plan.jobs), 'job')} of {plan.pipeline} ({params or 'no parameters'})")
    say(console, f"on {plan.provider}, disk {plan.disk_gb:.1f} GB, time {took}; results go to {place(plan.target)}")


def show_running(console: Console, ledger: Ledger, now: float, *, everything: bool, strays: Sequence[str] = ()) -> None:
    """Print what runs, what it costs per hour, and what waits."""
    leases = ledger.leases(alive=True)
    if leases:
        table = _table("lease", "machine", "state", "since", "$/h", "so far", "instance")
        for lease in leases:
            _row(table, *_lease_cells(lease, now))
        console.print(table)
    jobs = ledger.jobs() if everything else ledger.open_jobs()
    if jobs:
        table = _table("job", "input", "state", "why", "attempt", "lease")
        for job in jobs:
            why = "" if job.reason == "none" else f"{job.reason} {plain(job.message)}".strip()
            _row(table, job.id, plain(job.name), str(job.state), why, str(job.attempt or ""), job.lease_id or "")
        console.print(table)
    per_hour = sum(lease.dollars_per_hour for lease in leases)
    if leases:
        say(console, f"{counted(len(leases), 'machine')} running, {dollars_words(per_hour)} per hour.")
    elif not strays:
        say(console, "Nothing is running, nothing is billing.")
    if strays:
        say(console, f"Running, and unknown to the ledger: {', '.join(strays)}. End them: framehaul stop")
    if jobs and not leases and not everything:
        say(console, f"{counted(len(jobs), 'job')} waiting: framehaul resume goes on with them.")


def show_report(console: Console, results: dict[str, Any], results_at: str, *, others_at_work: bool) -> None:
    """Print what came of a batch, and whether anything still costs money."""
    jobs = results["jobs"]
    table = _table("input", "state", "frames", "seconds", "fps", "result")
    for job in jobs:
        _row(table, *_report_cells(job))
    console.print(table)
    verified = sum(job["state"] == JobState.PUBLISHED for job in jobs)
    say(console, f"{verified} of {counted(len(jobs), 'result')} verified against the store; cost {_cost(results)}.")
    say(console, f"Report: {results_at}")
    if results["still_running"] and others_at_work:
        say(console, "Another framehaul is still at work; its machines go when it is done.")
    elif results["still_running"]:
        say(console, f"STILL RUNNING, may be billing: {', '.join(results['still_running'])}. Run: framehaul stop")
    else:
        say(console, "Nothing is running, nothing is billing.")


def say(console: Console, text: str) -> None:
    """Print one line as it is: no markup, no colours guessed into names, no wrapping."""
    console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def place(uri: Uri) -> str:
    """Write an address as a person would."""
    return uri.key if uri.scheme == "file" else uri.public()


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    """Add a row of cells as they are: rich would take [brackets] in a name for its markup, and stumble over some."""
    table.add_row(*map(Text, cells))


def _plan_cells(job: PlannedJob) -> list[str]:
    video = "-"
    if job.media is not None:
        video = f"{job.media.video.width}×{job.media.video.height} {job.media.video.codec}"
    frames = "-" if job.estimate.frames is None else str(job.estimate.frames)
    return [video, frames, size_words(job.source.size), plain(job.outputs[0].name)]


def _lease_cells(lease: Lease, now: float) -> list[str]:
    since = time_words(now - lease.intended_at)
    price = f"{lease.dollars_per_hour:.3f}"
    return [
        lease.id,
        plain(lease.gpu),
        str(lease.state),
        since,
        price,
        dollars_words(lease.dollars(now)),
        lease.ref or "-",
    ]


def _report_cells(job: dict[str, Any]) -> list[str]:
    if job["state"] != JobState.PUBLISHED:
        why = plain(f"{job.get('reason', '')}: {job.get('message', '')}".strip(": "))
        return [_input_name(job), "FAILED" if job["state"] == JobState.EXCLUDED else job["state"], "", "", "", why]
    fps = f"{job['fps']:.1f}" if job.get("fps") else ""
    shown = place(parse_uri(job["uris"][job["outputs"][0]["slot"]]))
    return [_input_name(job), "done", str(job.get("frames", "")), f"{job['seconds']:.1f}", fps, plain(shown)]


def _input_name(job: dict[str, Any]) -> str:
    return plain(parse_uri(job["input"]).name)


def _cost(results: dict[str, Any]) -> str:
    return f"{dollars_words(results['dollars'])} in {time_words(results['seconds'])}"


def job_as_json(job: Job) -> dict[str, Any]:
    """Give a job for machines."""
    return {
        "job": job.id,
        "batch": job.batch_id,
        "input": parse_uri(job.source).public(),
        "state": str(job.state),
        "reason": str(job.reason),
        "message": job.message,
        "attempt": job.attempt,
        "lease": job.lease_id,
    }


def lease_as_json(lease: Lease, now: float) -> dict[str, Any]:
    """Give a lease for machines, without its secret."""
    return {
        "lease": lease.id,
        "label": lease.label,
        "provider": lease.provider,
        "machine": lease.gpu,
        "instance": lease.ref,
        "state": str(lease.state),
        "reason": str(lease.reason),
        "dollars_per_hour": lease.dollars_per_hour,
        "dollars": lease.dollars(now),
        "deadline": lease.deadline,
    }
