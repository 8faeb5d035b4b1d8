"""Retries: what failed is planned anew, as it was meant, where it was meant to go."""

from __future__ import annotations

from typing import Any

from controller.desk import Desk
from controller.ledger import Batch
from controller.planning import write_batch
from controller.retrying import failed_jobs, latest_failed, replan
from controller.settings import Settings
from framehaul.contract.states import JobReason, JobState
from tests.controller.desks import HOUR, a_batch, a_job_row
from tests.controller.endings import failed, published
from tests.controller.folders import Folder, names, outputs, refusals


def ended(folder: Folder, desk: Desk, *bad: str) -> Batch:
    """Let a batch end in which these failed, and the rest was done."""
    plan = folder.plan(params={"rate_bytes_s": 77}, verify="full")
    batch = write_batch(plan, folder.settings(verify="full", preview=True, max_instances=3), desk.ledger)
    for job in desk.ledger.jobs(batch_id=batch.id):
        if job.name in bad:
            desk.ledger.move_job(job.id, JobState.EXCLUDED, JobReason.ATTEMPT_FAILED, message="stalled: no word")
    return batch


def test_only_what_failed_is_planned_again(folder: Folder, desk: Desk) -> None:
    """Same parameters, same place, same folders below it, same wishes; new names, since it is a new batch."""
    folder.write("good.bin", b"1")
    folder.write("deep/er/bad.bin", b"2")
    batch = ended(folder, desk, "bad.bin")

    settings, plan = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))
    again = write_batch(plan, settings, desk.ledger)

    assert names(plan) == ["deep/er/bad.bin"]
    assert outputs(plan)[0].startswith("deep/er/bad_result_")
    assert (again.params, again.target, again.provider) == (batch.params, batch.target, batch.provider)
    assert again.params_digest == batch.params_digest
    assert {key: again.options[key] for key in ("verify", "preview", "max_instances")} == {
        "verify": "full",
        "preview": True,
        "max_instances": 3,
    }


def test_files_that_travelled_along_do_so_again(folder: Folder, desk: Desk) -> None:
    """They are pinned as they were: the parameters no longer say where they lie."""
    asset = {"slot": "model", "source": "file:///w.pth", "name": "w.pth", "size": 3, "fingerprint": "disk:3:x"}
    source = folder.write("a.bin")
    batch = a_batch(target=f"file://{folder.outputs}/", options={"assets": [asset]})
    desk.ledger.add_batch(batch, [failed(1, source=source.as_uri(), name="a.bin")])

    _, plan = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))

    assert plan.assets == batch.assets
    assert [found.name for found in plan.assets] == ["w.pth"]


def test_an_input_that_is_gone_is_refused_and_the_rest_is_done(folder: Folder, desk: Desk) -> None:
    """One file that was deleted since keeps no other from its second chance."""
    folder.write("a.bin", b"1")
    gone = folder.write("b.bin", b"2")
    batch = ended(folder, desk, "a.bin", "b.bin")
    gone.unlink()

    _, plan = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))

    assert names(plan) == ["a.bin"]
    assert refusals(plan) == {"b.bin": "it is no longer there"}


def test_what_was_done_since_is_not_done_again(folder: Folder, desk: Desk) -> None:
    """A marker says so, as for any plan."""
    folder.write("a.bin", b"1")
    batch = ended(folder, desk, "a.bin")
    folder.finish(folder.plan(params={"rate_bytes_s": 77}))

    _, plan = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))

    assert (names(plan), len(plan.done)) == ([], 1)


def test_what_was_to_be_done_again_is_retried(folder: Folder, desk: Desk) -> None:
    """--no-skip-existing is remembered: the marker is of the time before; what a later batch did is done."""
    folder.write("a.bin", b"1")
    plan = folder.plan()
    folder.finish(plan)
    batch = write_batch(folder.plan(redo=True), folder.settings(redo=True), desk.ledger)
    desk.ledger.move_job(f"{batch.id}-00001", JobState.EXCLUDED, JobReason.ATTEMPT_FAILED)

    settings, again = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))
    same: dict[str, Any] = {"params_digest": batch.params_digest, "target": batch.target}
    done = published(batch_id="b-2", id="b-2-00001", fingerprint=plan.jobs[0].source.fingerprint)
    desk.ledger.add_batch(a_batch("b-2", created_at=batch.created_at + 1, **same), [done])
    _, third = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))

    assert (names(again), settings.redo) == (["a.bin"], True)
    assert (names(third), [source.name for source in third.done]) == ([], ["a.bin"])


def test_results_of_two_folders_need_no_numbers(folder: Folder, desk: Desk) -> None:
    """x.bin of two folders goes back into both: names that do not meet are left alone."""
    folder.write("a/x.bin", b"1")
    folder.write("b/x.bin", b"2")
    batch = ended(folder, desk, "x.bin")

    _, plan = replan(desk, Settings(), batch, failed_jobs(desk.ledger, batch))

    assert names(plan) == ["a/x.bin", "b/x.bin"]
    assert len({name.split("/")[1] for name in outputs(plan)}) == 1


def test_the_latest_batch_with_failures_is_found(desk: Desk) -> None:
    """Later ones that went well do not hide it; where nothing failed there is none."""
    assert latest_failed(desk.ledger) is None
    for number, rows in enumerate([[failed(1)], [published(1), failed(2)], [a_job_row()]]):
        named = [{**row, "batch_id": f"b-{number}", "id": f"b-{number}-{row['seq']}"} for row in rows]
        desk.ledger.add_batch(a_batch(f"b-{number}", created_at=HOUR + number), named)

    found = latest_failed(desk.ledger)

    assert found is not None
    assert found.id == "b-1"
    assert [job.name for job in failed_jobs(desk.ledger, found)] == ["clip2.mp4"]
