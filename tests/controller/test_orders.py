"""Orders and grants: what an agent is told to do, and the little that it may touch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.desk import Desk
from controller.ledger import Job
from controller.orders import grants_for, order_for, sources_of
from framehaul.contract.grants import HttpGet, RelayIn, RelayOut
from framehaul.contract.naming import params_digest
from framehaul.pipelines.catalogue import load_pipeline
from framehaul.storage.base import Stores
from tests.controller.desks import HOUR, a_batch, a_job_row, a_lease

BATCH = a_batch(params_digest=params_digest("copy", {}, None))


@pytest.fixture
def job(desk: Desk) -> Job:
    """A planned job."""
    desk.ledger.add_batch(BATCH, [a_job_row()])
    return desk.ledger.job("b-1-00001")


def test_an_order_says_what_to_make_of_what_and_nothing_of_where(job: Job) -> None:
    """The input by name, size and fingerprint; the pipeline by its digest; no address, no path."""
    spec = order_for(job, BATCH)

    assert (spec.job_id, spec.attempt, spec.pipeline) == ("b-1-00001", 1, "copy")
    assert spec.pipeline_digest == load_pipeline("copy").card().digest()
    assert [(entry.name, entry.size, entry.fingerprint) for entry in spec.inputs] == [("clip1.mp4", 10, "disk:10:1")]
    assert b"nowhere" not in spec.canonical()


def test_a_retry_is_the_same_order_but_for_its_number(desk: Desk, job: Job) -> None:
    """The same names, the same hour: whatever the first try left can be recognized."""
    first = order_for(job, BATCH)
    tried = desk.ledger.begin_attempt(job, a_lease(), first.model_dump(mode="json"))

    second = order_for(tried, BATCH)

    assert second.attempt == 2
    assert second.model_copy(update={"attempt": 1}) == first


def test_a_file_of_the_laptop_s_is_relayed(job: Job) -> None:
    """Also where agent and laptop are one machine: a path of one is no path of the other."""
    granted = grants_for(order_for(job, BATCH), {"source": job.source}, Stores(), HOUR, generation=3)

    assert granted.inputs == {"source": RelayIn()}
    assert granted.outputs == {"result": RelayOut(), "manifest": RelayOut()}
    assert (granted.job_id, granted.attempt, granted.generation) == ("b-1-00001", 1, 3)
    assert not granted.uses_files()


def test_what_lies_on_the_web_is_fetched_by_the_agent(job: Job) -> None:
    """It gets the address, which prints as stars."""
    source = "https://example.invalid/clip.mp4?signature=secret"

    grant = grants_for(order_for(job, BATCH), {"source": source}, Stores(), HOUR, generation=1).inputs["source"]

    assert isinstance(grant, HttpGet)
    assert grant.url.get_secret_value() == source
    assert "secret" not in f"{grant!r} {grant}"


def test_a_file_that_travels_along_is_one_more_input_by_its_bytes(job: Job) -> None:
    """A network of the person's own: named by its last part, pinned by its fingerprint, relayed like an input."""
    asset = {"slot": "model", "source": "file:///home/me/nets/anime.pth", "name": "anime.pth"}
    batch = replace(BATCH, options={"assets": [{**asset, "size": 7, "fingerprint": "disk:7:a"}]})

    spec = order_for(job, batch)
    granted = grants_for(spec, sources_of(job, batch), Stores(), HOUR, generation=1)

    assert [(entry.slot, entry.name, entry.size) for entry in spec.inputs[1:]] == [("model", "anime.pth", 7)]
    assert granted.inputs == {"source": RelayIn(), "model": RelayIn()}
    assert b"/home/me" not in spec.canonical() + granted.canonical()


@pytest.mark.parametrize(
    ("estimate_s", "longest_s"),
    [(None, 24 * 3600.0), (10.0, 2 * 3600.0), (3600.0, 3 * 3600.0)],
    ids=["first of its kind", "a short one", "a long one"],
)
def test_a_worker_s_time_is_bounded_by_the_estimate(job: Job, estimate_s: float | None, longest_s: float) -> None:
    """Two hours at least, three times what such work took before, a day where nobody knows."""
    figures = {} if estimate_s is None else {"estimate_s": estimate_s}

    assert order_for(replace(job, figures=figures), BATCH).limits.max_run_s == longest_s
