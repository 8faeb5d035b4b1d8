"""Judge a weight file on the person's machine, without torch: which network it is, by its header alone.

Three layouts are read, told apart by their first bytes: torch's zip with a pickle in it, torch's older run of
pickles, and safetensors. Whatever a file claims is bounded before it is believed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

from framehaul.errors import ModelError
from framehaul.pipelines.enhance.announced import DamagedError, Storage, StoredTensor
from framehaul.pipelines.enhance.form import ADVICE, MAX_BYTES, NO_TABLE, Form, Shape, bad, find_table, judge
from framehaul.pipelines.enhance.pickled import RefusedError, read_pickle

_MAX_PICKLE_BYTES = 1 << 20  # a table of 700 tensors has 0.2 MB
_MAX_MEMBERS = 10_000
_LEGACY_MAGIC, _LEGACY_PICKLES_BEFORE = 0x1950A86A20F9469CFC6C, 2  # protocol version, and system facts
_SAFE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
# What people take for a weight file, by how it begins.
_STRANGERS = (
    (0, b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched"),
    (0, b"<", "a web page"),
    (4, b"ftyp", "a video (mp4 or mov)"),
    (0, b"\x1aE\xdf\xa3", "a video (mkv or webm)"),
    (0, b"\x89PNG", "a picture"),
    (0, b"PK", "a zip that breaks off, or is damaged"),
)


@dataclass(frozen=True)
class Header:
    """What a weight file is: its digest, and the form of the network in it."""

    sha256: str
    form: Form


def read_header(path: Path) -> Header:
    """Judge a file that a person named; ModelError says what is wrong with it."""
    data = read_whole(path)
    return Header(hashlib.sha256(data).hexdigest(), form_of(data, path))


def read_whole(path: Path) -> bytes:
    """Take the whole file into memory, so that the bytes that are hashed are the bytes that are judged or loaded."""
    try:
        if not path.exists():
            raise ModelError(f"There is no weight file at {path}.", advice=ADVICE)
        if not path.is_file():
            raise bad(path, "is not a file")
        size = path.stat().st_size
        if size == 0:
            raise bad(path, "is empty")
        if size > MAX_BYTES:
            raise bad(path, f"has {size // 2**20} MiB, far more than any network of this family")
        return path.read_bytes()
    except OSError as exc:
        raise unreadable(path, exc) from exc


def form_of(data: bytes, path: Path) -> Form:
    """Tell which network these bytes hold; `path` is for the sentence alone."""
    if is_safetensors(data):
        return judge(_safe_shapes(data, path), path)
    try:
        stored = _from_zip(data, path) if _is_zip(data) else _from_pickles(data)
    except RefusedError as exc:
        named = "".join(char for char in str(exc)[:80] if char.isprintable())
        why = "asks to run code while it is read, which is refused; nothing of it was run"
        raise bad(path, f"{why} (it names {named})") from exc
    except ModelError:
        raise
    except Exception as exc:  # zipfile alone raises six kinds of error for a damaged file, and more when fuzzed
        raise _damaged(data, path) from exc
    table = find_table(stored, _plain, path)
    return judge({key: tensor.shape for key, tensor in table.items()}, path)


def is_safetensors(data: bytes) -> bool:
    """Say whether this begins as safetensors do: the header's length in 8 bytes, then a JSON object."""
    return data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= len(data) - 8


def unreadable(path: Path, exc: OSError) -> ModelError:
    """Say that the system does not let us read a file."""
    return ModelError(f"{path} cannot be read: {exc.strerror}.", advice="Check that it exists and may be read.")


def damaged(path: Path) -> ModelError:
    """Say that these bytes are no weights."""
    return bad(path, "is no weight file, or a damaged one")


def _damaged(data: bytes, path: Path) -> ModelError:
    for place, first_bytes, what in _STRANGERS:
        if data.startswith(first_bytes, place):
            return bad(path, f"is no weight file, or a damaged one; it looks like {what}")
    return damaged(path)


def _plain(value: object) -> StoredTensor | None:
    return value if isinstance(value, StoredTensor) and value.floating else None


def _is_zip(data: bytes) -> bool:
    return zipfile.is_zipfile(io.BytesIO(data))


def _from_zip(data: bytes, path: Path) -> object:
    """Read torch's layout since 1.6: NAME/data.pkl, and each storage as NAME/data/KEY."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if unpacked > MAX_BYTES:  # torch itself would inflate a small file to any size
            raise bad(path, f"unpacks to {unpacked // 2**20} MiB, far more than any network of this family")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or len(members) > _MAX_MEMBERS or pickles[0].file_size > _MAX_PICKLE_BYTES:
            raise DamagedError("it holds no table of contents")
        sizes = {member.filename: member.file_size for member in members}
        stored, storages = read_pickle(io.BytesIO(archive.read(pickles[0])))
        folder = pickles[0].filename.removesuffix("data.pkl")
    _check_storages(storages, {key: sizes.get(f"{folder}data/{key}", -1) for key in storages})
    return stored


def _check_storages(storages: dict[str, Storage], sizes: dict[str, int]) -> None:
    for key, storage in storages.items():
        if sizes[key] < storage.size:
            raise DamagedError(f"storage {key} is missing or short")


def _from_pickles(data: bytes) -> object:
    """Read torch's layout before 1.6: magic number, version, system, table, list of keys, then the storages."""
    stream = io.BytesIO(data[:_MAX_PICKLE_BYTES])
    magic, _ = read_pickle(stream)
    if magic != _LEGACY_MAGIC:
        raise DamagedError("it has another beginning")
    for _ in range(_LEGACY_PICKLES_BEFORE):
        read_pickle(stream)
    stored, storages = read_pickle(stream)
    read_pickle(stream)
    if len(data) - stream.tell() < sum(8 + storage.size for storage in storages.values()):
        raise DamagedError("it breaks off among its numbers")
    return stored


def _safe_shapes(data: bytes, path: Path) -> dict[str, Shape]:
    """Read the header of safetensors: {name: {dtype, shape, data_offsets}}, and free words under __metadata__."""
    length = int.from_bytes(data[:8], "little")
    if length > _MAX_PICKLE_BYTES:
        raise damaged(path)
    try:
        told = json.loads(data[8 : 8 + length])
        entries = {key: entry for key, entry in told.items() if key != "__metadata__"}
        if not entries:
            raise bad(path, "holds no table of weights")
        return {key: _safe_shape(key, entry, len(data) - 8 - length, path) for key, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise damaged(path) from exc


def _safe_shape(key: str, entry: dict[str, object], room: int, path: Path) -> Shape:
    kind, shape, place = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if kind not in _SAFE_BYTES:
        raise bad(path, f"holds {key[:60]!r}, {NO_TABLE}")
    match shape, place:
        case list(lengths), [int(start), int(end)] if all(isinstance(one, int) and 0 <= one < 2**40 for one in lengths):
            if 0 <= start <= end <= room and end - start == math.prod(lengths) * _SAFE_BYTES[kind]:
                return tuple(lengths)
    raise ValueError(f"{key[:60]!r} lies outside of the file")
