"""What every pipeline promises. A folder below framehaul/pipelines takes part by lying there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from framehaul.contract.naming import manifest_name, params_digest
from framehaul.contract.pipeline import PipelineCard
from framehaul.contract.spec import MANIFEST_SLOT, InputSpec, JobSpec, Limits, OutputSlot
from framehaul.contract.status import Unit
from framehaul.contract.wire import Json, canonical_json
from framehaul.errors import BadParams, Stopped
from framehaul.pipelines.base import Outcome, Params, Pipeline, Task
from framehaul.pipelines.catalogue import load_pipeline, load_runner, pipeline_names
from tests.media.clips import TICKS_24, scene, write_pictures

ROOT = Path(__file__).resolve().parents[2]
NOON = 1_796_212_800.0
HEAVY = ("torch", "numpy", "cv2")
# Odd, but each of them is a file name that a disk may hold.
NAMES = ("clip.mp4", "two words.mp4", "Кошка.mp4", "n" * 251 + ".mp4", "-rf.mp4", "a.b.c.mp4")

_CARDS = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ImportError(name + " is not on a laptop")
sys.meta_path.insert(0, Refuse())
from framehaul.pipelines.catalogue import load_pipeline
print(load_pipeline(sys.argv[1]).card().digest())
"""

every_pipeline = pytest.mark.parametrize("name", pipeline_names())


def _choices(pipeline: Pipeline[Any]) -> list[dict[str, Json]]:
    """Give the parameters that the pipeline itself recommends: its presets, and none where none is needed."""
    needed = any(field.is_required() for field in pipeline.params_model.model_fields.values())
    return [*([] if needed else [{}]), *(dict(preset) for preset in pipeline.presets.values())]


def _packed(pipeline: Pipeline[Any], raw: dict[str, Json]) -> Params:
    params: Params = pipeline.pack(pipeline.parse(raw))[0]
    return params


def _outputs(pipeline: Pipeline[Any], *, file: str = "clip.mp4", at: float = NOON, number: int = 1) -> list[str]:
    params = _packed(pipeline, _choices(pipeline)[0])
    return [output.name for output in pipeline.output_slots(params, [file], at, number)]


# What it says of itself


@every_pipeline
def test_it_is_called_what_its_folder_is_called(name: str) -> None:
    """The command line, the order and the folder use one word; the summary is one sentence."""
    pipeline = load_pipeline(name)

    assert pipeline.name == name
    assert pipeline.summary.endswith(".")
    assert "\n" not in pipeline.summary


@every_pipeline
def test_its_card_is_the_same_in_another_process_without_torch(name: str) -> None:
    """The digest that a laptop pins is the one that a machine finds: no order of a set, nothing of this machine."""
    words = [sys.executable, "-c", _CARDS.replace("{heavy}", repr(HEAVY)), name]

    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == load_pipeline(name).card().digest(), done.stderr


@every_pipeline
def test_its_card_travels(name: str) -> None:
    """What a laptop without the folder reads from an image is what the pipeline said."""
    card = load_pipeline(name).card()

    assert PipelineCard.model_validate_json(card.canonical()) == card


@every_pipeline
def test_every_slot_has_a_name_of_its_own(name: str) -> None:
    """Outputs, assets and the words that the contract keeps for itself do not meet."""
    pipeline = load_pipeline(name)
    inputs, outputs = ("source", *pipeline.asset_slots), (MANIFEST_SLOT, *pipeline.slots)

    assert pipeline.slots
    assert len(set(inputs)) == len(inputs)
    assert len(set(outputs)) == len(outputs)


@every_pipeline
def test_every_parameter_is_described(name: str) -> None:
    """Help and cards have a sentence for each."""
    properties = load_pipeline(name).card().params_schema.get("properties", {})

    assert isinstance(properties, dict)
    assert [word for word, told in properties.items() if not (isinstance(told, dict) and told.get("description"))] == []


# Parameters


@every_pipeline
def test_what_it_recommends_is_accepted(name: str) -> None:
    """Defaults and presets parse. Where a parameter has no default, a preset shows what it may be."""
    pipeline = load_pipeline(name)

    assert _choices(pipeline)
    for raw in _choices(pipeline):
        pipeline.parse(raw)


@every_pipeline
def test_a_parameter_that_it_does_not_know_is_refused(name: str) -> None:
    """With a sentence that names the word, and the words that there are."""
    with pytest.raises(BadParams, match=r"no_such_word.*Known parameters: "):
        load_pipeline(name).parse({"no_such_word": 1})


@every_pipeline
def test_packing_again_changes_nothing(name: str) -> None:
    """Parameters pass through ledger and order as JSON, and mean the same to every half that reads them."""
    pipeline = load_pipeline(name)

    for raw in _choices(pipeline):
        packed = _packed(pipeline, raw)
        travelled = pipeline.parse(json.loads(canonical_json(packed.model_dump(mode="json"))))

        assert pipeline.pack(travelled)[0] == packed
        assert {asset.slot for asset in pipeline.pack(pipeline.parse(raw))[1]} <= set(pipeline.asset_slots)


# Planning


@every_pipeline
@pytest.mark.parametrize("file", NAMES, ids=lambda file: file[:12])
def test_its_outputs_make_an_order(name: str, file: str) -> None:
    """Slots from the closed list, plain names, a manifest whose name fits too."""
    pipeline = load_pipeline(name)
    for raw in _choices(pipeline):
        params = _packed(pipeline, raw)
        outputs = pipeline.output_slots(params, [file], NOON, 1)

        order = _order(pipeline, params, file, outputs)

        assert {output.slot for output in order.outputs} <= set(pipeline.slots)


@every_pipeline
def test_its_outputs_never_meet(name: str) -> None:
    """Not with the input's, nor with those of a namesake, nor with those of another second; a retry makes the same."""
    pipeline = load_pipeline(name)
    first = _outputs(pipeline)
    others = [_outputs(pipeline, number=2), _outputs(pipeline, at=NOON + 1), _outputs(pipeline, file="other.mp4")]

    assert _outputs(pipeline) == first
    for other in (*others, ["clip.mp4"]):
        assert not set(other) & set(first)


@every_pipeline
def test_it_plans_what_it_cannot_see(name: str) -> None:
    """An input that was not probed, of unknown size: needs and estimates are numbers, none of them below nothing."""
    pipeline = load_pipeline(name)
    params = _packed(pipeline, _choices(pipeline)[0])
    pipeline.judge(params, "clip.mp4", None)

    for size in (None, 0, 10**12):
        needs, estimate = pipeline.needs(params, None, size), pipeline.estimate(params, None, size)

        assert min(needs.vram_gb, needs.disk_gb, needs.memory_gb, estimate.gflop, estimate.output_bytes) >= 0


# Work


class _Listener:
    """A reporter that remembers, and that says `stop` when it is told to."""

    def __init__(self, *, stop: bool = False) -> None:
        self.stages: list[str] = []
        self.counts: list[tuple[str, int, int | None]] = []
        self._stop = stop

    def stage(self, name: str, unit: Unit = "frames") -> None:
        self.stages.append(name)

    def progress(self, done: int, total: int | None) -> None:
        self.counts.append((self.stages[-1], done, total))

    def log(self, message: str) -> None:
        assert message

    def should_stop(self) -> bool:
        return self._stop


def _task(name: str, folder: Path, listener: _Listener) -> Task:
    """Lay one small clip before a pipeline, with the parameters that it recommends first."""
    pipeline = load_pipeline(name)
    params, assets = pipeline.pack(pipeline.parse(_choices(pipeline)[0]))
    for part in ("in", "out", "parts", "status"):
        (folder / part).mkdir(parents=True)
    clip = folder / "in" / "clip.mp4"
    write_pictures(clip, [scene(64, 36, index) for index in range(6)], TICKS_24[:6])
    outputs = pipeline.output_slots(params, [clip.name], NOON, 1)
    return Task(
        params=params.model_dump(mode="json"),
        inputs={"source": clip, **{asset.slot: asset.path for asset in assets}},
        outputs={output.slot: folder / "out" / output.name for output in outputs},
        parts=folder / "parts",
        preview=folder / "status" / "preview.jpg",
        limits=Limits(),
        reporter=listener,
    )


@every_pipeline
@pytest.mark.slow
def test_it_makes_its_outputs_and_nothing_else(name: str, tmp_path: Path) -> None:
    """Every slot lies there, non-empty; it told what it did, counted forwards, and its outcome can be written down."""
    listener = _Listener()
    task = _task(name, tmp_path, listener)

    outcome = load_runner(name).run(task)

    assert sorted((tmp_path / "out").iterdir()) == sorted(task.outputs.values())
    assert all(path.stat().st_size for path in task.outputs.values())
    assert isinstance(outcome, Outcome)
    assert canonical_json([outcome.environment, outcome.stage_seconds, outcome.details])
    assert listener.stages
    assert listener.counts
    for stage in set(listener.stages):
        done = [count for where, count, _ in listener.counts if where == stage]
        assert done == sorted(done)


@every_pipeline
@pytest.mark.slow
def test_asked_to_stop_it_stops_and_leaves_no_output(name: str, tmp_path: Path) -> None:
    """`Stopped` is raised, and no file carries an output's name."""
    task = _task(name, tmp_path, _Listener(stop=True))

    with pytest.raises(Stopped):
        load_runner(name).run(task)

    assert list((tmp_path / "out").iterdir()) == []


def _order(pipeline: Pipeline[Any], params: Params, file: str, outputs: tuple[OutputSlot, ...]) -> JobSpec:
    raw = params.model_dump(mode="json")
    return JobSpec(
        job_id="b-1-00001",
        attempt=1,
        batch_id="b-1",
        pipeline=pipeline.name,
        pipeline_digest=pipeline.card().digest(),
        params=raw,
        params_digest=params_digest(pipeline.name, raw, pipeline.model_sha256(params)),
        inputs=(InputSpec(slot="source", name=file, size=1, fingerprint="disk:1:x"),),
        outputs=outputs,
        manifest_name=manifest_name(outputs[0].name),
        created_at=NOON,
    )
