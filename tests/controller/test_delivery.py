"""Results that go from machine to store without the laptop: granted, proven, and taken back when nobody delivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.ledger import Job
from controller.ledger.rows import WishWord
from controller.pulling import Found, found_at
from framehaul.contract.grants import HttpGet, MultipartPut, RelayIn, RelayOut
from framehaul.contract.naming import done_marker
from framehaul.contract.states import JobReason, JobState
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import AccessDenied, BadAccount, StoreFull
from tests.controller.agents import Work
from tests.controller.buckets import BucketStores
from tests.controller.depots import Depot
from tests.controller.desks import HOUR, heard

pytestmark = pytest.mark.usefixtures("one_thread")
DAY_S = 24 * 3600.0


def spoils_chunk(data: bytes) -> bytes:
    """Flip the last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


# -- there and back --------------------------------------------------------------------------------------------------


async def test_a_batch_goes_from_bucket_to_bucket_past_the_laptop(depot: Depot) -> None:
    """No byte of input or output passes through here; all is proven, marked, and every upload accounted for."""
    depot.plan("a.mp4", "b.mp4", "c.mp4")

    await depot.run()

    depot.assert_all_is_well()
    assert len(depot.markers()) == 3
    assert heard(depot.desk).transfers == []
    uploads = [upload for job in depot.desk.ledger.jobs() for upload in depot.desk.ledger.uploads(job.id)]
    assert sorted({upload.slot for upload in uploads}) == ["manifest", "receipt", "result"]
    assert len(uploads) == 9


async def test_an_upload_is_in_the_ledger_before_anybody_may_write_to_it(depot: Depot) -> None:
    """What was begun and is not written down nobody would ever end."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=600.0)
    known: list[int] = []
    begun = depot.bucket.begun
    depot.bucket.when_asked = lambda verb, uri: known.append(len(begun) - len(depot.desk.ledger.open_uploads()))

    depot.start()
    await depot.clock.until(lambda: depot.job().state is JobState.ASSIGNED and depot.order().grants)

    assert {row.upload_id for row in depot.desk.ledger.open_uploads()} == set(begun)
    assert max(known) == 0
    await depot.kill()


async def test_grants_hold_the_input_the_outputs_the_manifest_and_the_receipt(depot: Depot) -> None:
    """Many parts for what may be large, few for what is small; for a day, since the lease is as long."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=600.0)
    depot.start()
    await depot.clock.until(lambda: depot.cloud.machines and depot.cloud.machines[0].agent.orders)
    await depot.clock.pass_by(2.0)
    grants = depot.order().grants

    assert grants is not None
    assert isinstance(grants.inputs["source"], HttpGet)
    puts = {slot: put for slot, put in grants.outputs.items() if isinstance(put, MultipartPut)}
    assert {slot: len(put.part_urls) for slot, put in puts.items()} == {"result": 150, "manifest": 4, "receipt": 4}
    assert puts["receipt"].uri == f"b2://clips/out/.framehaul/receipts/{depot.job().id}.1.json"
    assert all(HOUR + DAY_S - 60 < put.expires_at <= HOUR + DAY_S + 60 for put in puts.values())
    await depot.kill()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_folder_on_one_side_goes_with_a_bucket_on_the_other(depot: Depot, tmp_path: Path, way: str) -> None:
    """What lies here passes through here; what lies there does not."""
    if way == "up":
        (tmp_path / "a.mp4").write_bytes(b"the bytes of a" * 100)
        depot.written(inputs=(str(tmp_path / "a.mp4"),), to="b2://clips/out/")
    else:
        depot.plan("a.mp4", to=str(depot.outputs))
    depot.cloud.work["m1"] = Work(seconds=5.0)
    depot.start()
    await depot.clock.until(lambda: depot.cloud.machines and depot.cloud.machines[0].agent.orders)
    await depot.clock.pass_by(1.0)
    grants = depot.order().grants
    assert grants is not None
    await depot.clock.until(lambda: depot.job().state is JobState.PUBLISHED)

    if way == "up":
        assert isinstance(grants.inputs["source"], RelayIn)
        assert isinstance(grants.outputs["result"], MultipartPut)
        assert depot.result(depot.job()) == b"the bytes of a" * 100
    else:
        assert isinstance(grants.inputs["source"], HttpGet)
        assert set(grants.outputs.values()) == {RelayOut()}
        assert (depot.outputs / depot.job().outputs[0].name).read_bytes() == depot.bucket.objects["in/a.mp4"]
    await depot.kill()


async def test_the_next_job_is_shipped_without_waiting_for_a_fetch_that_needs_nobody(depot: Depot) -> None:
    """Both machines' jobs have their grants though the first input has not come: then the lid may close."""
    depot.plan("a.mp4", "b.mp4")
    depot.bucket.when_asked = lambda verb, uri: None
    depot.cloud.work["m1"] = Work(seconds=600.0)
    depot.start()
    await depot.clock.pass_by(4.0)

    orders = depot.cloud.the().agent.orders.values()
    assert [order.grants is not None for order in orders] == [True, True]
    assert heard(depot.desk).overviews[-1].lid.why == "the machines have all that they need"
    assert heard(depot.desk).overviews[-1].lid.safe
    await depot.kill()


# -- what is in the way ----------------------------------------------------------------------------------------------


async def test_what_somebody_else_put_under_the_name_is_refused_before_anything_is_computed(depot: Depot) -> None:
    """Nothing is shipped for it, the other jobs go on, and the sentence says what to do."""
    depot.plan("a.mp4", "b.mp4")
    theirs = f"out/{depot.job().outputs[0].name}"
    depot.bucket.objects[theirs] = b"somebody else's"

    await depot.run()

    assert depot.states() == ["excluded", "published"]
    assert depot.bucket.objects[theirs] == b"somebody else's"
    assert depot.job().reason is JobReason.REFUSED
    assert "Something else lies at b2://clips/out/a_result_" in depot.job().message
    assert "framehaul retry" in depot.job().message
    assert (depot.bucket.begun, depot.desk.ledger.open_uploads()) == ({}, [])


async def test_what_an_earlier_attempt_put_there_is_written_over(depot: Depot) -> None:
    """Its machine was lost between the output and the receipt: the next attempt makes the same names."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=8.0)
    depot.start()
    await depot.clock.pass_by(4.0)
    order = depot.order()
    depot.bucket.agent_puts(order.puts()["result"], b"half of the truth")
    depot.cloud.vanish(depot.cloud.the())

    await depot.clock.until(lambda: depot.states() == ["published"])
    await depot.clock.until(lambda: not depot.cloud.alive())

    assert depot.job().attempt == 2
    assert depot.result(depot.job()) == depot.bucket.objects["in/a.mp4"]
    assert (depot.bucket.begun, depot.desk.ledger.open_uploads()) == ({}, [])
    await depot.kill()


async def test_a_key_that_may_not_write_lets_the_batch_wait_and_the_machine_go(depot: Depot) -> None:
    """Nobody pays for a night in which nothing can be put, no job is given up for it, and it is said once."""
    batch = depot.plan("a.mp4", "b.mp4", "c.mp4")
    depot.bucket.fault("begin_refused")

    await depot.run(within_s=60.0)

    assert depot.states() == ["planned"] * 3
    assert "may not write" in depot.job().message
    depot.assert_nothing_bills()
    (told,) = [said for said in heard(depot.desk).said if said.startswith(batch.id)]
    assert told.endswith("Then: framehaul resume")

    depot.bucket.mend()
    depot.desk.ledger.wish(WishWord.RUN, batch.id)
    await depot.run(within_s=120.0)

    depot.assert_all_is_well()


async def test_a_batch_whose_store_refuses_it_keeps_no_other_from_its_work(depot: Depot) -> None:
    """A bucket without rights pauses what goes there; what goes elsewhere is done."""
    paused, done = depot.plan("a.mp4"), depot.plan("b.mp4", to=str(depot.outputs))
    depot.bucket.fault("begin_refused")

    await depot.run(within_s=120.0)

    ledger = depot.desk.ledger
    assert [job.state for job in ledger.jobs(batch_id=paused.id)] == [JobState.PLANNED]
    assert [job.state for job in ledger.jobs(batch_id=done.id)] == [JobState.PUBLISHED]
    depot.assert_nothing_bills()


async def test_a_store_that_is_down_for_ten_minutes_costs_nothing_but_time(depot: Depot) -> None:
    """At the moment of shipping, of fetching and of delivering."""
    depot.plan("a.mp4", "b.mp4")
    depot.cloud.work["m1"] = Work(seconds=20.0)
    depot.start()
    for pause_s in (1.5, 12.0, 15.0):
        await depot.clock.pass_by(pause_s)
        depot.bucket.fault("down")
        await depot.clock.pass_by(3.0)
        depot.clock.advance(594.0)
        await depot.clock.pass_by(3.0)
        depot.bucket.mend()

    await depot.clock.until(lambda: not depot.cloud.alive() and depot.states() == ["published"] * 2)

    assert [job.attempt for job in depot.desk.ledger.jobs()] == [1, 1]
    assert len(depot.cloud.machines) == 1
    await depot.kill()


async def test_a_laptop_without_its_key_keeps_what_runs(depot: Depot) -> None:
    """A controller started from a shell that lacks the account waits, and says so; the result is not given up."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=8.0)
    depot.start()
    await depot.clock.pass_by(4.0)
    await depot.kill()
    stores = depot.cloud.stores
    assert stores is not None
    stores.locked = BadAccount("No key for b2:// addresses was found.", advice="Set B2_KEY.")

    depot.start()
    await depot.clock.pass_by(15.0)
    assert depot.states() == ["assigned"]
    assert any("Set B2_KEY" in said for said in heard(depot.desk).said)
    stores.locked = None

    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == 1
    await depot.kill()


async def test_an_input_whose_store_has_no_key_lets_the_batch_wait_before_any_upload_is_begun(depot: Depot) -> None:
    """Only the results' bucket opens: no machine is paid for while nobody can read the input."""
    stores = depot.desk.stores
    assert isinstance(stores, BucketStores)
    stores.bucket("other").objects["in/a.mp4"] = b"x" * 100
    depot.written(inputs=("b2://other/in/a.mp4",), to="b2://clips/out/")

    stores.locks["other"] = BadAccount("There is no key for b2://other.", advice="Set it.")
    await depot.run(within_s=60.0)

    assert depot.states() == ["planned"]
    assert "There is no key for b2://other" in depot.job().message
    assert [verb for verb in depot.bucket.asked if verb.startswith("begin")] == []
    depot.assert_nothing_bills()


async def test_a_cap_that_is_reached_between_two_uploads_leaves_none_and_no_machine(depot: Depot) -> None:
    """What was begun and granted to nobody is aborted; the batch waits."""
    depot.plan("a.mp4")
    begun: list[str] = []

    def capped(verb: str, uri: Uri) -> None:
        if verb == "begin" and len(begun) == 1:
            raise StoreFull("Transaction cap exceeded.")
        begun.extend([str(uri)] * (verb == "begin"))

    depot.bucket.when_asked = capped
    await depot.run(within_s=60.0)

    assert (len(begun), depot.states(), depot.bucket.begun) == (1, ["planned"], {})
    depot.assert_nothing_bills()


# -- the proof -------------------------------------------------------------------------------------------------------


async def test_a_machine_that_lied_cannot_write_over_what_another_one_delivered(depot: Depot) -> None:
    """It says delivered, has put nothing, and keeps its grants: they are worth nothing before the proof begins."""
    depot.plan("a.mp4")
    depot.cloud.work["m1"] = Work(seconds=3.0, lies=True)
    depot.start()
    await depot.clock.until(lambda: depot.cloud.machines and depot.cloud.machines[0].agent.orders)
    order = depot.order()
    depot.cloud.work["m1"] = Work(seconds=3.0)
    await depot.clock.until(lambda: depot.states() == ["published"])
    made = depot.result(depot.job())

    with pytest.raises(AccessDenied):
        depot.bucket.agent_puts(order.puts()["result"], b"written over")

    assert depot.job().attempt == 2
    assert depot.result(depot.job()) == made == depot.bucket.objects["in/a.mp4"]
    assert depot.bucket.begun == {}
    await depot.kill()


async def test_a_result_that_is_deleted_before_its_marker_is_made_again(depot: Depot) -> None:
    """Proven, and gone a moment later: no marker says that it is done."""
    depot.plan("a.mp4")

    def tidied(job: Job) -> None:
        if job.state is JobState.VERIFIED and job.attempt == 1:
            for key in [key for key in depot.bucket.objects if key.startswith("out/a_")]:
                del depot.bucket.objects[key]

    heard(depot.desk).when_moved = tidied
    await depot.run()

    assert depot.job().attempt == 2
    assert len(depot.markers()) == 1
    depot.assert_all_is_well()


async def test_a_machine_is_not_kept_for_a_proof_that_has_to_wait(depot: Depot) -> None:
    """The result is in the store, which lets nobody read until tomorrow: the machine goes, the proof comes later."""
    depot.plan("a.mp4")

    def capped(verb: str, uri: Uri) -> None:
        if verb == "get" and uri.key.startswith("out/a_"):
            raise StoreFull("Download cap exceeded.")

    depot.bucket.when_asked = capped
    depot.start()
    await depot.clock.until(lambda: depot.states() == ["delivered"])
    await depot.clock.pass_by(400.0)
    assert depot.cloud.alive() == []
    assert depot.states() == ["delivered"]

    depot.bucket.when_asked = lambda verb, uri: None
    await depot.clock.until(lambda: depot.states() == ["published"])
    assert depot.job().attempt == 1
    await depot.kill()


async def test_inputs_of_one_content_are_both_named_by_their_marker(depot: Depot) -> None:
    """Whoever pulls by the address alone finds both results; and no address that opens them lies in the bucket."""
    for name in ("x/a.mp4", "y/b.mp4"):
        depot.bucket.objects[f"in/{name}"] = b"the same" * 100
    depot.written(inputs=("b2://clips/in/",), to="b2://clips/out/")

    await depot.run()

    (marker,) = (depot.bucket.objects[key] for key in depot.markers())
    found = [
        one.uri.name for one in found_at(parse_uri("b2://clips/out/"), depot.desk.stores) if isinstance(one, Found)
    ]
    names = [output.name for job in depot.desk.ledger.jobs() for output in job.outputs]
    assert set(names) <= set(found)
    assert b"signed" not in marker


async def test_a_marker_that_a_stranger_laid_is_not_passed_on(depot: Depot) -> None:
    """What lies in its place and is no marker is written over: ours stays one that can be read."""
    depot.plan("a.mp4")
    name = done_marker(depot.job().fingerprint, depot.desk.ledger.batches()[0].params_digest)
    depot.bucket.objects[f"out/{name}"] = b'{"folder": "../", "input": "x", "receipt": {}, "twins": [{"receipt": {}}]}'

    await depot.run()

    found = list(found_at(parse_uri("b2://clips/out/"), depot.desk.stores))
    assert all(isinstance(one, Found) for one in found)
    assert len(found) == 2


async def test_a_receipt_that_does_not_match_the_store_names_the_chunk(depot: Depot) -> None:
    """The job is made again, and given up after three times; the sentence tells file and bytes; nothing is deleted."""
    depot.plan("a.mp4")
    puts = depot.bucket.agent_puts

    def damaged(grant: MultipartPut, data: bytes) -> None:
        puts(grant, spoils_chunk(data) if grant.uri.endswith(".mp4") else data)

    vars(depot.bucket)["agent_puts"] = damaged
    await depot.run()

    assert (depot.states(), depot.job().reason) == (["excluded"], JobReason.PROOF_FAILED)
    name, size = depot.job().outputs[0].name, len(depot.bucket.objects["in/a.mp4"])
    assert f"{name}: chunk 0 (bytes 0-{size - 1}) is not what the receipt says." in depot.job().message
    assert depot.job().attempt == 3
    assert name in depot.results()
    assert (depot.markers(), depot.bucket.begun) == ([], {})


async def test_an_agent_that_says_delivered_and_put_nothing_is_not_believed(depot: Depot) -> None:
    """Its word is held against the store: there is nothing."""
    depot.plan("a.mp4")
    vars(depot.bucket)["agent_puts"] = lambda grant, data: depot.bucket.begun.pop(grant.upload_id, None)

    await depot.run()

    assert (depot.states(), depot.job().reason) == (["excluded"], JobReason.PROOF_FAILED)
    assert "Nothing lies at b2://clips/out/a_result_" in depot.job().message
