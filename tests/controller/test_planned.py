"""A plan of very many jobs, told: a person sees the beginning, a machine all of it, and nobody holds it in memory."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from rich.console import Console

from controller.demo import SAMPLE
from controller.inputs import Refusal, Source
from controller.jobsheet import PlannedJob, PlannedJobs
from controller.planned import Plan, plan_as_json
from controller.planning import write_batch
from controller.terminal.console import print_json
from controller.terminal.tables import MOST_SHOWN, show_plan
from framehaul.contract.pipeline import Estimate, Needs
from framehaul.contract.spec import OutputSlot
from framehaul.contract.uris import parse_uri
from tests.controller.desks import HOUR
from tests.controller.folders import Folder

COUNT = 1_200


def many(count: int = COUNT) -> Plan:
    """Write a plan of copies, with as many inputs that are done, and as many that are refused."""
    plan = Plan("copy", {}, "0" * 64, parse_uri("s3://clips/out/"), "local", HOUR)
    for number in range(count):
        name = f"{number:05}.mp4"
        source = Source(parse_uri(f"s3://clips/in/{name}"), name, "", number, f"s3:etag:{number}")
        output = OutputSlot(slot="result", name=f"{name}.out")
        plan.jobs.append(PlannedJob(source, (output,), None, Needs(disk_gb=number), Estimate(), notes=("odd",)))
        plan.done.append(source)
        plan.refused.append(Refusal(str(source.uri), "for no reason"))
    return plan


def shown(plan: Plan) -> list[str]:
    """Print it for a person."""
    console = Console(file=io.StringIO(), width=200)
    show_plan(console, plan)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_sums_are_kept_as_jobs_come() -> None:
    """Of all jobs, and of the largest two: one runs, one waits."""
    plan = many()

    assert plan.disk_gb == pytest.approx(COUNT - 1 + COUNT - 2 + 1)
    assert plan.work == pytest.approx(sum(range(COUNT)) / 1e9)
    assert plan.needs == Needs(disk_gb=plan.disk_gb)


def test_a_job_that_lay_on_disk_is_the_job_that_was_planned(folder: Folder) -> None:
    """With all that was read of its header."""
    folder.write("a.mp4", SAMPLE)
    (job,) = folder.plan_videos().jobs

    jobs = PlannedJobs.of([job] * 1_001)

    assert jobs[0] == job
    assert jobs[0] is not job, "read back"
    assert jobs[0].media == job.media


def test_a_person_is_shown_the_beginning() -> None:
    """And told how many more there are, of each kind."""
    lines = shown(many())

    assert sum(line.startswith("0") for line in lines) == 2 * MOST_SHOWN, "a row each, and a note"
    assert f"... and {COUNT - MOST_SHOWN} more jobs: all of them with --json" in lines
    assert f"... and {COUNT - MOST_SHOWN} more refused inputs: all of them with --json" in lines
    assert f"{COUNT} jobs of copy (no parameters)" in lines
    assert not [line for line in shown(many(5)) if line.startswith("...")]


def test_a_machine_is_told_all_of_it_piece_by_piece(capsys: pytest.CaptureFixture[str]) -> None:
    """As one JSON document, whose lists are made while they are written."""
    plan = many()
    tracemalloc.start()
    document = plan_as_json(plan)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    print_json(document)
    told = json.loads(capsys.readouterr().out)

    assert held < 100_000
    assert [job["input"] for job in told["jobs"]] == [f"s3://clips/in/{number:05}.mp4" for number in range(COUNT)]
    assert (len(told["done"]), len(told["refused"]), told["under_way"], told["remarks"]) == (COUNT, COUNT, [], [])
    assert document["jobs"][1:3] == told["jobs"][1:3]


def test_what_a_job_takes_of_the_disk_is_written_down_with_it(folder: Folder) -> None:
    """The agent waits with the next input until so much is free."""
    folder.write("a.mp4", b"x" * 1000)

    batch_id = folder.write_down(folder.plan())

    (job,) = folder.desk.ledger.jobs(batch_id=batch_id)
    assert job.figures["disk_bytes"] == 2000


def test_a_batch_of_a_second_that_is_taken_names_its_results_by_the_next(folder: Folder) -> None:
    """Every one of them, though the plan had named them already."""
    folder.write("a.mp4", b"a")
    folder.write("b.mp4", b"b")
    plan, settings, ledger = folder.plan(), folder.settings(), folder.desk.ledger

    first, second = write_batch(plan, settings, ledger), write_batch(plan, settings, ledger)

    assert (first.created_at, second.created_at) == (HOUR, HOUR + 1)
    assert [job.outputs[0].name for job in ledger.jobs(batch_id=second.id)] == [
        "a_result_20270115_080001.mp4",
        "b_result_20270115_080001.mp4",
    ]
