"""Runs that go well, and what they leave alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulators.files import FileServer
from tests.journeys.person import Person, eventually

Blob = Callable[[str, int], Path]
_NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def test_a_second_run_on_one_folder_has_nothing_left_to_do(person: Person, blob: Blob) -> None:
    """`run` twice: the second says so, rents nothing, writes nothing, and ends with 0."""
    folder = blob("a.bin", 1000).parent
    blob("deeper/b.bin", 2000)
    first = person.ends(person.copies(folder))
    before = sorted(path for path in person.out.rglob("*") if path.is_file())

    second = person.ends(person.copies(folder))

    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert "Nothing is left to do." in second.text
    assert sorted(path for path in person.out.rglob("*") if path.is_file()) == before
    assert len(person.leases()) == 1


def test_changed_parameters_and_a_changed_input_are_new_work(person: Person, blob: Blob) -> None:
    """The marker is keyed by content and parameters: touching either makes the job due again."""
    source = blob("a.bin", 1000)
    assert person.ends(person.copies(source)).code == 0

    assert person.ends(person.copies(source, rate=10_000_000)).code == 0
    source.write_bytes(b"another content")
    assert person.ends(person.copies(source)).code == 0

    results = [path.read_bytes() for path in person.out.glob("a_result_*.bin")]
    assert len(results) == 3
    assert results.count(b"another content") == 1


def test_results_in_the_input_folder_are_no_inputs(person: Person, blob: Blob) -> None:
    """With one folder for both, a second run has nothing to do: results, manifests and reports are not videos."""
    folder = blob("a.bin", 1000).parent

    first = person.runs("run", str(folder), "--pipeline", "copy", "--to", str(folder))
    second = person.runs("run", str(folder), "--pipeline", "copy", "--to", str(folder))

    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert "Nothing is left to do." in second.text
    assert len(person.jobs()) == 1


def test_a_signed_address_is_not_told_to_anybody(person: Person, blob: Blob) -> None:
    """The signature of an address stays in the ledger and the grant: reports and `ps` show the address without it."""
    source = blob("v.bin", 1000)
    with FileServer(source.parent) as server:
        address = f"{server.url}/v.bin?X-Amz-Signature=TOPSECRET"
        ended = person.runs("run", address, "--pipeline", "copy", "--to", str(person.out))

    assert ended.code == 0, ended.text
    told = ended.text + (person.out / "results.json").read_text() + person.runs("ps", "--all", "--json").text
    assert "/v.bin" in told
    assert "TOPSECRET" not in told


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_is_rented(
    person: Person, blob: Blob
) -> None:
    """A file in the folder's place: a sentence and exit code 2, at once."""
    person.out.write_text("in the way")

    ended = person.ends(person.copies(blob("a.bin", 1000)))

    assert ended.code == 2, ended.text
    assert "Results cannot be written" in ended.text
    assert person.leases() == []


def test_the_agent_never_needs_to_read_the_input_folder(person: Person, blob: Blob) -> None:
    """With the inputs unreadable to the agent's process, the job works: bytes travel through its own routes."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to take a right away from the agent that the laptop has")
    source = blob("a.bin", 300_000)
    os.chown(source.parent, 65534, 65534)
    os.chown(source, 65534, 65534)
    source.chmod(0o600)
    source.parent.chmod(0o700)
    tried = ["--reuid=0", "--clear-groups", "cat", str(source)]
    assert os.spawnvp(os.P_WAIT, "setpriv", [*_NO_OVERRIDE, *tried]) != 0, "the agent could read it: no proof"
    config = person.home / "config.yaml"
    config.write_text(json.dumps({"providers": {"local": {"launcher": _NO_OVERRIDE}}}))

    ended = person.ends(person.copies(source))

    assert ended.code == 0, ended.text
    (result,) = person.out.glob("a_result_*.bin")
    assert result.read_bytes() == source.read_bytes()


def test_no_account_key_reaches_the_rented_machine(person: Person, blob: Blob) -> None:
    """Keys planted in the laptop's environment are in no process, file or log of the machine; the lease's own is."""
    planted = {
        "VAST_API_KEY": "planted-vast-5f1c",
        "B2_SECRET": "planted-b2-77aa",
        "AWS_SECRET_ACCESS_KEY": "planted-aws-0b0b",
        "HF_TOKEN": "planted-hf-9e9e",
    }
    person.environment.update(planted)
    command = person.copies(blob("a.bin", 1_000_000), rate=100_000)
    eventually("the job runs", person.drafts)

    seen = b"".join(Path(f"/proc/{process.pid}/environ").read_bytes() for process in person.agents())
    cloud = person.home / "state" / "local-cloud"
    seen += b"".join(path.read_bytes() for path in cloud.rglob("*") if path.is_file())
    (lease,) = person.leases()

    assert lease.secret.hex().encode() in seen, "the search itself must be able to find a secret"
    for worker in person.workers():
        assert lease.secret.hex().encode() not in Path(f"/proc/{worker.pid}/environ").read_bytes()
    assert [value for value in planted.values() if value.encode() in seen] == []
    assert person.ends(command).code == 0


def test_several_machines_share_a_batch(person: Person, blob: Blob) -> None:
    """With two machines allowed, two are rented, both work, both go."""
    inputs = [blob(f"{number}.bin", 600_000) for number in range(4)]

    ended = person.ends(person.copies(*inputs, rate=300_000, more=["--max-instances", "2"]))

    assert ended.code == 0, ended.text
    with person.ledger() as ledger:
        used = {attempt.lease_id for job in ledger.jobs() for attempt in ledger.attempts(job.id)}
    assert len(used) == 2
    assert person.agents() == []


def test_json_gives_one_document_on_stdout_and_the_figures(person: Person, blob: Blob) -> None:
    """results.json names the outputs with digests, the cost and what still runs: nothing."""
    ended = person.ends(person.copies(blob("a.bin", 1000)))

    results = person.results()
    (job,) = results["jobs"]
    assert ended.code == 0
    assert results["still_running"] == []
    assert results["dollars"] == 0
    assert {output["slot"] for output in job["outputs"]} == {"result", "manifest"}
    assert all(len(output["sha256"]) == 64 for output in job["outputs"])


@pytest.mark.parametrize("name", ["with space.bin", "quote'\".bin", "Привет.bin", "a.b.c.bin", "-dash.bin"])
def test_odd_names_make_the_whole_way(person: Person, blob: Blob, name: str) -> None:
    """A name that a shell, a header or a URL could trip over comes back whole."""
    source = blob(name, 1000)

    ended = person.ends(person.copies(source))

    assert ended.code == 0, ended.text
    (result,) = person.out.glob("*.bin")
    assert result.name.startswith(source.stem)
    assert result.read_bytes() == source.read_bytes()


def test_an_address_is_fetched_by_the_machine_itself(person: Person, blob: Blob) -> None:
    """An http input is pinned by its etag and read by the agent; a connection that breaks on the way is resumed."""
    source = blob("far away.bin", 3_000_000)
    with FileServer(source.parent) as server:
        server.fault("cut_after", bytes=1_000_000)
        address = f"{server.url}/far%20away.bin"

        first = person.runs("run", address, "--pipeline", "copy", "--to", str(person.out))
        second = person.runs("run", address, "--pipeline", "copy", "--to", str(person.out))

    assert first.code == 0, first.text
    (result,) = person.out.glob("far away_result_*.bin")
    assert result.read_bytes() == source.read_bytes()
    assert "Nothing is left to do." in second.text
