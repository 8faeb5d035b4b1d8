"""PUT of an input: in pieces, resumable, one sender at a time."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request

from agent.attempts.partfile import PartFile
from agent.errors import Refusal
from agent.http.bodies import discard_rest, pieces
from agent.http.describe import heeds, problems, takes_bytes
from agent.http.ranges import Brought, brought
from agent.jobs.job import Job
from agent.service import Agent
from framehaul.contract import routes
from framehaul.contract.grants import RelayIn
from framehaul.contract.spec import InputSpec
from framehaul.contract.states import AttemptState
from framehaul.contract.status import SlotProgress

_TAKES_INPUT = frozenset({AttemptState.QUEUED, AttemptState.FETCHING})


def intake_routes(agent: Agent) -> APIRouter:
    """Take inputs that live on the laptop."""
    router = APIRouter()
    busy: set[tuple[str, str]] = set()

    @router.put(
        routes.INPUT,
        responses=problems(404, 409, 413, 422, 507),
        openapi_extra=takes_bytes() | heeds("Content-Range"),
    )
    async def put_input(job_id: str, slot: str, request: Request) -> SlotProgress:
        key = (job_id, slot)
        mine = False
        try:
            job = agent.job(job_id)
            entry = _entry(job, slot)
            if key in busy:
                raise Refusal(409, "busy", f"Somebody else is sending {slot}.", retryable=True)
            busy.add(key)
            mine = True
            await Intake(job, entry).take(request)
        except (Refusal, OSError):
            await discard_rest(request)
            raise
        finally:
            if mine:
                busy.discard(key)
        return job.slot_progress(slot)

    return router


class Intake:
    """One request that brings bytes of one input."""

    def __init__(self, job: Job, entry: InputSpec) -> None:
        self._job = job
        self._entry = entry
        self._part = PartFile(job.part_path(entry.slot))

    async def take(self, request: Request) -> None:
        """Append the body; what arrived before an interruption is kept and need not be sent again."""
        piece = brought(request.headers.get("content-range"), request.headers.get("content-length"))
        self._judge(piece)
        try:
            whole = await self._append(request, piece)
        except ClientDisconnect:
            return
        finally:
            await self._part.flush()
        if whole:
            await self._finish()

    def _judge(self, piece: Brought) -> None:
        state, grants = self._job.status.state, self._job.grants
        progress = self._job.slot_progress(self._entry.slot)
        # First of all: a sender whose last reply was lost learns here that all of it is there.
        if piece.start != progress.received or progress.complete:
            sentence = f"{progress.received} bytes of {self._entry.slot} are here; the next piece starts there."
            raise Refusal(409, "wrong-offset", sentence, retryable=True, extra={"offset": progress.received})
        if state not in _TAKES_INPUT:
            raise Refusal(409, "not-fetching", f"The attempt is {state} and takes no input.")
        if grants is None or not isinstance(grants.inputs[self._entry.slot], RelayIn):
            raise Refusal(409, "not-granted", f"No grant says that {self._entry.slot} comes this way.")
        self._judge_size(piece, progress.received)

    def _judge_size(self, piece: Brought, received: int) -> None:
        size, limit = self._entry.size, self._job.spec.limits.max_input_bytes
        if size is not None and piece.total is not None and piece.total != size:
            raise Refusal(422, "wrong-size", f"{self._entry.name} has {size} bytes in the order, {piece.total} here.")
        if (piece.total or 0) > limit:
            raise Refusal(413, "input-too-big", f"The limit is {limit} bytes.")
        if piece.total is not None and piece.total - received > self._part.free_bytes():
            raise Refusal(507, "disk-full", "The rest does not fit on the disk.", retryable=True)

    async def _append(self, request: Request, piece: Brought) -> bool:
        """Take the bytes; True when they were the last ones."""
        most = self._most(piece)
        received = piece.start
        async for data in pieces(request):
            received += len(data)
            if received > most:
                self._part.truncate(piece.start)
                raise Refusal(422, "too-many-bytes", f"More came than the {most - piece.start} announced bytes.")
            if self._job.status.state not in _TAKES_INPUT:
                raise Refusal(409, "not-fetching", f"The attempt is {self._job.status.state} and takes no input.")
            await self._part.append(data)
        total = piece.total if self._entry.size is None else self._entry.size
        return received == (received if total is None else total)

    def _most(self, piece: Brought) -> int:
        if piece.length is not None:
            return piece.start + piece.length
        limit = self._job.spec.limits.max_input_bytes
        return limit if self._entry.size is None else min(self._entry.size, limit)

    async def _finish(self) -> None:
        slot = self._entry.slot
        if not await self._part.place(self._job.input_path(slot), self._entry.fingerprint):
            sentence = f"The bytes of {self._entry.name} are not those that were planned; they were dropped."
            raise Refusal(422, "input-mismatch", sentence, advice="The file has changed: plan it anew.")
        self._job.note(f"input {slot} has arrived")


def _entry(job: Job, slot: str) -> InputSpec:
    for entry in job.spec.inputs:
        if entry.slot == slot:
            return entry
    raise Refusal(404, "unknown-slot", f"The order names no input slot {slot!r}.")
