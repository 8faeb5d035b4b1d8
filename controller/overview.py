"""How the whole stands, in one line: what is done, what it costs, how long yet, and whether the lid may be closed.

Computed from the ledger and from what the agents said last; nothing here asks anybody.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from controller.ledger import Batch, Job, Lease, Ledger
from controller.ledger.rows import WishWord
from framehaul.contract.states import AttemptReason, AttemptState, JobState, LeaseState
from framehaul.contract.status import JobStatus
from framehaul.contract.uris import parse_uri

_TAKES_INPUT = frozenset({AttemptState.QUEUED, AttemptState.FETCHING})
_LACKS_GRANTS = frozenset({AttemptReason.WAITING_FOR_GRANTS, AttemptReason.GRANTS_EXPIRED})
_HOME = frozenset({JobState.DELIVERED, JobState.VERIFIED})
# So many of the jobs that wait are looked at one by one; a million would cost more than the look is worth.
_MOST_READ = 50


@dataclass(frozen=True)
class Lid:
    """Whether this laptop may go to sleep now, and why."""

    safe: bool
    why: str


@dataclass(frozen=True)
class Overview:
    """One look at everything. `eta_s` is None where nobody can know or all is stopped, 0 where nothing is left."""

    total: int
    done: int
    failed: int
    dollars: float
    eta_s: float | None
    machines: int
    lid: Lid
    # Whether work is left that nobody will do until somebody says so.
    stopped: bool = False

    @property
    def left(self) -> int:
        """Count the jobs with work left."""
        return self.total - self.done - self.failed


@dataclass(frozen=True)
class Scene:
    """What an overview is computed from. `leases` are the living ones and those that worked on these batches.

    `open_jobs` holds every job under way and the next ones that wait; `more` jobs wait behind those, and are taken to
    be like them: as long as they are on average, and of the kind of the last one.
    """

    batches: Mapping[str, Batch]
    tally: Mapping[JobState, int]
    open_jobs: Sequence[Job] = ()
    more: int = 0
    leases: Sequence[Lease] = ()
    latest: Mapping[str, JobStatus] = field(default_factory=dict)
    # Whether some framehaul acts on this ledger now.
    at_work: bool = True
    # The clouds whose machines are this very laptop.
    here: Collection[str] = ()

    @property
    def machines(self) -> list[Lease]:
        """List what is rented and not proven gone."""
        return [lease for lease in self.leases if lease.rented_at is not None and lease.state is not LeaseState.GONE]

    @property
    def wanted(self) -> list[Job]:
        """List the open jobs that go on: one that waits in a batch that was stopped does not."""
        return [job for job in self.open_jobs if job.state is not JobState.PLANNED or self._runs(job)]

    def status(self, job: Job) -> JobStatus | None:
        """Give what the agent said last of this attempt."""
        return self.latest.get(job.id) if job.state is JobState.ASSIGNED else None

    def _runs(self, job: Job) -> bool:
        return self.batches[job.batch_id].wish is WishWord.RUN


def overview_of(scene: Scene, now: float) -> Overview:
    """Sum up."""
    stopped = bool(scene.open_jobs) and not (scene.at_work and scene.wanted)
    return Overview(
        total=sum(scene.tally.values()),
        done=scene.tally.get(JobState.PUBLISHED, 0),
        failed=scene.tally.get(JobState.EXCLUDED, 0),
        dollars=sum(lease.dollars(now) for lease in scene.leases),
        eta_s=None if stopped else _eta_s(scene),
        machines=len(scene.machines),
        lid=_lid(scene),
        stopped=stopped,
    )


def read_scene(
    ledger: Ledger,
    batch_ids: Collection[str],
    latest: Mapping[str, JobStatus],
    *,
    at_work: bool,
    runs_here: Callable[[str], bool],
) -> Scene:
    """Gather what the ledger holds of these batches."""
    batches = {batch.id: batch for batch in ledger.batches() if batch.id in batch_ids}
    worked = ledger.lease_ids(batches)
    leases = [lease for lease in ledger.leases() if lease.state is not LeaseState.GONE or lease.id in worked]
    clouds = {batch.provider for batch in batches.values()} | {lease.provider for lease in leases}
    going = [batch.id for batch in batches.values() if batch.wish is WishWord.RUN]
    under_way = [job for job in ledger.jobs_under_way() if job.batch_id in batches]
    tallies = ledger.tallies(batches)
    waiting = ledger.next_jobs(going, _MOST_READ)
    halted = ledger.next_jobs((batch_id for batch_id in batches if batch_id not in going), _MOST_READ)
    return Scene(
        batches=batches,
        tally=dict(sum(map(Counter, tallies.values()), Counter())),
        open_jobs=[*under_way, *waiting, *halted],
        more=sum(tallies[batch_id].get(JobState.PLANNED, 0) for batch_id in going) - len(waiting),
        leases=leases,
        latest=latest,
        at_work=at_work,
        here={name for name in clouds if runs_here(name)},
    )


# -- how long yet ----------------------------------------------------------------------------------------------------


def _eta_s(scene: Scene) -> float | None:
    """Lay the waiting jobs one after another on the machine that is free first; None where a length is unknown."""
    busy: list[float] = []
    waiting: list[float] = []
    rate_s = _rate_s(scene)
    for job in scene.wanted:
        if job.state in _HOME:
            continue
        status = scene.status(job)
        if status is not None and status.state not in _TAKES_INPUT:
            left = 0.0 if status.state is not AttemptState.RUNNING else status.eta_s
            left = _estimate_s(job, rate_s) if left is None else left
            busy.append(-1.0 if left is None else left)
        else:
            length = _estimate_s(job, rate_s)
            waiting.append(-1.0 if length is None else length)
    if -1.0 in busy or -1.0 in waiting:
        return None
    free = sorted(busy) + [0.0] * (_slots(scene) - len(busy))
    heapq.heapify(free)
    for length in waiting:
        heapq.heappush(free, heapq.heappop(free) + length)
    rest = scene.more * sum(waiting) / len(waiting) if waiting else 0.0
    return max([*free, (sum(free) + rest) / len(free)] if rest else free, default=0.0)


def _slots(scene: Scene) -> int:
    """Count the machines that share the work, or will once they are rented."""
    limit = max((int(scene.batches[job.batch_id].options.get("max_instances", 1)) for job in scene.wanted), default=1)
    return max(len(scene.machines), min(limit, len(scene.wanted) + scene.more), 1)


def _estimate_s(job: Job, rate_s: float | None) -> float | None:
    known, work = job.figures.get("estimate_s"), job.figures.get("work")
    if known is not None:
        return float(known)
    return None if rate_s is None or not work else rate_s * float(work)


def _rate_s(scene: Scene) -> float | None:
    """Learn the seconds that a unit of work takes from a job that runs: the first batch has no other source."""
    rates = []
    for job in scene.open_jobs:
        status, work = scene.status(job), job.figures.get("work")
        if status is None or status.eta_s is None or not (status.total and work):
            continue
        left = 1 - status.done / status.total
        if 0 < left < 1:
            rates.append(status.eta_s / left / float(work))
    return max(rates, default=None)


# -- the lid ---------------------------------------------------------------------------------------------------------


def _lid(scene: Scene) -> Lid:
    """Say whether sleep would cost anything: where the work is done, and what still has to pass through here."""
    machines, jobs = scene.machines, scene.wanted if scene.at_work else []
    clouds = {lease.provider for lease in machines} | {scene.batches[job.batch_id].provider for job in jobs}
    if clouds & set(scene.here):
        return Lid(safe=False, why="this machine does the work")
    if not machines and not jobs:
        return Lid(safe=True, why="nothing runs")
    if not scene.at_work:
        return Lid(safe=True, why="no framehaul is at work on this laptop")
    for count, noun, fate in (
        (_unsent(scene, jobs), "input", "to be sent"),
        (_waiting(scene, jobs), "job", "to be handed out"),
        (_to_fetch(scene, jobs), "result", "to be fetched"),
        (_unpermitted(scene, jobs), "permission", "to be given"),
    ):
        if count:
            have = f"{noun} still has" if count == 1 else f"{noun}s still have"
            return Lid(safe=False, why=f"{count} {have} {fate}")
    return Lid(safe=True, why="the machines have all that they need" if machines else "what is left needs no machine")


def _unsent(scene: Scene, jobs: Sequence[Job]) -> int:
    """Count the jobs whose input lies on this laptop, and is not known to be at a machine."""
    return _count(scene, jobs, lambda job: _on_laptop(job.source) and _may_lack_input(scene, job))


def _may_lack_input(scene: Scene, job: Job) -> bool:
    if job.state is JobState.ASSIGNED:
        status = scene.status(job)
        return status is None or status.state in _TAKES_INPUT
    return job.state is JobState.PLANNED


def _waiting(scene: Scene, jobs: Sequence[Job]) -> int:
    return _count(scene, jobs, lambda job: job.state is JobState.PLANNED)


def _unpermitted(scene: Scene, jobs: Sequence[Job]) -> int:
    """Count the jobs whose agents cannot go on alone: their grants are not there yet, or have run out."""
    alive = {lease.id for lease in scene.machines}
    assigned = [job for job in jobs if job.state is JobState.ASSIGNED and job.lease_id in alive]
    return sum(status is None or status.reason in _LACKS_GRANTS for status in map(scene.status, assigned))


def _to_fetch(scene: Scene, jobs: Sequence[Job]) -> int:
    """Count the results that go to a folder of this laptop, through its hands."""
    return _count(scene, jobs, lambda job: _on_laptop(scene.batches[job.batch_id].target))


def _count(scene: Scene, jobs: Sequence[Job], question: Callable[[Job], bool]) -> int:
    """Count the jobs of which something is true; those behind are as the last one that waits."""
    last = next((job for job in reversed(jobs) if job.state is JobState.PLANNED), None)
    return sum(map(question, jobs)) + (scene.more if last is not None and question(last) else 0)


def _on_laptop(address: str) -> bool:
    return parse_uri(address).scheme == "file"
