"""Agents in memory: they take orders over the contract's routes and do them by the clock; any of them can be broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from controller.channel import AgentChannel
from framehaul.clock import Clock
from framehaul.contract import routes
from framehaul.contract.grants import GrantSet, HttpGet, MultipartPut
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.manifest import Manifest, ManifestOutput
from framehaul.contract.problem import problem_type
from framehaul.contract.receipt import ChunkHasher, OutputReceipt, Receipt
from framehaul.contract.spec import MANIFEST_SLOT, RECEIPT_SLOT, JobSpec
from framehaul.contract.states import AttemptReason, AttemptState
from framehaul.contract.status import (
    Health,
    HealthState,
    JobStatus,
    JobView,
    LeaseOrder,
    LeaseView,
    OnSilence,
    OutputReceived,
    SlotProgress,
)
from framehaul.contract.wire import Wire
from framehaul.errors import AccessDenied, StoreUnavailable
from tests.controller.buckets import BucketStores, fingerprint_of

Address = tuple[str, int]
_S, _R = AttemptState, AttemptReason
_JOB = re.compile(r"/jobs/([^/]+)(/.*)?")
_TAKES_INPUT = {_S.QUEUED, _S.FETCHING}


@dataclass(frozen=True)
class Work:
    """What becomes of a job on a machine: so long, then its result or its failure."""

    seconds: float = 3.0
    fails: AttemptReason | None = None
    message: str = "told to fail"
    # What the outputs hold, by slot; a slot that is missing here is a copy of the input.
    makes: Mapping[str, bytes] = field(default_factory=dict)
    # A stranger's agent: calls a result delivered of which it put nothing into the store.
    lies: bool = False
    # Another one: has stopped every order before it begins, for no reason of ours.
    quits: bool = False


class Order:
    """One job on one agent; what it is at an hour follows from what came in before."""

    def __init__(self, spec: JobSpec, work: Work, stores: BucketStores | None = None) -> None:
        self.spec = spec
        self.work = work
        # Whom it reaches by its grants, and why it waits where they did not help.
        self.stores = stores
        self.waits = _R.NONE
        self.grants: GrantSet | None = None
        self.came = b""
        self.began_at: float | None = None
        self.end: tuple[AttemptState, AttemptReason, str] | None = None
        self.outputs: dict[str, bytes] = {}
        self.receipt: Receipt | None = None
        self.fetched: set[str] = set()
        # What each log holds so far.
        self.logs = {name: f"{name} of attempt {spec.attempt}\n".encode() for name in routes.LOG_STREAMS}

    @property
    def complete(self) -> bool:
        """Say whether the input is there."""
        return len(self.came) == self.spec.inputs[0].size

    def state(self) -> tuple[AttemptState, AttemptReason, str]:
        """Say what it does, and why."""
        if self.end is not None:
            return self.end
        if self.work.quits:
            return (_S.STOPPED, _R.LEASE_ENDED, "I have had enough.")
        if self.receipt is not None:
            return (_S.DELIVERING, self.waits if self.puts() else _R.WAITING_FOR_PICKUP, "")
        if self.began_at is not None:
            return (_S.RUNNING, _R.NONE, "")
        if self.grants is None:
            return (_S.FETCHING, _R.WAITING_FOR_GRANTS, "")
        if not self.complete:
            return (_S.FETCHING, self.waits if self.gets() else _R.WAITING_FOR_INPUT, "")
        return (_S.QUEUED, _R.NONE, "")

    def gets(self) -> HttpGet | None:
        """Give the grant to read the input from a store."""
        grant = self.grants.inputs["source"] if self.grants else None
        return grant if isinstance(grant, HttpGet) else None

    def puts(self) -> dict[str, MultipartPut]:
        """Give the grants to write to a store, in the order in which they are used."""
        outputs = self.grants.outputs if self.grants else {}
        last = {MANIFEST_SLOT: 1, RECEIPT_SLOT: 2}
        slots = sorted(outputs, key=lambda slot: (last.get(slot, 0), slot))
        return {slot: grant for slot in slots if isinstance(grant := outputs[slot], MultipartPut)}

    def move_on(self, now: float, *, free: bool) -> None:
        """Fetch, begin when the machine is free, end when the work is done, deliver."""
        if self.end is None and not self.complete and (get := self.gets()):
            self._with_grants(lambda stores: self._fetch(stores, get))
        ready = self.grants is not None and self.complete and self.end is None
        if ready and self.began_at is None and free:
            self.began_at = now
        if self.end is None and self.began_at is not None and now >= self.began_at + self.work.seconds:
            self._finish(now)
        if self.end is None and self.receipt is not None and self.puts():
            self._with_grants(self._deliver)

    def _with_grants(self, step: Callable[[BucketStores], None]) -> None:
        assert self.stores is not None
        try:
            step(self.stores)
            self.waits = _R.NONE
        except AccessDenied:
            self.waits = _R.GRANTS_EXPIRED
        except StoreUnavailable:
            self.waits = _R.STORE_UNAVAILABLE

    def _fetch(self, stores: BucketStores, grant: HttpGet) -> None:
        self.came = stores.agent_gets(grant)
        if fingerprint_of(self.came) != self.spec.inputs[0].fingerprint:
            self.end = (_S.FAILED, _R.INPUT_MISMATCH, "It was replaced since it was planned.")

    def _deliver(self, stores: BucketStores) -> None:
        assert self.receipt is not None
        for slot, grant in () if self.work.lies else self.puts().items():
            stores.agent_puts(grant, self.receipt.canonical() if slot == RECEIPT_SLOT else self.outputs[slot])
        self.end = (_S.DELIVERED, _R.NONE, "")

    def _finish(self, now: float) -> None:
        if self.work.fails is not None:
            self.end = (_S.FAILED, self.work.fails, self.work.message)
        elif self.receipt is None:
            for output in self.spec.outputs:
                self.outputs[output.slot] = self.work.makes.get(output.slot, self.came)
            self.outputs[MANIFEST_SLOT] = self.work.makes.get(MANIFEST_SLOT, self._manifest(now))
            names = self.spec.output_names()
            opens = {"download_url": "https://store.example/?signed=for-the-laptop-alone"}
            entries = tuple(
                entry_of(slot, names[slot], data).model_copy(update=opens) for slot, data in self.outputs.items()
            )
            self.receipt = Receipt(
                job_id=self.spec.job_id,
                attempt=self.spec.attempt,
                spec_digest=self.spec.digest(),
                outputs=entries,
                finished_at=now,
            )

    def _manifest(self, now: float) -> bytes:
        entries = [entry_of(output.slot, output.name, self.outputs[output.slot]) for output in self.spec.outputs]
        return Manifest(
            framehaul="test",
            job_id=self.spec.job_id,
            attempt=self.spec.attempt,
            spec_digest=self.spec.digest(),
            pipeline=self.spec.pipeline,
            params=self.spec.params,
            inputs=self.spec.inputs,
            environment={},
            stage_seconds={"copy": self.work.seconds},
            details={},
            started_at=now - self.work.seconds,
            finished_at=now,
            outputs=tuple(ManifestOutput(slot=e.slot, name=e.name, size=e.size, sha256=e.sha256) for e in entries),
        ).canonical()

    def view(self, now: float) -> JobView:
        """Describe it, as GET /jobs/{id} answers."""
        state, reason, message = self.state()
        entry = self.spec.inputs[0]
        progress = SlotProgress(received=len(self.came), size=entry.size, complete=self.complete)
        return JobView(
            job_id=self.spec.job_id,
            attempt=self.spec.attempt,
            spec_digest=self.spec.digest(),
            status=JobStatus(state=state, reason=reason, message=message, updated_at=now),
            grants_generation=self.grants.generation if self.grants else 0,
            inputs={entry.slot: progress},
            log_bytes=0,
            has_preview=False,
            receipt=self.receipt,
        )


class AgentDouble:
    """One agent. `cut` drops every request; `odd` answers with what is no JSON."""

    def __init__(self, secret: LeaseSecret, clock: Clock, work: Callable[[JobSpec], Work]) -> None:
        self.health = HealthState.READY
        self.cut = False
        self.odd = False
        self.draining = False
        self.orders: dict[str, Order] = {}
        self.heartbeats: list[float] = []
        self.requests: list[str] = []
        self.stores: BucketStores | None = None
        self._token = secret.token
        self._clock = clock
        self._work = work

    def restart(self) -> None:
        """Begin anew on the disk that is there: what ran runs again, results that wait still wait."""
        for order in self.orders.values():
            if order.receipt is None and order.end is None:
                order.began_at = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self.cut:
            raise httpx.ConnectTimeout("the link is cut", request=request)
        self.requests.append(f"{request.method} {request.url.path}")
        if self.odd:
            return httpx.Response(200, text="<html>It works!</html>")
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return refusal(401, "bad-token")
        self._move_on()
        if request.url.path == routes.HEALTH:
            return told(Health(state=self.health, watchdog_armed=False, version="test"))
        if request.url.path in {routes.LEASE, routes.DRAIN}:
            return self._lease(request)
        match = _JOB.fullmatch(request.url.path)
        assert match, request.url.path
        return self._job(request, match[1], match[2] or "")

    def _move_on(self) -> None:
        now = self._clock.now()
        for order in self.orders.values():
            running = any(other.state()[0] is _S.RUNNING for other in self.orders.values() if other is not order)
            order.move_on(now, free=not running)

    def _lease(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == routes.DRAIN:
            self.draining = True
        else:
            LeaseOrder.model_validate_json(request.content)
            self.heartbeats.append(self._clock.now())
        waiting = tuple(name for name, order in self.orders.items() if order.state()[0] is _S.DELIVERING)
        view = LeaseView(
            deadline=None, silent_after=None, on_silence=OnSilence.QUEUE, draining=self.draining, undelivered=waiting
        )
        return told(view)

    def _job(self, request: httpx.Request, job_id: str, rest: str) -> httpx.Response:
        if request.method == "PUT" and not rest:
            return self._take(JobSpec.model_validate_json(request.content))
        order = self.orders.get(job_id)
        if order is None:
            return refusal(404, "unknown-job")
        if request.method == "DELETE":
            return self._delete(job_id, order)
        if rest == "/grants":
            order.grants = GrantSet.model_validate_json(request.content)
        elif rest == "/log":
            return self._log(request, order)
        elif rest.startswith("/inputs/"):
            return self._bring(request, order)
        elif rest.startswith("/outputs/"):
            return self._fetch(request, order, rest.split("/")[2])
        self._move_on()
        return told(order.view(self._clock.now()))

    def _take(self, spec: JobSpec) -> httpx.Response:
        present = self.orders.get(spec.job_id)
        if present is not None and present.spec.digest() == spec.digest():
            return told(present.view(self._clock.now()))
        if present is not None and (present.end is None or spec.attempt <= present.spec.attempt):
            return refusal(409, "job-differs")
        if self.draining:
            return refusal(503, "draining")
        self.orders[spec.job_id] = Order(spec, self._work(spec), self.stores)
        return told(self.orders[spec.job_id].view(self._clock.now()))

    def _delete(self, job_id: str, order: Order) -> httpx.Response:
        state = order.state()[0]
        if state is _S.DELIVERING:
            return refusal(409, "undelivered")
        if order.end is not None:
            del self.orders[job_id]
            return httpx.Response(204)
        order.end = (_S.STOPPED, _R.ASKED_TO_STOP, "")
        return told(order.view(self._clock.now()))

    def _log(self, request: httpx.Request, order: Order) -> httpx.Response:
        text = order.logs[request.url.params["stream"]]
        offset = int(request.url.params["offset"])
        return httpx.Response(200, content=text[offset:], headers={routes.NEXT_OFFSET_HEADER: str(len(text))})

    def _bring(self, request: httpx.Request, order: Order) -> httpx.Response:
        start = int(request.headers.get("Content-Range", "bytes 0-").split()[1].split("-")[0])
        if start != len(order.came) or order.complete:
            return refusal(409, "wrong-offset", retryable=True)
        if order.state()[0] not in _TAKES_INPUT:
            return refusal(409, "not-fetching")
        order.came += request.content
        self._move_on()
        return told(SlotProgress(received=len(order.came), size=order.spec.inputs[0].size, complete=order.complete))

    def _fetch(self, request: httpx.Request, order: Order, slot: str) -> httpx.Response:
        if order.receipt is None:
            return refusal(409, "not-ready", retryable=True)
        data, entry = order.outputs[slot], order.receipt.output(slot)
        if request.method == "GET":
            start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            return httpx.Response(206 if start else 200, content=data[start:])
        found = OutputReceived.model_validate_json(request.content)
        if (found.size, found.sha256) != (entry.size, entry.sha256):
            return refusal(409, "digest-differs", retryable=True)
        order.fetched.add(slot)
        if order.fetched == set(order.outputs) and order.end is None:
            order.end = (_S.DELIVERED, _R.NONE, "")
        return told(order.view(self._clock.now()))


class Agents:
    """The network between the laptop and its agents: who answers at which address."""

    def __init__(self) -> None:
        self.by_address: dict[Address, AgentDouble] = {}

    def open_channel(self, address: Address, secret: LeaseSecret) -> AgentChannel:
        """Open a channel whose requests go to whoever answers at the address at that moment."""

        async def handle(request: httpx.Request) -> httpx.Response:
            await request.aread()
            agent = self.by_address.get(address)
            if agent is None:
                raise httpx.ConnectError("nobody is there", request=request)
            return agent.answer(request)

        return AgentChannel(address, secret, transport=httpx.MockTransport(handle))


def entry_of(slot: str, name: str, data: bytes, chunk_bytes: int = 8 << 20) -> OutputReceipt:
    """Write a receipt's entry for these bytes."""
    hasher = ChunkHasher(chunk_bytes)
    hasher.update(data)
    return hasher.receipt(slot, name, f"relay:{slot}")


def told(message: Wire) -> httpx.Response:
    """Answer with a message of the contract."""
    return httpx.Response(200, content=message.model_dump_json(), headers={"Content-Type": "application/json"})


def refusal(status: int, name: str, *, retryable: bool = False, **more: Any) -> httpx.Response:
    """Answer with a problem."""
    body = {"type": problem_type(name), "title": name, "status": status, "retryable": retryable, **more}
    return httpx.Response(status, json=body, headers={"Content-Type": routes.PROBLEM_MEDIA_TYPE})
