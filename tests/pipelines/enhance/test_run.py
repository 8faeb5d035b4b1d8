"""Whole enhancements on a CPU: a person's network, any factor, a part, a broken file, each kind of file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from framehaul.errors import BadParams, DigestMismatch, TruncatedMedia
from framehaul.pipelines.base import Task
from framehaul.pipelines.enhance.devices import Device
from framehaul.pipelines.enhance.run import EnhanceRunner
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, LoadedNetwork, load_network, sha256_of
from tests.media.clips import TICKS_24, one_second, scene, write_pictures
from tests.pipelines.enhance.labour import Bench
from tests.pipelines.enhance.networks import random_weights, repeater, saved, with_memory_for

Frame = NDArray[np.int_]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A place to work at."""
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of 96×64."""
    return one_second(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of 32×20: quick."""
    path = tmp_path_factory.mktemp("clips") / "brief.mp4"
    write_pictures(path, [scene(32, 20, index) for index in range(4)], TICKS_24[:4])
    return path


def test_the_default_is_as_it_was(bench: Bench, brief: Path) -> None:
    """Without a word, the shipped network doubles every frame, on a CPU in fp32 and one at a time."""
    outcome, media = bench.run(brief)

    assert (media.video.width, media.video.height, outcome.details["frames_out"]) == (64, 40, 4)
    assert (outcome.environment["network"], outcome.environment["network_sha256"]) == ("x2", DEFAULT_SHA256)
    assert (outcome.environment["dtype"], outcome.details["batch"], outcome.details["scale"]) == ("float32", 1, 2)
    assert (outcome.details["span"], outcome.details["shortfall"]) == (None, "")
    assert bench.told.lines == ["x2 on cpu in fp32, 1 frame at a time"]


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_persons_network_is_the_one_that_runs(bench: Bench, brief: Path, tmp_path: Path, ending: str) -> None:
    """Its own factor and digest are in the manifest, and a repeater's result is the picture, repeated."""
    weights = repeater(scale=3).network.state_dict()
    path = tmp_path / f"mine.{ending}"
    save_file(weights, path) if ending == "safetensors" else saved(tmp_path, {"params": weights}, path.name)

    outcome, media = bench.run(brief, model=str(path), crf=0)

    assert (media.video.width, media.video.height) == (96, 60)
    assert (outcome.environment["network"], outcome.environment["network_sha256"]) == ("mine", sha256_of(path))
    (result,) = (bench.folder / "out").iterdir()
    assert np.abs(first_picture(result)[1::3, 1::3] - first_picture(brief)).mean() < 3


def test_a_weight_file_that_changed_underway_is_refused(bench: Bench, brief: Path, tmp_path: Path) -> None:
    """What arrives must be what was judged: other bytes end the job."""
    path = saved(tmp_path, random_weights())
    task = bench.task(brief, model=str(path))
    saved(tmp_path, random_weights(features=5))

    with pytest.raises(DigestMismatch, match="was promised"):
        bench.runner.run(task)
    assert list((bench.folder / "out").iterdir()) == []


def test_a_preview_that_cannot_be_written_costs_a_line(bench: Bench, brief: Path) -> None:
    """Nobody asked for it: the video is made all the same."""
    task = replace(bench.task(brief), preview=bench.folder / "absent" / "preview.jpg")

    outcome = bench.runner.run(task)

    assert outcome.details["frames_out"] == 4
    assert task.outputs["result"].is_file()
    assert "no preview: preview.jpg cannot be written: No such file or directory." in bench.told.lines


def test_how_idle_threads_wait_is_told(bench: Bench, brief: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It decides the speed, so it stands beside their number."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")

    outcome, _ = bench.run(brief)

    assert outcome.environment["omp_wait_policy"] == "passive"


def test_a_network_and_its_file_travel_together(bench: Bench, brief: Path, tmp_path: Path) -> None:
    """A pin without a file, a file without a pin, and a path are no job."""
    task = bench.task(brief, model=str(saved(tmp_path, random_weights())))
    alone = {"source": brief}

    for given, inputs in ((task.params, alone), ({}, task.inputs), ({"model": "/etc/passwd"}, task.inputs)):
        with pytest.raises(BadParams, match=r"weight file travels|still a path"):
            bench.runner.run(Task(given, inputs, task.outputs, task.parts, task.preview, task.limits, task.reporter))


@pytest.mark.parametrize(("scale", "size"), [(1, (32, 20)), (1.55, (50, 31)), (2.7, (86, 54))])
def test_any_factor_gives_a_video_of_that_size(bench: Bench, brief: Path, scale: float, size: tuple[int, int]) -> None:
    """Less than the network's own, and more; odd sizes too."""
    outcome, media = bench.run(brief, scale=scale)

    assert (media.video.width, media.video.height) == size == (outcome.details["width"], outcome.details["height"])
    assert outcome.details["scale"] == scale


def test_reduced_precision_is_done_when_asked_for(bench: Bench, brief: Path) -> None:
    """bf16 runs on a CPU; fp16 is answered with fp32 and a sentence in log and manifest."""
    outcome, _ = bench.run(brief, precision="bf16")
    assert outcome.environment["dtype"] == "bfloat16"

    outcome, _ = bench.run(brief, precision="fp16")
    assert outcome.environment["dtype"] == "float32"
    assert outcome.environment["precision_note"] == bench.told.lines[1]
    assert "There is no GPU here" in bench.told.lines[1]


def test_values_that_are_not_finite_are_made_again(tmp_path: Path, brief: Path) -> None:
    """A network that overflows in reduced precision is computed in fp32, and the manifest counts the batches."""

    def overflow(module: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        return output / 0 if output.dtype == torch.bfloat16 else output

    def load(path: Path, *, sha256: str | None) -> LoadedNetwork:
        loaded = repeater()
        loaded.network.register_forward_hook(overflow)
        return loaded

    outcome, media = Bench(tmp_path, EnhanceRunner(Device("cpu"), load)).run(brief, precision="bf16", batch=2)

    assert (outcome.details["precision_retries"], media.video.frames) == (2, 4)


def test_a_batch_is_as_large_as_asked(bench: Bench, clip: Path) -> None:
    """Twenty-four frames go through ten at a time, and come out as one by one."""
    outcome, media = bench.run(clip, batch=10)

    assert (outcome.details["batch"], media.video.frames) == (10, 24)
    assert bench.told.counts == [(10, 24), (20, 24), (24, 24)]


@pytest.mark.parametrize(
    ("given", "span", "frames"),
    [
        ({"start": "250ms", "end": 0.5}, {"start_s": 0.25, "end_s": 0.5}, 6),
        ({"start": 0.75}, {"start_s": 0.75, "end_s": None}, 6),
        ({"sample": "0.5s"}, {"start_s": 0.25, "end_s": 0.75}, 12),
    ],
)
def test_a_part_is_all_that_is_done(
    bench: Bench, clip: Path, given: dict[str, str | float], span: dict[str, float], frames: int
) -> None:
    """Only its frames are computed and counted, and the manifest and the log say which part it was."""
    outcome, media = bench.run(clip, **given)

    assert (media.video.frames, outcome.details["frames_out"], bench.told.counts[-1]) == (
        frames,
        frames,
        (frames, frames),
    )
    assert outcome.details["span"] == span
    assert bench.told.lines[1].startswith("only from ")


def test_a_video_that_breaks_off_is_done_as_far_as_it_goes(bench: Bench, clip: Path, tmp_path: Path) -> None:
    """Only when asked; then the log and the manifest say how much was there."""
    broken = tmp_path / "broken.mkv"
    write_pictures(broken, [scene(64, 36, index) for index in range(24)], TICKS_24)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 6 // 10])

    with pytest.raises(TruncatedMedia):
        bench.run(broken)
    outcome, media = bench.run(broken, allow_truncated=True)

    assert 0 < int(str(outcome.details["frames_out"])) < 24
    assert "broken.mkv breaks off" in str(outcome.details["shortfall"])
    assert outcome.details["shortfall"] in bench.told.lines
    assert media.shortfall == ""


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov", "webm"])
def test_every_kind_of_file_is_written(bench: Bench, brief: Path, container: str) -> None:
    """All frames arrive in each, and its encoder takes quality and effort."""
    outcome, media = bench.run(brief, container=container, preset="ultrafast", crf=30)

    assert outcome.details["frames_out"] == 4
    assert media.video.codec == ("vp9" if container == "webm" else "h264")
    assert media.container == ("mkv" if container == "webm" else container)  # webm is Matroska, by another name


def test_what_the_plan_would_refuse_is_refused_here_too(bench: Bench, clip: Path) -> None:
    """An order that was never judged against its video meets the same sentence."""
    with pytest.raises(BadParams, match="start=5 lies behind its end"):
        bench.run(clip, start=5)


def test_a_full_device_is_met_with_smaller_batches(tmp_path: Path, clip: Path) -> None:
    """Memory that runs out in the middle of a video halves the batch; no frame is lost, and it is told."""

    def load(path: Path, *, sha256: str | None) -> LoadedNetwork:
        return with_memory_for(3, torch.OutOfMemoryError("CUDA out of memory"))[0]

    bench = Bench(tmp_path, EnhanceRunner(Device("cpu"), load))

    outcome, media = bench.run(clip, batch=8)

    assert (outcome.details["batch"], outcome.details["batch_halvings"], media.video.frames) == (2, 2, 24)
    assert "memory ran out; frames were done 2 at a time from then on" in bench.told.lines


def test_loading_is_asked_for_once(tmp_path: Path, brief: Path) -> None:
    """A job with the same network finds it loaded; another network, or precision, takes its place."""
    asked: list[str] = []

    def load(path: Path, *, sha256: str | None) -> LoadedNetwork:
        asked.append(path.name)
        return load_network(path, sha256=sha256)

    bench = Bench(tmp_path, EnhanceRunner(Device("cpu"), load))
    mine = str(saved(tmp_path, random_weights()))

    networks = [
        bench.run(brief, **given)[0].environment["network"]
        for given in ({}, {"scale": 3, "batch": 2}, {"model": mine}, {"model": mine, "precision": "bf16"}, {})
    ]

    assert networks == ["x2", "x2", "some", "some", "x2"]
    assert asked == ["x2.pth", "some.pth", "some.pth", "x2.pth"]


def first_picture(path: Path) -> Frame:
    """Decode the first picture: (H, W, 3)."""
    with av.open(path) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
