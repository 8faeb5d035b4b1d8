"""What a pickle of weights announces: tensors, storages and names, as notes. None of it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass

_BYTES_A_NUMBER = {
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
    # Kinds that no weight of ours has: untyped (float8 lies in it, counted in bytes), complex and quantised.
    "torch.storage.UntypedStorage": 1,
    "torch.storage.TypedStorage": 1,
    "torch.ComplexFloatStorage": 8,
    "torch.ComplexDoubleStorage": 16,
    "torch.QInt8Storage": 1,
    "torch.QUInt8Storage": 1,
    "torch.QInt32Storage": 4,
}
_FLOATING = {"torch.DoubleStorage", "torch.FloatStorage", "torch.HalfStorage", "torch.BFloat16Storage"}
_TENSOR, _PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
# Other tensors than ours, sizes and types: they may lie beside the weights, and are noted as odd.
_HARMLESS = (
    "torch._utils._rebuild_",
    "torch.float",
    "torch.bfloat16",
    "torch.int",
    "torch.uint",
    "torch.bool",
    "torch.complex",
    "torch.per_tensor_",
    "torch.per_channel_",
)
_HARMLESS_NAMES = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    *_BYTES_A_NUMBER,
}
_MAX_DIMENSIONS, _MAX_LENGTH = 8, 1 << 40


class DamagedError(Exception):
    """Raised for bytes that are no pickle, or no pickle of weights."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers, as the pickle announces it: where it lies, and how many bytes it needs there."""

    key: str
    kind: str
    numbers: int

    @property
    def size(self) -> int:
        """Count its bytes."""
        return self.numbers * _BYTES_A_NUMBER[self.kind]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor, as the pickle announces it."""

    shape: tuple[int, ...]
    storage: Storage

    @property
    def floating(self) -> bool:
        """Say whether it holds floating-point numbers."""
        return self.storage.kind in _FLOATING


@dataclass(frozen=True)
class Odd:
    """Something harmless that is no tensor of ours."""


@dataclass(frozen=True)
class Name:
    """The name of a function or class; only a word."""

    dotted: str


def is_harmless(dotted: str) -> bool:
    """Say whether a table of weights may name this function or class."""
    return dotted in _HARMLESS_NAMES or dotted.startswith(_HARMLESS)


def storage_of(told: object) -> Storage:
    """Note a storage: ('storage', kind, key, device, numbers), and in old files a view."""
    match told:
        case ("storage", Name(kind), str(key), str(), int(numbers), *_) if (
            kind in _BYTES_A_NUMBER and 0 <= numbers < _MAX_LENGTH
        ):
            return Storage(key, kind, numbers)
        case _:
            raise DamagedError("it names no storage")


def built(called: str, arguments: tuple[object, ...]) -> object:
    """Note what a call would build: a table, a tensor, or something odd."""
    match called, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "collections.OrderedDict", (list(pairs),):
            return {key_of(key): value for key, value in pairs}
        case str(name), (Storage() as storage, int(offset), tuple(shape), tuple(stride), *_) if name == _TENSOR:
            return _tensor(storage, offset, shape, stride)
        case str(name), (StoredTensor() as tensor, *_) if name == _PARAMETER:
            return tensor
        case _:
            return Odd()


def _tensor(storage: Storage, offset: int, shape: tuple[object, ...], stride: tuple[object, ...]) -> StoredTensor:
    """Hold a tensor's claims against its storage, as torch will when it loads it."""
    lengths, steps = _lengths(shape), _lengths(stride)
    if len(lengths) != len(steps) or offset < 0:
        raise DamagedError("a tensor's shape and strides differ")
    last = offset + sum((length - 1) * step for length, step in zip(lengths, steps, strict=True))
    if math.prod(lengths) and last >= storage.numbers:
        raise DamagedError("a tensor reaches beyond its numbers")
    return StoredTensor(lengths, storage)


def _lengths(values: tuple[object, ...]) -> tuple[int, ...]:
    if len(values) > _MAX_DIMENSIONS:
        raise DamagedError("a tensor of impossible size")
    lengths = tuple(map(number_of, values))
    if not all(0 <= length < _MAX_LENGTH for length in lengths):
        raise DamagedError("a tensor of impossible size")
    return lengths


def number_of(value: object) -> int:
    """Insist on a whole number."""
    if not isinstance(value, int):
        raise DamagedError("a word stands where a number belongs")
    return value


def key_of(value: object) -> object:
    """Take plain keys alone: the hash of a tuple in a tuple in a tuple would overflow the stack."""
    if not isinstance(value, str | int | float | bool | None):
        raise DamagedError("a table has a key that is neither a word nor a number")
    return value
