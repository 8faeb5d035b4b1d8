"""An enhancement is planned whole before anything is rented: files pinned, work counted, sizes and parts judged."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from framehaul.contract.naming import params_digest
from framehaul.contract.wire import Json
from framehaul.errors import BadParams, ModelError
from framehaul.media.probe import MediaInfo, probe
from framehaul.pipelines.enhance.params import EnhanceParams, ModelPin
from framehaul.pipelines.enhance.spec import MAX_SIDE, PIPELINE
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, sha256_of
from tests.media.clips import one_second
from tests.pipelines.enhance.networks import random_weights, saved


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> MediaInfo:
    """One second of 96×64 at 24 frames a second."""
    return probe(one_second(tmp_path_factory.mktemp("clip") / "clip.mp4"))


def parsed(**given: Json) -> EnhanceParams:
    return PIPELINE.parse(given)


def packed(**given: Json) -> EnhanceParams:
    return PIPELINE.pack(parsed(**given))[0]


def digest(params: EnhanceParams) -> str:
    return params_digest("enhance", params.model_dump(mode="json"), PIPELINE.model_sha256(params))


def test_a_model_travels_as_a_pin_and_a_file(tmp_path: Path) -> None:
    """The path stays here: what is shipped says which bytes, and what is in them."""
    path = saved(tmp_path, random_weights(features=5, convs=2, scale=3))

    params, assets = PIPELINE.pack(parsed(model=str(path)))

    pin = ModelPin(sha256=sha256_of(path), scale=3, parameters=1857, features=5, convs=2)
    assert (params.model, params.scale, PIPELINE.model_sha256(params)) == (pin, 3, pin.sha256)
    assert [(asset.slot, asset.path) for asset in assets] == [("model", path)]
    assert str(tmp_path) not in params.model_dump_json()
    assert path.name not in params.model_dump_json()


def test_the_same_network_under_another_name_is_the_same_work(tmp_path: Path) -> None:
    """Renaming or moving a file redoes nothing; other bytes do."""
    path = saved(tmp_path, random_weights())
    moved = Path(shutil.copy(path, tmp_path / "another name.bin"))
    other = saved(tmp_path, random_weights(features=5), "other.pth")

    assert digest(packed(model=str(path))) == digest(packed(model=str(moved)))
    assert digest(packed(model=str(path))) != digest(packed(model=str(other)))


def test_naming_the_default_is_the_same_work() -> None:
    """The shipped network enlarges twice, whether or not that is said."""
    assert digest(packed()) == digest(packed(scale=2)) != digest(packed(scale=3))
    assert PIPELINE.model_sha256(packed()) == DEFAULT_SHA256


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ~ in config.yaml is meant as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = saved(tmp_path, random_weights())

    assert PIPELINE.pack(parsed(model="~/some.pth"))[1][0].path == path


def test_a_bad_model_ends_the_plan() -> None:
    """Before anything is listed, the sentence names the file that is not there."""
    with pytest.raises(ModelError, match=r"There is no weight file at .*/absent\.pth"):
        PIPELINE.pack(parsed(model="absent.pth"))


@pytest.mark.parametrize("typed", ["two\nlines.pth", "~nobody-of-that-name/x.pth", "\x1b[2J.pth", "/"])
def test_a_name_that_cannot_travel_is_refused(typed: str) -> None:
    """It would not fit into an order, or lead nowhere."""
    with pytest.raises(ModelError, match="cannot be used") as caught:
        PIPELINE.pack(parsed(model=typed))

    assert typed in {"/", "~nobody-of-that-name/x.pth"} or typed not in str(caught.value)


def test_a_path_that_was_never_packed_is_no_work() -> None:
    """A machine never opens a path of its own because an order says so."""
    with pytest.raises(BadParams, match="model is still a path"):
        PIPELINE.model_sha256(parsed(model="/etc/passwd"))


@pytest.mark.parametrize(
    ("name", "container", "suffix"),
    [
        ("a.mp4", "auto", ".mp4"),
        ("a.M4V", "auto", ".m4v"),
        ("a.mov", "auto", ".mov"),
        ("a.mkv", "auto", ".mkv"),
        ("a.webm", "auto", ".webm"),
        ("a.webm", "mp4", ".mp4"),
        ("a.mp4", "webm", ".webm"),
        ("a.mov", "mkv", ".mkv"),
    ],
)
def test_the_container_follows_the_input_or_the_wish(name: str, container: str, suffix: str) -> None:
    """It is settled when the job is planned."""
    (output,) = PIPELINE.output_slots(packed(container=container), [name], 1.8e9, 1)

    assert output.name == f"a_upscaled_20270115_080000{suffix}"


@pytest.mark.parametrize("name", ["a.avi", "a"])
def test_another_kind_of_file_is_refused(name: str) -> None:
    """The sentence lists what is read."""
    with pytest.raises(BadParams, match=r"this version reads \.mp4, \.m4v, \.mov, \.mkv, \.webm, not"):
        PIPELINE.judge(packed(container="mp4"), name, None)


def test_presets_differ_in_quality_alone() -> None:
    """Low is smaller and faster, high is larger and slower, balanced is what happens anyway."""
    presets = {name: packed(**given) for name, given in PIPELINE.presets.items()}

    assert list(presets) == ["low", "balanced", "high"]
    assert presets["balanced"] == packed()
    assert presets["low"].crf > presets["balanced"].crf > presets["high"].crf


def test_the_work_of_a_part_is_its_share(media: MediaInfo) -> None:
    """Frames, operations and bytes are those of the part; what the clip's disk needs stays."""
    half = packed(start=0.25, end="750ms")
    whole, part = (PIPELINE.estimate(params, media, 100_000) for params in (packed(), half))
    disk, part_disk = (PIPELINE.needs(params, media, 10**9).disk_gb for params in (packed(), packed(sample=0.5)))

    assert (whole.frames, whole.gflop, whole.output_bytes) == (24, 2 * 45_156 * 96 * 64 * 24 / 1e9, 400_000)
    assert (part.frames, part.gflop, part.output_bytes) == (12, whole.gflop / 2, 200_000)
    assert (disk, part_disk) == (9, 5)


def test_the_work_of_a_model_is_its_own(media: MediaInfo, tmp_path: Path) -> None:
    """A larger network is more operations and more memory; the factor decides the bytes, not the network's."""
    path = str(saved(tmp_path, random_weights(features=64, convs=4, scale=4)))
    shipped, larger = (
        PIPELINE.estimate(params, media, 1000) for params in (packed(scale=3), packed(model=path, scale=3))
    )

    assert larger.gflop / shipped.gflop == pytest.approx(packed(model=path).model.parameters / 45_156)  # type: ignore[union-attr]
    assert larger.output_bytes == shipped.output_bytes == 9000
    assert PIPELINE.needs(packed(model=path), media, 1).vram_gb > PIPELINE.needs(packed(), media, 1).vram_gb > 0


def test_a_picture_without_end_is_refused(media: MediaInfo) -> None:
    """The sentence has the size that it would become, and the limit; at the limit it is taken."""
    wide = replace(media, video=replace(media.video, width=MAX_SIDE // 2, height=64))
    wider = replace(media, video=replace(media.video, width=64, height=MAX_SIDE // 2 + 1))

    PIPELINE.judge(packed(), "clip.mp4", wide)
    with pytest.raises(BadParams, match="64×8193 would become 128×16386; a video may be up to 16384 pixels") as caught:
        PIPELINE.judge(packed(), "clip.mp4", wider)
    assert caught.value.advice == "Choose a smaller --scale."


def test_a_part_behind_the_end_is_refused(media: MediaInfo) -> None:
    """A clip of one second has nothing at its second second; a part that ends later is cut."""
    PIPELINE.judge(packed(start=0.5, end=9), "clip.mp4", media)
    with pytest.raises(BadParams, match=r"clip\.mp4 is 1 s long; start=1 lies behind its end"):
        PIPELINE.judge(packed(start=1), "clip.mp4", media)


@pytest.mark.parametrize("given", [{"start": 0.999}, {"start": 0.51, "end": 0.52}])
def test_a_part_without_a_picture_is_refused(media: MediaInfo, given: dict[str, Json]) -> None:
    """A part shorter than a frame may lie between two; the last frame is still taken."""
    PIPELINE.judge(packed(start=23 / 24), "clip.mp4", media)
    with pytest.raises(BadParams, match=r"clip\.mp4 is 1 s long; there is no picture from 0\.\d+ s to .*\.$") as caught:
        PIPELINE.judge(packed(**given), "clip.mp4", media)
    assert caught.value.advice == "Choose an earlier --start or a longer part."


def test_more_than_eight_bits_are_refused(media: MediaInfo) -> None:
    """They would be lost."""
    with pytest.raises(BadParams, match="10 bits a sample; this version keeps 8"):
        PIPELINE.judge(packed(), "a.mkv", replace(media, video=replace(media.video, bit_depth=10)))


def test_a_broken_file_is_taken_when_asked() -> None:
    """By default it is not."""
    assert [PIPELINE.takes_truncated(packed(allow_truncated=wish)) for wish in (False, True)] == [False, True]


def test_what_the_result_will_not_hold_is_said_before_it_is_paid_for() -> None:
    """AAC has no place in webm, and this version leaves chapters behind: named, not dropped in silence."""
    sample = probe(Path(__file__).parents[3] / "samples" / "clip.mp4")
    broken = replace(sample, shortfall="clip.mp4 breaks off: 57 frames of 108 are there.", other=("2 chapters",))

    assert PIPELINE.notes(parsed(), "clip.mp4", sample) == ()
    assert PIPELINE.notes(parsed(container="webm"), "clip.mp4", sample) == ("left behind: audio aac",)
    assert PIPELINE.notes(parsed(), "clip.mp4", broken) == (broken.shortfall, "left behind: 2 chapters")
    assert PIPELINE.notes(parsed(), "clip.mp4", None) == ()
