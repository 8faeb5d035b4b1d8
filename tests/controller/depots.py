"""A batch at work between buckets: its machines read and write by themselves, by grants alone."""

from __future__ import annotations

from typing import Any

from controller.ledger import Batch, Job, Lease
from controller.recovery import find_receipt
from framehaul.contract.receipt import Receipt
from framehaul.contract.states import LeaseState
from tests.controller.agents import Order
from tests.controller.buckets import Bucket, BucketStores
from tests.controller.sites import Site


class Depot(Site):
    """A laptop whose inputs lie in b2://clips/in/, and whose results go to b2://clips/out/."""

    @property
    def bucket(self) -> Bucket:
        """Give the bucket."""
        stores = self.desk.stores
        assert isinstance(stores, BucketStores)
        return stores.bucket("clips")

    def plan(self, *names: str, **settings: Any) -> Batch:
        """Lay inputs into the bucket, and write a batch that copies them."""
        for name in names:
            self.bucket.objects[f"in/{name}"] = f"the bytes of {name}".encode() * 100
        fields = {"inputs": tuple(f"b2://clips/in/{name}" for name in names), "to": "b2://clips/out/"}
        return self.written(**(fields | settings))

    def result(self, job: Job) -> bytes:
        """Read a job's output."""
        return self.bucket.objects[f"out/{job.outputs[0].name}"]

    def results(self) -> list[str]:
        """List what lies below the output prefix; markers, receipts and the report aside."""
        return [key.removeprefix("out/") for key in sorted(self.bucket.objects) if _is_result(key)]

    def order(self) -> Order:
        """Give the only order on the first machine."""
        (order,) = self.cloud.the().agent.orders.values()
        return order

    def receipt(self, number: int = 1) -> Receipt | None:
        """Read the receipt that a job's agent left."""
        job = self.job(number)
        batch = self.desk.ledger.batch(job.batch_id)
        assert batch is not None
        return find_receipt(self.desk, batch, job)

    def lease(self) -> Lease:
        """Give the latest lease."""
        return self.desk.ledger.leases()[-1]

    def lease_is_gone(self) -> bool:
        """Say whether the latest machine is proven gone."""
        return self.lease().state is LeaseState.GONE

    def markers(self) -> list[str]:
        """List the done-markers."""
        return [key for key in self.bucket.objects if key.startswith("out/.framehaul/done/")]

    def assert_all_is_well(self) -> None:
        """Hold that every job is published with its own bytes, and that nothing bills: no machine, no upload."""
        for job in self.desk.ledger.jobs():
            assert job.state == "published"
            assert self.result(job) == self.bucket.objects[f"in/{job.name}"]
            assert f"out/{job.manifest_name}" in self.bucket.objects
        assert self.bucket.begun == {}
        assert self.desk.ledger.open_uploads() == []
        self.assert_nothing_bills()


def _is_result(key: str) -> bool:
    return key.startswith("out/") and "/.framehaul/" not in key and not key.endswith("results.json")
