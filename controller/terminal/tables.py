"""Tables: the plan, what runs, the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from controller.jobsheet import PlannedJob
from controller.ledger import Job, Lease, Ledger, OpenUpload
from controller.planned import Plan
from controller.report import unswept
from controller.terminal.rows import show_rows
from controller.terminal.words import counted, dollars_words, plain, size_words, time_words, why_words
from framehaul.contract.spec import MANIFEST_SLOT
from framehaul.contract.states import JobState
from framehaul.contract.uris import Uri, parse_uri

_FEW_DOWNLOADS = 5
_UPLOADS_SHOWN = 3
# Of long lists a person is shown the beginning; --json tells all.
MOST_SHOWN = 200


def show_plan(console: Console, plan: Plan) -> None:
    """Print what would be done, and what is set aside and why."""
    if plan.jobs:
        headers = ("input", "video", "frames", "size", "becomes")
        shown = plan.jobs[:MOST_SHOWN]
        show_rows(console, headers, [[plain(job.source.folder + job.source.name), *_plan_cells(job)] for job in shown])
        _say_more(console, "job", plan.jobs)
        for job in shown:
            for note in job.notes:
                say(console, f"{job.source.name}: {note}")
    show_refusals(console, plan)
    for sentence in plan.set_aside.sentences():
        say(console, sentence)
    for source, running in plan.under_way[:MOST_SHOWN]:
        say(console, f"Under way already: {source.name} is job {running.id}")
    _say_more(console, "job", plan.under_way)
    if plan.done:
        say(console, f"Done before: {counted(len(plan.done), 'input')}, by the markers in {place(plan.target)}")
    for remark in plan.remarks:
        say(console, remark)
    if not plan.jobs:
        return
    telling = {key: value for key, value in plan.params.items() if value not in (None, False, "auto")}
    params = ", ".join(f"{key} {param_words(value)}" for key, value in telling.items())
    took = f"about {time_words(plan.seconds)}" if plan.seconds else "unknown until the first run here"
    cost = "unknown" if plan.dollars is None else dollars_words(plan.dollars)
    say(console, f"{counted(len(plan.jobs), 'job')} of {plan.pipeline} ({params or 'no parameters'})")
    say(console, f"on {plan.provider}, disk {plan.disk_gb:.1f} GB, time {took}, cost {cost}")
    say(console, f"Results go to {place(plan.target)}")


def show_refusals(console: Console, plan: Plan) -> None:
    """Print what cannot be worked on, and why."""
    for refusal in plan.refused[:MOST_SHOWN]:
        say(console, f"Refused: {place(parse_uri(refusal.uri))}: {refusal.why}")
    _say_more(console, "refused input", plan.refused)


def _say_more(console: Console, noun: str, rows: Sequence[Any]) -> None:
    if len(rows) > MOST_SHOWN:
        say(console, f"... and {counted(len(rows) - MOST_SHOWN, f'more {noun}')}: all of them with --json")


def show_running(console: Console, ledger: Ledger, now: float, *, everything: bool, strays: Sequence[str] = ()) -> None:
    """Print what runs, what it costs per hour, and what waits."""
    leases = ledger.leases(alive=True)
    if leases:
        headers = ("lease", "machine", "state", "since", "$/h", "so far", "instance")
        show_rows(console, headers, [_lease_cells(lease, now) for lease in leases])
    batches = {batch.id for batch in ledger.batches()}
    jobs = ledger.jobs(most=MOST_SHOWN) if everything else ledger.open_jobs(most=MOST_SHOWN)
    count = sum(ledger.tally(batches).values()) if everything else ledger.left(batches)
    if jobs:
        show_rows(console, ("job", "input", "state", "why", "attempt", "lease"), [_job_cells(job) for job in jobs])
    if count > len(jobs):
        say(console, f"... and {counted(count - len(jobs), 'more job')}: all of them with --json")
    per_hour = sum(lease.dollars_per_hour for lease in leases)
    if leases:
        say(console, f"{counted(len(leases), 'machine')} running, {dollars_words(per_hour)} per hour.")
    elif left := unswept(ledger):
        say(console, unswept_words(left))
    elif not strays:
        say(console, "Nothing is running, nothing is billing.")
    if strays:
        say(console, f"Running, and unknown to the ledger: {', '.join(strays)}. End them: framehaul stop")
    if jobs and not leases and not everything:
        say(console, f"{counted(count, 'job')} waiting: framehaul resume goes on with them.")


def show_report(console: Console, results: dict[str, Any], results_at: str, *, others_at_work: bool) -> None:
    """Print what came of a batch, and whether anything still costs money."""
    jobs = results["jobs"]
    headers = ("input", "state", "frames", "seconds", "fps", "result")
    shown = _first_of_each(jobs)
    show_rows(console, headers, [_report_cells(job) for job in shown])
    if len(jobs) > len(shown):
        say(console, f"... and {counted(len(jobs) - len(shown), 'more job')}: all of them in the report, below.")
    for job in shown:
        for note in _notes(job):
            say(console, f"{_input_name(job)}: {note}")
    for sentence in _downloads(jobs):
        say(console, sentence)
    verified = sum(job["state"] == JobState.PUBLISHED for job in jobs)
    say(console, f"{verified} of {counted(len(jobs), 'result')} verified against the store; cost {_cost(results)}.")
    say(console, f"Report: {results_at}")
    if results["still_running"] and others_at_work:
        say(console, "Another framehaul is still at work; its machines go when it is done.")
    elif results["still_running"]:
        say(console, f"STILL RUNNING, may be billing: {', '.join(results['still_running'])}. Run: framehaul stop")
    elif not results.get("may_be_billed"):
        say(console, "Nothing is running, nothing is billing.")


def unswept_words(rows: Sequence[OpenUpload]) -> str:
    """Name uploads that nobody works on any more, and how they end."""
    shown = ", ".join(f"{place(parse_uri(row.uri))} ({row.upload_id})" for row in rows[:_UPLOADS_SHOWN])
    more = f" and {len(rows) - _UPLOADS_SHOWN} more" if len(rows) > _UPLOADS_SHOWN else ""
    return (
        f"No machine runs, but {counted(len(rows), 'unfinished upload')} may be billed: {shown}{more}."
        " framehaul resume looks what became of them; framehaul sweep ends those that nobody needs."
    )


def say(console: Console, text: str) -> None:
    """Print one line as it is: no markup, no colours guessed into names, no wrapping."""
    console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def place(uri: Uri) -> str:
    """Write an address as a person would."""
    return uri.key if uri.scheme == "file" else uri.public()


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


def param_words(value: Any) -> str:
    """Write a parameter; a file that travels along is named by the beginning of its digest."""
    if isinstance(value, dict) and "sha256" in value:
        return f"{str(value['sha256'])[:12]}..."
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job_cells(job: Job) -> list[str]:
    why = "" if job.reason == "none" else why_words(job.reason, job.message)
    return [job.id, plain(job.name), str(job.state), why, str(job.attempt or ""), job.lease_id or ""]


def _report_cells(job: dict[str, Any]) -> list[str]:
    if job["state"] != JobState.PUBLISHED:
        why = why_words(job.get("reason", ""), job.get("message", ""))
        return [_input_name(job), "FAILED" if job["state"] == JobState.EXCLUDED else job["state"], "", "", "", why]
    fps = f"{job['fps']:.1f}" if job.get("fps") else ""
    shown = place(parse_uri(job["uris"][job["outputs"][0]["slot"]]))
    return [_input_name(job), "done", str(job.get("frames", "")), f"{job['seconds']:.1f}", fps, plain(shown)]


def _first_of_each(jobs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the first of those that are done, and the first of the others: among many, nobody would find these."""
    left, shown = {True: MOST_SHOWN, False: MOST_SHOWN}, []
    for job in jobs:
        is_done = job["state"] == JobState.PUBLISHED
        if left[is_done]:
            left[is_done] -= 1
            shown.append(job)
    return shown


def _notes(job: dict[str, Any]) -> list[str]:
    """Read what a manifest, a stranger's word, tells a person: what the input lacked, what is not in the result."""
    details = job.get("details", {})
    shortfall, left = details.get("shortfall"), details.get("left_behind")
    notes = [shortfall] if isinstance(shortfall, str) and shortfall else []
    if isinstance(left, list) and left:
        notes.append(f"left behind: {', '.join(map(str, left))}")
    return notes


def _downloads(jobs: Iterable[dict[str, Any]]) -> list[str]:
    """Name the addresses that results can be fetched by, where they are few; else say where to find them."""
    found = [
        output
        for job in jobs
        for output in job["outputs"]
        if output["slot"] != MANIFEST_SLOT and "download_url" in output
    ]
    if len(found) > _FEW_DOWNLOADS:
        return [f"Addresses to fetch the results by, good until {found[0]['download_url_expires_at']}: with --json."]
    return [
        f"Fetch {output['name']} until {output['download_url_expires_at']}: {output['download_url']}"
        for output in found
    ]


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
