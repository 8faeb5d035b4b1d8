"""Write sizes, times and names for a terminal; names may be hostile."""

from __future__ import annotations

import unicodedata

from controller.overview import Overview
from framehaul.contract.states import AttemptReason, JobReason

_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    """Make a name harmless: control characters (colours, newlines, bells) become visible marks."""
    return "".join("�" if unicodedata.category(char) in _UNSHOWN else char for char in text)


def size_words(count: float | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return "?"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.95 or unit == "TB":  # what would be written as 1000.0 belongs to the next unit
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def time_words(seconds: float | None) -> str:
    """Write a span of time."""
    if seconds is None:
        return "?"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def dollars_words(amount: float) -> str:
    """Write money."""
    return f"${amount:.2f}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 job, 2 jobs."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def rough_time_words(seconds: float | None) -> str:
    """Write a guess at a span of time, no finer than a guess is."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.0f} days"


def overview_words(overview: Overview) -> str:
    """Write the status line: `3/12 done, 1 failed · $0.00 · ETA 4 min · 1 machine · safe to close the lid: …`."""
    failed = f", {overview.failed} failed" if overview.failed else ""
    lid = f"safe to close the lid: {'yes' if overview.lid.safe else 'no'}, because {overview.lid.why}"
    parts = [f"{overview.done}/{overview.total} done{failed}", dollars_words(overview.dollars)]
    if overview.left:
        parts.append("stopped" if overview.stopped else f"ETA {rough_time_words(overview.eta_s)}")
    return " · ".join([*parts, counted(overview.machines, "machine"), lid])


# What the ledger calls it, and what a person would.
_JOB_WHY = {
    JobReason.LEASE_LOST: "the machine was lost",
    JobReason.PROOF_FAILED: "what arrived was not what was made",
    JobReason.REFUSED: "refused",
    JobReason.ASKED_TO_STOP: "stopped when asked",
}
_ATTEMPT_WHY = {
    AttemptReason.STALLED: "stood still and was ended",
    AttemptReason.OVERTIME: "took far longer than it should and was ended",
    AttemptReason.WORKER_DIED: "the worker died",
    AttemptReason.DISK_FULL: "the machine's disk was full",
    AttemptReason.FETCH_FAILED: "the input could not be fetched",
    AttemptReason.DELIVERY_FAILED: "the result could not be delivered",
    AttemptReason.INPUT_MISMATCH: "the input is no longer what was planned",
    AttemptReason.BAD_INPUT: "the input cannot be used",
    AttemptReason.BAD_PARAMS: "the parameters cannot be used",
    AttemptReason.PIPELINE_FAILED: "the work failed",
    AttemptReason.GRANTS_EXPIRED: "the permission to read or write ran out",
    AttemptReason.AGENT_RESTARTED: "the agent was started again",
    AttemptReason.WAITING_FOR_GRANTS: "waiting for permission to read and write",
    AttemptReason.WAITING_FOR_INPUT: "waiting for its input",
    AttemptReason.WAITING_FOR_PICKUP: "waiting to be fetched",
    AttemptReason.WAITING_FOR_ROOM: "waiting for room on the machine's disk",
    AttemptReason.STORE_UNAVAILABLE: "the store does not answer, and is asked again",
    AttemptReason.LEASE_ENDED: "the machine's time was up",
    AttemptReason.ASKED_TO_STOP: "stopped when asked",
}


def why_words(reason: str, message: str) -> str:
    """Write why a job or an attempt is as it is; what the agent called by its name comes out in plain words."""
    message = message.strip()
    for attempt, words in _ATTEMPT_WHY.items():
        if reason == attempt:
            return plain(f"{words}: {message}" if message else words)
        # The ledger writes "stalled: nothing was told for 600 s", also after "Tried 3 times. ".
        before, name, after = message.partition(f"{attempt}:")
        if name and (not before or before.endswith(" ")):
            return plain(f"{before}{words}: {after.strip()}".strip(": "))
    words = _JOB_WHY.get(JobReason(reason), "") if reason in set(JobReason) else reason
    return plain(": ".join(part for part in (words, message) if part))
