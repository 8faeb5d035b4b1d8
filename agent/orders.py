"""Judge what a controller sends before any of it is kept."""

from __future__ import annotations

import ipaddress

import httpx

from agent.errors import Refusal
from agent.jobs.job import Job
from framehaul.contract.grants import GrantSet, MultipartPut
from framehaul.contract.pipeline import PipelineCard
from framehaul.contract.spec import RECEIPT_SLOT, JobSpec
from framehaul.contract.states import AttemptState
from framehaul.errors import BadParams
from framehaul.pipelines.catalogue import load_pipeline, pipeline_names

SERVED = ("http-get", "relay-in", "relay-out", "multipart-put")
SERVED_ON_OWN_DISK = ("file-in", "file-out")

_FAILED = frozenset({AttemptState.FAILED, AttemptState.STOPPED})


def judge_spec(spec: JobSpec) -> None:
    """Refuse an order that this agent's code would not carry out as it was planned."""
    if spec.pipeline not in pipeline_names():
        known = ", ".join(pipeline_names())
        raise Refusal(
            422, "unknown-pipeline", f"There is no pipeline {spec.pipeline!r} here.", advice=f"Known: {known}."
        )
    pipeline = load_pipeline(spec.pipeline)
    card = pipeline.card()
    if card.digest() != spec.pipeline_digest:
        sentence = f"The agent's {spec.pipeline} is another version than the one that was planned with."
        raise Refusal(409, "pipeline-differs", sentence, advice="Rent with the image that belongs to this controller.")
    try:
        pipeline.parse(spec.params)
    except BadParams as exc:
        raise Refusal(422, "bad-params", exc.message, advice=exc.advice) from exc
    _judge_inputs(spec, card)
    strange = [output.slot for output in spec.outputs if output.slot not in card.slots]
    if strange:
        raise Refusal(422, "unknown-slot", f"{spec.pipeline} has no output slots {', '.join(strange)}.")


def judge_replacement(present: Job, spec: JobSpec) -> bool:
    """Say whether the order is the one that is here (False), or a next attempt (True); refuse anything else."""
    if present.spec.digest() == spec.digest():
        return False
    if spec.attempt > present.spec.attempt and present.status.state in _FAILED:
        return True
    sentence = f"Another order lies under {spec.job_id}: attempt {present.spec.attempt}, {present.status.state}."
    raise Refusal(409, "job-differs", sentence, advice="A next attempt is taken once the present one has failed.")


def judge_grants(job: Job, grants: GrantSet, served: tuple[str, ...]) -> bool:
    """Say whether the grants are news (True) or known already (False); refuse what cannot be used."""
    spec = job.spec
    if (grants.job_id, grants.attempt) != (spec.job_id, spec.attempt):
        sentence = f"These grants are for {grants.job_id}, attempt {grants.attempt}; here is attempt {spec.attempt}."
        raise Refusal(409, "stale-grants", sentence)
    if job.grants and grants.generation <= job.grants.generation:
        if grants.digest() == job.grants.digest():
            return False
        sentence = f"Generation {grants.generation} came; generation {job.grants.generation} is here."
        raise Refusal(409, "stale-grants", sentence, advice="Send a higher generation.")
    if job.final:
        raise Refusal(409, "job-is-final", f"The attempt is {job.status.state}; grants are of no use to it.")
    for slot, grant in (*grants.inputs.items(), *grants.outputs.items()):
        if grant.kind not in served:
            raise Refusal(422, "grant-not-served", f"This agent serves no {grant.kind} grants (slot {slot}).")
    _same_slots("input", {entry.slot for entry in spec.inputs}, set(grants.inputs))
    _same_slots("output", _output_slots(spec, grants), set(grants.outputs))
    for slot, grant in grants.outputs.items():
        if isinstance(grant, MultipartPut):
            _judge_addresses(slot, grant)
    return True


def _output_slots(spec: JobSpec, grants: GrantSet) -> set[str]:
    """Name what is to be granted: where all goes to a store, the receipt does too: nobody may come for it."""
    every = all(isinstance(grant, MultipartPut) for grant in grants.outputs.values())
    return set(spec.output_names()) | ({RECEIPT_SLOT} if every else set())


def _judge_addresses(slot: str, grant: MultipartPut) -> None:
    """Refuse what is no address of the web, and plain http beyond this machine, where a signature could be seen."""
    for secret in (*grant.part_urls, grant.complete_url, grant.abort_url, grant.read_back_url):
        try:
            url = httpx.URL(secret.get_secret_value())
        except httpx.InvalidURL:
            url = httpx.URL("")
        if not url.host or (url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host))):
            raise Refusal(422, "bad-address", f"A grant of the slot {slot} holds an address that is not https.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _judge_inputs(spec: JobSpec, card: PipelineCard) -> None:
    takes = card.takes
    count = sum(entry.slot not in card.asset_slots for entry in spec.inputs)
    if count < takes.at_least or (takes.at_most is not None and count > takes.at_most):
        most = takes.at_most if takes.at_most is not None else "any number"
        sentence = f"{spec.pipeline} takes {takes.at_least} to {most} inputs, not {count}."
        raise Refusal(422, "bad-inputs", sentence)
    limit = spec.limits.max_input_bytes
    for entry in spec.inputs:
        if entry.size is not None and entry.size > limit:
            sentence = f"{entry.name} has {entry.size} bytes; the limit is {limit}."
            raise Refusal(422, "input-too-big", sentence, advice="Raise max_input_bytes if this is meant.")


def _same_slots(what: str, wanted: set[str], granted: set[str]) -> None:
    if wanted != granted:
        lacking, strange = sorted(wanted - granted), sorted(granted - wanted)
        raise Refusal(422, "slots-differ", f"{what} grants: lacking {lacking}, unknown {strange}.")
