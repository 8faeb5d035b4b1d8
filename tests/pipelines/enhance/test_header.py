"""Weight files are judged on the person's machine: without torch, without running them, and as the loader would."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from framehaul.errors import ModelError
from framehaul.pipelines.enhance.form import MAX_BYTES, Form
from framehaul.pipelines.enhance.header import form_of, read_header
from framehaul.pipelines.enhance.weights import DEFAULT_SHA256, DEFAULT_WEIGHTS, load_network
from tests.pipelines.enhance.networks import (
    OFFICIAL,
    OFFICIAL_SHA256,
    Bomb,
    needs_official,
    random_weights,
    saved,
)

ROOT = Path(__file__).parents[3]


@needs_official
def test_the_official_model_is_known_by_its_header() -> None:
    """realesr-animevideov3 has 64 features, 16 convolutions, factor 4 and 621,424 weights."""
    header = read_header(OFFICIAL)

    assert (header.sha256, header.form) == (OFFICIAL_SHA256, Form(features=64, convs=16, scale=4))
    assert header.form.parameters == 621_424


def test_the_shipped_network_is_known_by_its_header() -> None:
    """Its form and weights are counted as its record has them."""
    record = json.loads(DEFAULT_WEIGHTS.with_suffix(".json").read_text("utf-8"))

    header = read_header(DEFAULT_WEIGHTS)

    assert header.sha256 == DEFAULT_SHA256
    assert vars(header.form) == {key: record[key] for key in ("features", "convs", "scale")}
    assert header.form.parameters == record["parameters"]


def test_torch_is_not_needed() -> None:
    """A laptop without torch and numpy judges a file: neither is imported."""
    words = f"from pathlib import Path; from framehaul.pipelines.enhance.header import read_header as r; import sys; \
print(r(Path({str(DEFAULT_WEIGHTS)!r})).form, {{'torch', 'numpy', 'safetensors', 'av'}} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "SRVGGNetCompact 24x8 x2 set()\n"


def _as_legacy(weights: object, path: Path) -> None:
    torch.save(weights, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        _as_legacy,
        lambda weights, path: torch.save({"params_ema": weights, "params": {}, "epoch": 3}, path),
        lambda weights, path: torch.save({"params": weights, "optimizer": {"lr": 0.1, 5: (None, True)}}, path),
        lambda weights, path: torch.save({key: torch.nn.Parameter(value) for key, value in weights.items()}, path),
        lambda weights, path: torch.save({key: value.bfloat16() for key, value in weights.items()}, path),
        save_file,
        lambda weights, path: save_file(weights, path, metadata={"format": "pt"}),
    ],
    ids=["zip", "legacy", "params_ema", "params", "parameters", "bf16", "safetensors", "safetensors with words"],
)
@pytest.mark.parametrize("form", [Form(features=5, convs=2, scale=3), Form(features=4, convs=0, scale=1)], ids=str)
def test_header_says_what_the_loader_finds(write: Callable[..., None], form: Form, tmp_path: Path) -> None:
    """Features, convolutions, factor, weights and digest are the same by both ways, in every layout."""
    path = tmp_path / "some.bin"
    write(random_weights(features=form.features, convs=form.convs, scale=form.scale), path)

    header, loaded = read_header(path), load_network(path)

    network = loaded.network
    assert header.form == form == Form(features=network.features, convs=network.convs, scale=network.scale)
    assert (header.form.parameters, header.sha256) == (loaded.parameters, loaded.sha256)


@pytest.mark.parametrize("write", [torch.save, _as_legacy, lambda o, p: p.write_bytes(pickle.dumps(o, protocol=4))])
def test_a_pickle_that_runs_a_command_is_refused_unrun(write: Callable[[object, Path], None], tmp_path: Path) -> None:
    """os.system is named in the refusal, and the command has left no mark."""
    path, mark = tmp_path / "bad.pth", tmp_path / "mark"
    write({"params": Bomb(mark)}, path)

    with pytest.raises(
        ModelError, match="asks to run code while it is read, which is refused; nothing of it"
    ) as caught:
        read_header(path)

    assert not mark.exists()
    assert "posix.system" in str(caught.value)


def test_the_command_is_a_real_one(tmp_path: Path) -> None:
    """A careless load of the same pickle does leave the mark."""
    mark = tmp_path / "mark"

    pickle.loads(pickle.dumps(Bomb(mark)))

    assert mark.exists()


def _zipped(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _cut(path: Path, by: int) -> None:
    torch.save(random_weights(), path)
    path.write_bytes(path.read_bytes()[:-by])


def _without_member(path: Path) -> None:
    torch.save(random_weights(), path)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/data/3")}
    _zipped(path, kept)


def _safe(header: object, tail: bytes = b"") -> Callable[[Path], object]:
    text = json.dumps(header).encode()
    return lambda path: path.write_bytes(len(text).to_bytes(8, "little") + text + tail)


RRDB = {
    "conv_first.weight": torch.zeros(4, 3, 3, 3),
    "body.0.rdb1.conv1.weight": torch.zeros(4, 4, 3, 3),
    "conv_last.weight": torch.zeros(3, 4, 3, 3),
}


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(64)), r"looks like a video \(mp4 or mov\)"),
        (lambda path: path.write_bytes(b"\x1aE\xdf\xa3" + bytes(64)), r"looks like a video \(mkv or webm\)"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1"), "looks like a Git LFS pointer"),
        (lambda path: path.write_text("name,age\nEve,7\n"), "is no weight file, or a damaged one"),
        (lambda path: path.write_text("count,age\nEve,7\n"), "is no weight file, or a damaged one"),
        (lambda path: _cut(path, 100), "looks like a zip that breaks off, or is damaged"),
        (lambda path: _cut(path, 3000), "looks like a zip that breaks off, or is damaged"),
        (_without_member, "is no weight file, or a damaged one"),
        (lambda path: _zipped(path, {"a/data.pkl": bytes(MAX_BYTES + 1)}), "unpacks to 128 MiB, far more"),
        (lambda path: _zipped(path, {"a/data.pkl": b"N" * (1 << 20) + b".."}), "or a damaged one"),
        (lambda path: _zipped(path, {"a/data.pkl": b"N.", "b/data.pkl": b"N."}), "or a damaged one"),
        (lambda path: _zipped(path, {"word/document.xml": b"<w/>"}), "or a damaged one"),
        (lambda path: torch.save({"params_ema": RRDB}, path), r"is no SRVGGNetCompact but an RRDBNet \(ESRGAN"),
        (lambda path: torch.save([1, 2], path), "holds no table of weights"),
        (lambda path: torch.save({"a\x1b[2J": 1}, path), r"holds 'a\?\[2J', which is no table"),
        (lambda path: torch.save(random_weights(scale=9), path), "enlarges 9 times; this version goes up to 8"),
        (lambda path: torch.save({"a": torch.zeros(1).expand(10**12)}, path), "claims more than 33554432 parameters"),
        (lambda path: torch.save({"body.0.weight": torch.zeros(4, 3, 3, 3).to_sparse()}, path), "no table of floating"),
        (_safe({}), "holds no table of weights"),
        (_safe([]), "is no weight file, or a damaged one|asks"),
        (_safe({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"), "or a damaged one"),
        (_safe({"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, b"1234"), "or a damaged one"),
        (_safe({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"), "or a damaged one"),
        (
            _safe({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
            "holds 'a', which is no table",
        ),
        (_safe({"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}, bytes(2)), "its first keys are a"),
        (_safe({"a": 5}), "or a damaged one"),
    ],
)
def test_what_is_no_network_is_a_sentence(write: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    """Whatever lies under the name instead, the person reads what it is, and what to give instead."""
    path = tmp_path / "some.pth"
    write(path)

    with pytest.raises(ModelError, match=sentence) as caught:
        read_header(path)

    assert str(path) in caught.value.message
    assert "SRVGGNetCompact family" in caught.value.advice


@cache
def _layouts() -> tuple[bytes, ...]:
    """Give one small network in each layout."""
    modern, legacy = io.BytesIO(), io.BytesIO()
    torch.save(random_weights(), modern)
    torch.save(random_weights(), legacy, _use_new_zipfile_serialization=False)
    return modern.getvalue(), legacy.getvalue(), save(random_weights())


@settings(max_examples=200)
@given(
    layout=st.sampled_from(range(3)),
    changes=st.lists(st.tuples(st.integers(-1200, 1200), st.integers(0, 255)), max_size=5),
    cut=st.just(0) | st.integers(1, 4000),
)
def test_any_damage_is_a_sentence(layout: int, changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes exchanged or cut away, in any layout: the file is still a network, or a ModelError says that it is none."""
    data = bytearray(_layouts()[layout])
    for place, value in changes:
        data[place] = value
    said = ""

    try:
        form_of(bytes(data[: len(data) - cut]), Path("some.pth"))
    except ModelError as exc:
        said = exc.message

    assert not said or said.startswith("some.pth ")


def _float8(legacy: bool, path: Path) -> None:
    weights = {key: value.to(torch.float8_e4m3fn) for key, value in random_weights().items()}
    torch.save(weights, path, _use_new_zipfile_serialization=not legacy)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: _float8(False, path),
        lambda path: _float8(True, path),
        lambda path: torch.save({"a": torch.zeros(3).untyped_storage()}, path),
        lambda path: torch.save({"a": torch.zeros(3, dtype=torch.complex64)}, path),
        lambda path: torch.save({"a": torch.zeros(3, dtype=torch.uint16)}, path),
        lambda path: save_file({"a": torch.zeros(3).to(torch.float8_e5m2)}, path),
    ],
    ids=["float8", "float8 legacy", "storage", "complex", "uint16", "float8 safetensors"],
)
def test_other_numbers_are_not_accused(write: Callable[[Path], None], tmp_path: Path) -> None:
    """A harmless file of a kind that is not read is called that; nobody says that it would run code."""
    path = tmp_path / "f8.pth"
    write(path)

    with pytest.raises(ModelError, match=r"holds '.*', which is no table of floating-point numbers that this version"):
        read_header(path)


def test_a_large_file_of_one_byte_is_read_in_part(tmp_path: Path) -> None:
    """Eight megabytes of junk cost no more memory than themselves, twice."""
    path = tmp_path / "junk.pth"
    path.write_bytes(b"\x80\x02" + b"(" * (8 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="is no weight file, or a damaged one"):
            read_header(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 24 << 20


def test_the_older_layout_has_its_table_in_the_first_megabyte() -> None:
    """What names a longer one is damage, as in a zip: 700 tensors take a fifth of that."""
    stream = io.BytesIO()
    torch.save({"a": "x" * (1 << 20)}, stream, _use_new_zipfile_serialization=False)

    with pytest.raises(ModelError, match="is no weight file, or a damaged one"):
        form_of(stream.getvalue(), Path("some.pth"))


def test_a_locked_zip_is_damaged(tmp_path: Path) -> None:
    """A zip with a password is told as what it is to us."""
    path = saved(tmp_path, random_weights())
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)

    with pytest.raises(ModelError, match="is no weight file, or a damaged one"):
        read_header(path)


def test_a_missing_file_and_a_folder_are_sentences(tmp_path: Path) -> None:
    """Both name the path that was typed."""
    with pytest.raises(ModelError, match=r"There is no weight file at .*absent\.pth"):
        read_header(tmp_path / "absent.pth")
    with pytest.raises(ModelError, match="is not a file"):
        read_header(tmp_path)
