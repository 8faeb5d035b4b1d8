"""`agent run`: one job on this machine, without a server."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.oneshot import STATE_FOLDER, OneShot, ProgressLine, _keep_log, describe, grants_for, order_from
from framehaul.clock import CLOCK_URL
from framehaul.contract.grants import FileIn
from framehaul.contract.states import AttemptState
from framehaul.contract.status import JobStatus
from framehaul.errors import BadParams
from framehaul.media.probe import probe
from framehaul.pipelines.enhance.weights import DEFAULT_WEIGHTS
from tests.agent.letters import MOVIE
from tests.agent.patience import eventually
from tests.agent.served import ROOT, run_agent
from tests.emulators.clock import ClockServer
from tests.media.clips import TICKS_24, scene, write_pictures


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file to copy."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(MOVIE)
    return path


def test_result_and_manifest_lie_beside_each_other(clip: Path, tmp_path: Path) -> None:
    """The result has the pipeline's name for it, the manifest lies beside it, and nothing else is left."""
    output = tmp_path / "results"

    done = run_agent("run", "--pipeline", "copy", "--input", str(clip), "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    manifest, result = sorted(output.iterdir(), key=lambda path: path.suffix)
    assert result.read_bytes() == MOVIE
    assert result.name.startswith("clip_result_")
    assert manifest.name == f"{result.name}.manifest.json"
    assert json.loads(manifest.read_text())["outputs"][0]["name"] == result.name
    assert done.stdout.splitlines()[-2:] == [str(result), str(manifest)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--pipeline", "cpoy", "--input", "{clip}"], "There is no pipeline 'cpoy'. Did you mean 'copy'?"),
        (["--pipeline", "copy", "--input", "{clip}.gone"], "There is no file"),
        (["--pipeline", "copy"], "copy does not take 0 inputs."),
        (["--pipeline", "copy", "--input", "{clip}", "--param", "speed=1"], "Known parameters: rate_bytes_s."),
        (["--pipeline", "copy", "--input", "{clip}", "--param", "speed"], "Not a parameter: 'speed'."),
        (["--input", "{clip}", "--scale", "9"], "scale: a number from 1 to 8, such as 2 or 1.5, not 9."),
        (["--input", "{clip}", "--model", "{clip}"], "clip.mp4 is no weight file, or a damaged one"),
        (["--input", "{clip}", "--model", "5"], "There is no weight file at"),
        (["--input", "{clip}", "--start", "1:30", "--end", "9"], "end (9 s) must lie after start (90 s)."),
        (["--input", "{clip}", "--preset", "hihg"], "Did you mean 'high'? It has low, balanced, high."),
        (["--pipeline", "copy", "--input", "{clip}", "--preset", "low"], "copy has no preset 'low'. It has none."),
        (["--pipeline", "copy", "--input", "{clip}", "--mode", "fast"], "there is no parameter 'mode'"),
    ],
)
def test_wrong_words_are_usage(clip: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    """What cannot be meant ends with code 2 and a sentence, before any folder is made."""
    output = tmp_path / "results"

    done = run_agent("run", *(word.format(clip=clip) for word in words), "--output", str(output))

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_failed_job_is_code_one(tmp_path: Path) -> None:
    """A job that fails says why, and where the pipeline's own words are."""
    video = tmp_path / "broken.mp4"
    video.write_bytes(b"this is no video")

    done = run_agent(
        "run", "--pipeline", "enhance", "--mode", "upscale", "--input", str(video), "--output", str(tmp_path / "out")
    )

    assert done.returncode == 1
    assert done.stderr.startswith("failed (bad-input)")
    (log,) = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert log.name == "stdout.log"
    assert f"What the pipeline printed is in {log}, which you may delete." in done.stderr


def test_failure_without_a_word_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    """A job that fails before its pipeline prints anything leaves no folder of state, and points to none."""
    home = tmp_path / "out" / STATE_FOLDER / "once-1"
    home.mkdir(parents=True)

    assert _keep_log(home / "stdout.log", home) is None

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["e\033[31mvil\nx.mp4", "back\\slash.mp4", "latin-\udce9.mp4"])
def test_input_whose_name_confuses_is_refused(tmp_path: Path, name: str) -> None:
    """The sentence cannot drive a terminal, whether or not the file is there."""
    video = tmp_path / name
    for wanted in (video, video.with_name(f"gone {name}"), tmp_path / "gone\033[2J" / "clip.mp4"):
        video.write_bytes(MOVIE)

        done = run_agent("run", "--input", str(wanted), "--output", str(tmp_path / "results"))

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(("The input cannot be used: ", "There is no file "))
        assert done.stderr.count("\n") == 1
        assert done.stderr.strip().isprintable()


def _started(words: list[str], clock: ClockServer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent", *words],
        cwd=ROOT,
        env={**os.environ, CLOCK_URL: clock.url},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


async def _running(output: Path) -> Path:
    """Wait until the worker computes; gives the job's folder."""
    states = await eventually(lambda: list(output.glob(f"{STATE_FOLDER}/*/jobs/*/status/status.json")))
    await eventually(lambda: '"state":"running"' in states[0].read_text())
    await eventually(lambda: list(output.rglob("*.part")))
    return states[0].parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_job_starts_again(
    clip: Path, tmp_path: Path, worker_clock: ClockServer, number: signal.Signals
) -> None:
    """Either signal ends with code 130 and leaves no half file; the same command finishes under the chosen name."""
    output = tmp_path / "results"
    words = [*("run", "--pipeline", "copy", "--input", str(clip)), *("--output", str(output))]
    words += ["--param", "rate_bytes_s=1000000"]
    first = _started(words, worker_clock)
    folder = await _running(output)
    chosen = json.loads((folder / "spec.json").read_text())["outputs"][0]["name"]

    first.send_signal(number)

    told = first.communicate(timeout=120)[1]
    assert (first.returncode, told) == (130, "Interrupted; the same command starts this video again.\n")
    assert list(output.rglob("*.part")) == []
    assert (run_agent(*words)).returncode == 0
    assert sorted(path.name for path in output.iterdir()) == [chosen, f"{chosen}.manifest.json"]


async def test_same_command_twice_at_once(clip: Path, tmp_path: Path, worker_clock: ClockServer) -> None:
    """The later one is told to wait, in words that `run` knows, and harms nothing."""
    output = tmp_path / "results"
    words = [*("run", "--pipeline", "copy", "--input", str(clip)), *("--output", str(output))]
    words += ["--param", "rate_bytes_s=1000000"]
    first = _started(words, worker_clock)
    await _running(output)

    second = run_agent(*words)

    assert (second.returncode, second.stderr) == (2, "The same command is already running; wait for it.\n")
    assert first.poll() is None
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)


def test_values_are_read_as_json_where_they_are(clip: Path, tmp_path: Path) -> None:
    """`scale=2` is a number and `preset=slow` a word, as everyone means them."""
    told = OneShot("enhance", (clip,), tmp_path, ("scale=2.5", "preset=slow", "sample=2s", "allow_truncated=true"))

    params = order_from(told, 1.8e9).spec.params

    assert (params["scale"], params["preset"], params["sample"], params["allow_truncated"]) == (2.5, "slow", 2, True)


def test_parameters_win_over_the_preset(clip: Path, tmp_path: Path) -> None:
    """`--preset low --param crf=20` is low with another quality."""
    params = order_from(OneShot("enhance", (clip,), tmp_path, ("crf=20",), "low"), 1.8e9).spec.params

    assert (params["crf"], params["preset"]) == (20, "veryfast")


def test_weight_file_is_an_input_of_its_own(clip: Path, tmp_path: Path) -> None:
    """The order pins it and has no path; the grants say where it lies; the video's slot keeps its name."""
    told = OneShot("enhance", (clip,), tmp_path, (f"model={json.dumps(str(DEFAULT_WEIGHTS))}",))

    order = order_from(told, 1.8e9)
    grants = grants_for(order.spec, order.sources, tmp_path)

    assert [(entry.slot, entry.name) for entry in order.spec.inputs] == [("source", "clip.mp4"), ("model", "x2.pth")]
    assert str(DEFAULT_WEIGHTS.parent) not in order.spec.model_dump_json()
    assert grants.inputs["model"] == FileIn(path=str(DEFAULT_WEIGHTS))


def test_every_option_reaches_the_result(tmp_path: Path) -> None:
    """A person's network, a factor between, a part, a preset: the video and its manifest show each of them."""
    video = tmp_path / "two words.mkv"
    write_pictures(video, [scene(32, 20, index) for index in range(24)], TICKS_24)
    output = tmp_path / "out"
    options = ["--model", str(DEFAULT_WEIGHTS), "--scale", "1.5", "--start", "0:00.5", "--end", "750ms"]

    done = run_agent("run", *options, "--preset", "low", "--input", str(video), "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    result, manifest = (Path(line) for line in done.stdout.splitlines()[-2:])
    media, told = probe(result), json.loads(manifest.read_text())
    assert (media.video.width, media.video.height, told["details"]["frames_out"]) == (48, 30, 6)
    assert told["details"]["span"] == {"start_s": 0.5, "end_s": 0.75}
    assert (told["params"]["crf"], told["environment"]["network"]) == (23, "x2")


def test_broken_video_is_done_only_when_asked(tmp_path: Path) -> None:
    """Without --allow-truncated it is code 1 and a sentence; with it, a result, and the sentence in its manifest."""
    video = tmp_path / "clip.mkv"
    write_pictures(video, [scene(32, 20, index) for index in range(24)], TICKS_24)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    words = ["run", "--input", str(video), "--output", str(tmp_path / "out")]

    refused, done = run_agent(*words), run_agent(*words, "--allow-truncated")

    assert (refused.returncode, done.returncode) == (1, 0)
    assert "clip.mkv breaks off" in refused.stderr
    told = json.loads(Path(done.stdout.splitlines()[-1]).read_text())
    assert "clip.mkv breaks off" in told["details"]["shortfall"]


def test_same_command_is_the_same_job(clip: Path, tmp_path: Path) -> None:
    """A later call with the same file and parameters finds the state of the first; another parameter does not."""
    told = OneShot("copy", (clip,), tmp_path, ("rate_bytes_s=5",))

    first, later = order_from(told, 1.8e9), order_from(told, 1.9e9)
    other = order_from(OneShot("copy", (clip,), tmp_path, ("rate_bytes_s=6",)), 1.8e9)

    assert first.spec.job_id == later.spec.job_id != other.spec.job_id


def test_two_inputs_are_too_many_for_a_copy(clip: Path, tmp_path: Path) -> None:
    """The pipeline's card bounds how many files are taken."""
    with pytest.raises(BadParams, match="copy does not take 2 inputs"):
        order_from(OneShot("copy", (clip, clip), tmp_path, ()), 1.8e9)


def test_progress_is_one_line() -> None:
    """Elsewhere than on a terminal each change is a line; the same one is not repeated."""
    out = io.StringIO()
    line = ProgressLine(out)
    status = JobStatus(
        state=AttemptState.RUNNING, stage="upscale", done=48, total=96, fps=23.98, eta_s=3725.9, updated_at=0
    )

    line.show(status)
    line.show(status.model_copy(update={"done": 50, "updated_at": 2}))
    line.show(status.model_copy(update={"done": 60, "updated_at": 12}))

    shown = "upscale: frame 48/96  24.0 fps  ETA 1:02:05\nupscale: frame 60/96  24.0 fps  ETA 1:02:05\n"
    assert out.getvalue() == shown, "in a file, one line in ten seconds"
    assert describe(JobStatus(state=AttemptState.DELIVERING, stage="hash", updated_at=0)) == "delivering hash"
