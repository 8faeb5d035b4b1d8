"""Read what a pickle says without doing what it says: nothing is imported, nothing is called.

A pickle is a program for a small stack machine. `pickletools` takes it apart into opcodes; here those few are
followed that a table of weights is written with. A name is only ever a word: an object that would be built becomes
a note of what it is, and a name that no tensor needs ends the reading.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Mapping
from typing import BinaryIO

from framehaul.pipelines.enhance.announced import (
    DamagedError,
    Name,
    Odd,
    Storage,
    StoredTensor,
    built,
    is_harmless,
    key_of,
    number_of,
    storage_of,
)

# A table of 700 tensors is written in some 20,000 instructions, and no object in it lies ten deep.
_MAX_STEPS, _MAX_MARKS = 1 << 18, 1000


class RefusedError(Exception):
    """Raised for a pickle that names something to call; carries the name."""


def read_pickle(data: BinaryIO) -> tuple[object, dict[str, Storage]]:
    """Follow one pickle from the stream's position to just behind it; gives what it holds, and the storages it names.

    Raises RefusedError for what would run code, DamagedError for everything else that is no table of weights.
    """
    reading = _Reading()
    try:
        return reading.follow(data), reading.storages
    except RefusedError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError) as exc:
        raise DamagedError(str(exc)) from exc


class _Reading:
    """The stack machine, with marks as stacks of their own."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._stack: list[object] = []
        self._marked: list[list[object]] = []
        self._memo: dict[int, object] = {}
        self._steps_left = _MAX_STEPS

    def follow(self, data: BinaryIO) -> object:
        """Take one opcode after the other, to STOP."""
        for opcode, argument, _ in pickletools.genops(data):
            self._spend(1)
            word = opcode.name
            if word == "STOP":
                return self._stack.pop()
            if word in _CONSTANTS:
                self._stack.append(_CONSTANTS[word]())
            elif _SPOKEN.fullmatch(word):
                self._stack.append(argument)
            elif word in _STEPS:
                _STEPS[word](self, argument)
            elif word in _MAKERS:
                raise RefusedError(f"the pickle instruction {word}")
            elif word not in _SILENT:
                raise DamagedError(f"{word} is no word of a table of weights")
        raise DamagedError("it has no end")

    def _spend(self, steps: int) -> None:
        """Bound time and memory: an instruction of one byte leaves an object of sixty behind."""
        self._steps_left -= steps
        if self._steps_left < 0:
            raise DamagedError("it has more instructions than any table of weights")

    def mark(self, _: object) -> None:
        if len(self._marked) == _MAX_MARKS:
            raise DamagedError("it is nested deeper than any table of weights")
        self._marked.append(self._stack)
        self._stack = []

    def _unmark(self) -> list[object]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def remember(self, place: object) -> None:
        self._memo[len(self._memo) if place is None else number_of(place)] = self._stack[-1]

    def recall(self, place: object) -> None:
        self._stack.append(self._memo[number_of(place)])

    def name(self, spoken: object) -> None:
        """Note a name: "module name" of GLOBAL, or two strings on the stack."""
        if spoken is None:
            name, module = self._stack.pop(), self._stack.pop()
            dotted = f"{module}.{name}"
        else:
            dotted = str(spoken).replace(" ", ".", 1)
        if not all(part.isidentifier() for part in dotted.split(".")):
            raise DamagedError("it names what cannot be a name")
        if not is_harmless(dotted):
            raise RefusedError(dotted)
        self._stack.append(Name(dotted))

    def reduce(self, _: object) -> None:
        """Note what a call would build."""
        arguments, called = self._stack.pop(), self._stack.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise RefusedError("a call of something without a name")
        self._spend(sum(len(given) for given in arguments if isinstance(given, list)))  # one list for many calls
        self._stack.append(built(called.dotted, arguments))

    def build(self, _: object) -> None:
        """Drop an object's attributes: an OrderedDict of weights carries version numbers."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict | StoredTensor | Odd):
            raise RefusedError("a call of __setstate__")

    def persist(self, _: object) -> None:
        """Note a storage: ('storage', kind, key, device, numbers), and in old files a view."""
        self._stack.append(storage := storage_of(self._stack.pop()))
        self.storages[storage.key] = storage

    def gather(self, length: int | None) -> None:
        items = self._unmark() if length is None else [self._stack.pop() for _ in range(length)][::-1]
        self._stack.append(tuple(items))

    def pop(self, _: object) -> None:
        self._stack.pop()

    def append(self, _: object) -> None:
        value = self._stack.pop()
        _list(self._stack[-1]).append(value)

    def extend(self, _: object) -> None:
        items = self._unmark()
        _list(self._stack[-1]).extend(items)

    def set_item(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _dict(self._stack[-1])[key_of(key)] = value

    def set_items(self, _: object) -> None:
        items = self._unmark()
        table = _dict(self._stack[-1])
        for key, value in zip(items[::2], items[1::2], strict=True):
            table[key_of(key)] = value


_CONSTANTS: Mapping[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": Odd,
}
_SPOKEN = re.compile(
    r"INT|BININT[12]?|LONG[14]?|(BIN)?FLOAT|STRING|(SHORT_)?BINSTRING|(SHORT_)?BINBYTES8?|UNICODE|(SHORT_)?BINUNICODE8?"
)
_SILENT = frozenset({"PROTO", "FRAME"})
_MAKERS = frozenset({"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"})
_STEPS: Mapping[str, Callable[[_Reading, object], None]] = {
    "MARK": _Reading.mark,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Reading.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Reading.recall),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _Reading.name),
    "REDUCE": _Reading.reduce,
    "BUILD": _Reading.build,
    "BINPERSID": _Reading.persist,
    "TUPLE": lambda reading, _: reading.gather(None),
    "TUPLE1": lambda reading, _: reading.gather(1),
    "TUPLE2": lambda reading, _: reading.gather(2),
    "TUPLE3": lambda reading, _: reading.gather(3),
    "POP": _Reading.pop,
    "APPEND": _Reading.append,
    "APPENDS": _Reading.extend,
    "SETITEM": _Reading.set_item,
    "SETITEMS": _Reading.set_items,
}


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise DamagedError("it adds to what is no list")
    return value


def _dict(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise DamagedError("it adds to what is no table")
    return value
