"""A bucket that can be broken on purpose, grants signed for it, and attempts whose work is done."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
from pydantic import SecretStr

from agent.attempts.delivery import deliver
from agent.attempts.inputs import Inputs
from agent.attempts.outbox import Outbox
from agent.attempts.queue import Queue
from agent.attempts.room import Room
from agent.attempts.storeline import StoreClient
from agent.jobs.job import Job
from agent.jobs.journal import COMPUTED, PART
from agent.worker import WorkerKeeper
from framehaul.clock import Clock, ManualClock
from framehaul.contract.grants import HttpGet, MultipartPut, OutputGrant
from framehaul.contract.jobdir import JobDir
from framehaul.contract.naming import receipt_name
from framehaul.contract.receipt import Sentinel
from framehaul.contract.spec import RECEIPT_SLOT, JobSpec
from framehaul.contract.states import AttemptReason, AttemptState
from framehaul.contract.uris import Uri
from framehaul.contract.wire import Json
from framehaul.storage.accounts import Account
from framehaul.storage.base import Upload
from framehaul.storage.s3 import S3Store, open_store
from tests.agent.letters import grants, order
from tests.agent.patience import eventually
from tests.emulators.s3_faults import S3Faults
from tests.rclone import Rclone

FIRST_PART_BYTES = 64 << 10
_HOUR = 3600.0
# Signing costs a millisecond a part; the result that `film` makes has eight.
_PARTS = {"result": 10}


def film(size: int = 600_000, seed: int = 1) -> bytes:
    """Make bytes of which no two parts are alike."""
    return Random(seed).randbytes(size)


class Skipping(ManualClock):
    """A clock on which whoever sleeps is late at once; `naps` remembers for how long they wanted to."""

    def __init__(self) -> None:
        super().__init__()
        self.naps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Be later, and let the others go on."""
        self.naps.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


class Vault:
    """The bucket `results` of a real server, behind the proxy that faults are asked of."""

    def __init__(self, server: Rclone, name: str, clock: Clock) -> None:
        self.folder = server.bucket(name)
        self.proxy = S3Faults(server.endpoint)
        self._bucket = name
        self._clock = clock
        self._store = self._open(server, server.endpoint)  # not through the proxy: its log is for what agents ask
        self._signer = self._open(server, self.proxy.endpoint)

    def close(self) -> None:
        """Free the port and the connections."""
        self.proxy.close()
        for store in (self._store, self._signer):
            store.close()

    def place(self, name: str) -> Uri:
        """Say where an object of this name is put."""
        return Uri("s3", self._bucket, f"out/{name}")

    def begin(self, name: str) -> str:
        """Open an upload."""
        return self._store.begin_upload(self.place(name))

    def end(self, name: str, upload_id: str) -> None:
        """Abort an upload, as a controller would that gives the job to somebody else."""
        self._store.abort_upload(Upload(self.place(name), upload_id))

    def sign(self, name: str, upload_id: str, *, for_s: float = _HOUR, parts: int = 2) -> MultipartPut:
        """Grant writing to an open upload, in small parts."""
        upload = Upload(self.place(name), upload_id)
        grant = self._signer.sign_upload(upload, parts=parts, expires_at=self._clock.now() + for_s)
        return grant.model_copy(update={"first_part_bytes": FIRST_PART_BYTES})

    def outputs(
        self, spec: JobSpec, uploads: dict[str, str] | None = None, *, for_s: float = _HOUR
    ) -> dict[str, OutputGrant]:
        """Grant every slot of an order, and the receipt's; for uploads that are open already where they are given."""
        ids = uploads or self.uploads(spec)
        return {
            slot: self.sign(name, ids[slot], for_s=for_s, parts=_PARTS.get(slot, 2))
            for slot, name in names(spec).items()
        }

    def uploads(self, spec: JobSpec) -> dict[str, str]:
        """Open an upload for every slot."""
        return {slot: self.begin(name) for slot, name in names(spec).items()}

    def leftovers(self) -> list[Upload]:
        """List the uploads that were never ended."""
        return list(self._store.uploads(Uri("s3", self._bucket, "")))

    def read(self, name: str) -> bytes | None:
        """Give what lies under a name."""
        path = self.folder / "out" / name
        return path.read_bytes() if path.exists() else None

    def lay(self, name: str, data: bytes) -> None:
        """Put an object there by hand."""
        self._store.put(self.place(name), [data], replace=True)

    def reading(self, name: str, *, for_s: float = _HOUR) -> HttpGet:
        """Grant reading an object, through the proxy."""
        grant = self._signer.grant(self.place(name), "read", expires_at=self._clock.now() + for_s)
        assert isinstance(grant, HttpGet)
        return grant

    def fingerprint(self, name: str) -> str:
        """Give what the store calls the content that lies there now."""
        return self._store.stat(self.place(name)).fingerprint

    def sent_parts(self, name: str = "job-1.mp4", **wanted: object) -> list[int]:
        """List the numbers of the parts that were put, in the order in which they came to the proxy."""
        asked = self.proxy.log(operation="UploadPart", **wanted)
        return [int(entry["query"]["partNumber"]) for entry in asked if entry["key"].endswith(name)]

    def _open(self, server: Rclone, endpoint: str) -> S3Store:
        keys = Account(SecretStr(server.key_id), SecretStr(server.secret), None, endpoint, "us-east-1", path_style=True)
        return open_store(self.place("x"), keys, self._clock)


def names(spec: JobSpec) -> dict[str, str]:
    """Map every slot that is uploaded to its name below the target."""
    return spec.output_names() | {RECEIPT_SLOT: receipt_name(spec.job_id, spec.attempt)}


class Attempt:
    """An attempt whose work is done and lies on the disk, and its delivery, which can be cut off and taken up."""

    def __init__(self, home: Path, vault: Vault, clock: Clock, data: bytes, *, job_id: str = "job-1") -> None:
        self.vault = vault
        self.data = data
        self.spec = order(job_id, data)
        self.uploads = vault.uploads(self.spec)
        self._clock = clock
        self._folder = JobDir.under(home, job_id)
        self._delivery: asyncio.Task[None] | None = None
        self.job = self._work_done()
        self.renew(1)

    def renew(self, generation: int, uploads: dict[str, str] | None = None, *, for_s: float = 3600.0) -> None:
        """Send a generation of grants, for the same uploads unless others are named."""
        self.uploads = uploads or self.uploads
        self._send(generation, self.vault.outputs(self.spec, self.uploads, for_s=for_s))

    def grant(self, generation: int, **others: OutputGrant) -> None:
        """Send a generation of which some grants are the test's own."""
        self._send(generation, self.vault.outputs(self.spec, self.uploads) | others)

    def restart(self) -> None:
        """Let another agent find the folder."""
        self.job = Job.load(self._folder, self._clock, 1)

    @asynccontextmanager
    async def delivery(self, *, stall_s: float = 60.0) -> AsyncIterator[asyncio.Task[None]]:
        """Deliver for the length of a block."""
        async with httpx.AsyncClient(trust_env=False) as client:
            outbox = Outbox(StoreClient(client, self._clock, stall_s), self._clock)
            task = asyncio.create_task(deliver(self.job, self._clock, outbox, None))
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def queued(
        self,
        store: type[StoreClient] = StoreClient,
        *,
        receipt_copy: Path | None = None,
        line: httpx.AsyncBaseTransport | None = None,
    ) -> AsyncIterator[Queue]:
        """Let a queue take the attempt up, as an agent does that was started again, for the length of a block."""
        with httpx.Client() as fetching:
            async with httpx.AsyncClient(transport=line, trust_env=False) as client:
                outbox = Outbox(store(client, self._clock, 60.0), self._clock)
                inputs = Inputs(fetching, self._clock, Room(lambda: [self.job], self._clock))
                queue = Queue(inputs, WorkerKeeper(self._clock, os.environ), outbox, self._clock, receipt_copy)
                queue.take_up([self.job])
                try:
                    yield queue
                finally:
                    await queue.close()

    async def delivered(self, *, stall_s: float = 60.0) -> None:
        """Deliver to the end."""
        async with self.delivery(stall_s=stall_s) as task:
            await asyncio.wait_for(task, 120)

    async def waits_for_grants(self, word: str = "") -> str:
        """Wait until only other grants can help, for a reason with this word in it; give what is told of it."""

        def waits() -> bool:
            status = self.job.status
            return status.reason == AttemptReason.GRANTS_EXPIRED and word in status.message

        await eventually(waits)
        return self.job.status.message

    def noted_parts(self) -> set[int]:
        """Give the numbers of the result's parts of which the journal tells."""
        return {
            int(str(entry["number"])) for entry in self.job.journal.since(COMPUTED, PART) if entry["slot"] == "result"
        }

    def story(self) -> str:
        """Read the log of the attempt."""
        return self.job.folder.progress_log.read_text()

    def assert_delivered(self) -> None:
        """Hold that the objects in the store are exactly what was made, and that no upload is left open."""
        assert self.job.status.state is AttemptState.DELIVERED
        assert self.vault.read("job-1.mp4") == self.data
        assert self.job.receipt is not None
        manifest = self.job.receipt.output("manifest")
        assert hashlib.sha256(self.vault.read(manifest.name) or b"").hexdigest() == manifest.sha256
        assert self.vault.read(receipt_name("job-1", 1)) == self.job.receipt.canonical()
        assert Sentinel.model_validate_json(self.job.folder.sentinel.read_bytes()).vouches_for(self.job.receipt)
        assert self.vault.leftovers() == []
        assert list(self.job.folder.outputs.iterdir()) == []

    def assert_kept(self) -> None:
        """Hold that the result lies on the machine's disk still, whole."""
        assert self.job.status.state is AttemptState.DELIVERING
        assert self.job.output_path("result").read_bytes() == self.data

    def _send(self, generation: int, outputs: dict[str, OutputGrant]) -> None:
        self.job.accept_grants(grants(self.spec, generation, outputs=outputs))

    def _work_done(self) -> Job:
        job = Job.create(self._folder, self.spec, self._clock, 1)
        for state in (AttemptState.FETCHING, AttemptState.RUNNING):
            job.move(state)
        job.output_path("result").write_bytes(self.data)
        facts: dict[str, Json] = {"environment": {}, "stage_seconds": {}, "details": {}}
        now = self._clock.now()
        job.journal.add(COMPUTED, outputs={"result": len(self.data)}, started_at=now, finished_at=now, **facts)
        job.move(AttemptState.DELIVERING, stage="hash")
        return job
