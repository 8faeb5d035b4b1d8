"""A person who tries first, looks on from a second terminal, and does again what failed; with real agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.demo import SAMPLE
from framehaul.contract.states import JobState
from tests.journeys.person import Person, eventually

Blob = Callable[[str, int], Path]


@pytest.mark.slow
def test_a_try_shows_a_part_and_says_what_the_whole_takes(person: Person) -> None:
    """Half a second of the clip with a picture, in a folder of its own; time, size, price, and the command for all.

    The command, typed as it stands, is a plan of the whole into the place that was named.
    """
    ended = person.runs("try", str(SAMPLE), "--seconds", "0.5", "--to", "all of it", "--param", "preset=ultrafast")

    assert ended.code == 0, ended.text
    (folder,) = (person.home / "framehaul-try").iterdir()
    assert list(folder.glob("clip_upscaled_*.preview.jpg"))
    (job,) = person.jobs()
    assert job.figures["frames"] == 12
    assert "The whole (1 job on 1 machine): about " in ended.text
    assert ", $0.00." in ended.text
    (line,) = (line for line in ended.text.splitlines() if line.startswith("Run it all: "))
    assert line == f"Run it all: framehaul run {SAMPLE} --param preset=ultrafast --to 'all of it'"
    assert not (person.home / "all of it").exists()
    assert person.agents() == []


def test_status_tells_a_second_terminal_how_the_whole_stands(person: Person, blob: Blob) -> None:
    """While a run is at work: the line, the job that runs by its machine's word, the one that waits; then nothing."""
    command = person.copies(blob("a.bin", 3_000_000), blob("b.bin", 1000), rate=300_000)
    eventually("the first job runs", person.drafts)

    told, shown = json.loads(person.runs("status", "--json").text), person.runs("status")
    ended = person.ends(command)
    after = person.runs("status")

    assert shown.code == 0
    assert "0/2 done" in shown.text
    assert "safe to close the lid: no, because this machine does the work" in shown.text
    assert told["jobs"][0]["status"]["state"] == "running"
    assert (told["at_work"], told["overview"]["machines"]) == (True, 1)
    assert ended.code == 0
    assert "1/2 done" in ended.text
    assert "2/2 done · $0.00 · 0 machines · safe to close the lid: yes, because nothing runs" in ended.text
    assert "0 machines · safe to close the lid: yes, because nothing runs" in after.text


def test_what_failed_is_done_again_and_nothing_else(person: Person, blob: Blob) -> None:
    """One input changes under our hands and its job fails; `retry` does that one anew, as a batch of its own."""
    good, bad = blob("good.bin", 900_000), blob("bad.bin", 2000)
    command = person.copies(good, bad, rate=300_000)
    eventually("the first job runs", person.drafts)
    eventually("the second is there too", lambda: len(person.job_folders()) == 2)
    (worker,) = person.workers()
    worker.kill()
    first = person.ends(command)
    failed = [job for job in person.jobs() if job.state is JobState.EXCLUDED]
    batch = person.jobs()[0].batch_id

    rehearsed = person.runs("retry", batch[-4:], "--failed", "--dry-run")
    again = person.runs("retry", batch[-4:], "--failed")
    nothing = person.runs("retry")

    assert first.code == 1, first.text
    assert len(failed) == 1
    assert f"1 job of {batch} would be retried." in rehearsed.text
    assert again.code == 0, again.text
    assert f"1 job of {batch} is retried." in again.text
    retried = person.jobs()[-1]
    assert (retried.name, retried.state) == (failed[0].name, JobState.PUBLISHED)
    assert retried.batch_id != batch
    assert "Nothing is left to do." in nothing.text, "the marker says that it was done since"
    assert {path.name.split("_")[0] for path in person.out.glob("*.bin")} == {"good", "bad"}


def test_quiet_and_json_keep_to_their_streams(person: Person, blob: Blob) -> None:
    """With --json, stdout is one document, whatever people read on stderr; with -q they read only the result."""
    source = blob("a.bin", 1000)
    words = ["run", str(source), "--pipeline", "copy", "--to", str(person.out), "--no-skip-existing"]
    environment = {**os.environ, "FRAMEHAUL_STATE": str(person.home / "state")}

    done = subprocess.run(
        [sys.executable, "-m", "controller", *words, "--json"],
        cwd=person.home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    quiet = person.runs(*words, "-q")

    assert json.loads(done.stdout)["jobs"][0]["state"] == "published"
    assert "a.bin: done" in done.stderr
    assert quiet.code == 0
    assert "1 of 1 result verified" in quiet.text
    assert "shipped" not in quiet.text
    assert "becomes" not in quiet.text


def test_the_tab_key_completes_commands_and_options(person: Person) -> None:
    """By the variables with which a shell asks, through our own main."""
    person.environment |= {"_FRAMEHAUL_COMPLETE": "complete_bash", "COMP_CWORD": "1", "COMP_WORDS": "framehaul re"}
    commands = person.runs()
    person.environment |= {"COMP_CWORD": "2", "COMP_WORDS": "framehaul run --allow"}
    options = person.runs()

    assert commands.text.split() == ["resume", "retry"]
    assert "--allow-truncated" in options.text.split()
    assert "--allow-stale-config" in options.text.split()
