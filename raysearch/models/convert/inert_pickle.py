"""Pickles of checkpoints, walked with everything inert. It learns which classes and functions a
file names and what its tensors ask for, before torch allocates anything; nothing is run."""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

STEPS = 2_000_000  # of one pickle; those of the largest models have some 100,000
BYTES = 32 * 2**20  # of one pickle, without its tensors
DEEPEST, LARGEST = 50, 10_000  # levels and parts of a tuple: Python takes its hash by recursion

# What weights_only unpickles; whatever else a pickle says is refused before torch sees it.
_OPERATIONS = (
    pickle.PROTO, pickle.STOP, pickle.GLOBAL, pickle.NEWOBJ, pickle.REDUCE, pickle.BUILD,
    pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS, pickle.MARK, pickle.TUPLE,
    pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.NONE, pickle.NEWFALSE, pickle.NEWTRUE,
    pickle.EMPTY_TUPLE, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.BININT,
    pickle.BININT1, pickle.BININT2, pickle.BINFLOAT, pickle.BINUNICODE, pickle.SHORT_BINSTRING,
    pickle.BINPERSID, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT, pickle.LONG_BINPUT,
    pickle.LONG1,
)  # fmt: skip
_SIZES = {
    "Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4,
    "Long": 8, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16, "QInt32": 4,
}  # fmt: skip


class InertObject:
    """Stands for any pickled class or function: takes what it is given and does nothing."""

    filled: type | None = None  # list or OrderedDict: what the file fills such an object like

    def __new__(cls, *given: Any, **named: Any) -> Any:
        return object.__new__(cls) if cls.filled is None else cls.filled()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.__dict__.update((str(name), value) for name, value in part.items())

    def append(self, item: Any) -> None:
        """Take an item of a class that is a list."""
        type(self).filled = list

    def __setitem__(self, key: Any, item: Any) -> None:
        type(self).filled = OrderedDict


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What the values of tensors are stored in.

    Attributes:
        key: names it in the file.
        count: elements.
        size: bytes of an element.
    """

    key: str
    count: int
    size: int


@dataclass(frozen=True, kw_only=True)
class TensorSketch:
    """A tensor without values.

    Attributes:
        shape: its sizes.
        elements: how many its storage holds, of the tensor's own kind.
    """

    shape: tuple[int, ...]
    elements: int

    @property
    def excess(self) -> str:
        """Return how many more elements it asks for than are stored; empty if no more."""
        count = math.prod(self.shape)
        if count <= self.elements:
            return ""
        return f"{list(self.shape)} asks for {count:,} elements, and {self.elements:,} are stored"

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a tensor is changed after it was made")


@dataclass(kw_only=True)
class Contents:
    """What a file's pickles hold.

    Attributes:
        named: the stand-in of every class and function, by module and name.
        storages: by key.
        held: the object of the last pickle.
    """

    named: dict[tuple[str, str], type] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)
    held: Any = None


def walk_pickle(file: BinaryIO, contents: Contents) -> None:
    """Walk one pickle, and add what it holds.

    Raises:
        pickle.UnpicklingError: it is no pickle of weights, or asks for more than is stored.
        Exception: whatever foreign bytes make Python's unpickler raise.
    """
    contents.held = _Unpickler(_Limited(file), contents).load()


class _Limited(io.RawIOBase):
    """Reads a file up to the limits of one pickle."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file, self.steps, self.bytes = file, 0, 0

    def read(self, size: int = -1) -> bytes:
        """Read exactly some bytes, or what is left."""
        self._count(size)
        return self.file.read(size)

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line of at most a thousand bytes."""
        self._count(1)
        return self.file.readline(1000)

    def _count(self, size: int) -> None:
        self.steps, self.bytes = self.steps + 1, self.bytes + size
        if self.steps > STEPS or self.bytes > BYTES:
            raise pickle.UnpicklingError("more than the pickle of a checkpoint holds")


class _Dispatch(dict):
    """Operation -> what does it; others are refused."""

    def __missing__(self, operation: int) -> Callable[[Any], None]:
        raise pickle.UnpicklingError(f"no pickle of weights has the byte 0x{operation:02x}")


class _Unpickler(pickle._Unpickler):  # in Python: in C, a number of 4 bytes takes 34 GB of memory
    """Walks one pickle with everything inert."""

    dispatch = _Dispatch({key[0]: pickle._Unpickler.dispatch[key[0]] for key in _OPERATIONS})

    def __init__(self, file: BinaryIO, contents: Contents) -> None:
        super().__init__(file, encoding="bytes")
        self.contents = contents
        self.tuples: dict[int, tuple[int, int, tuple]] = {}  # id -> levels, parts, itself

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in, whatever the name; one for each."""
        named = self.contents.named
        if (module, name) not in named:
            named[module, name] = type(name, (InertObject,), {})
        if (module, name) in _MADE:
            return _MADE[module, name]
        if module.split(".")[0] == "torch" and name.endswith("Tensor"):
            return _refused
        return named[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that is named."""
        if not isinstance(pid, tuple) or len(pid) < 5 or _text(pid[0]) != "storage":
            return None  # the source code of a module, in old files
        _, kind, key, _, count = pid[:5]
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError(f"a storage of {count!r:.40} elements")
        name = getattr(kind, "__name__", "").removesuffix("Storage")
        storage = Storage(key=_text(key), count=count, size=_SIZES.get(name, 1))
        return self.contents.storages.setdefault(storage.key, storage)

    def append_tuple(self) -> None:
        """Refuse the tuple on top of the stack if Python cannot take its hash."""
        items = self.stack[-1]
        inner = [self.tuples[id(item)] for item in items if id(item) in self.tuples]
        levels = 1 + max((levels for levels, _, _ in inner), default=0)
        parts = len(items) + sum(parts for _, parts, _ in inner)
        if levels > DEEPEST or parts > LARGEST:
            raise pickle.UnpicklingError("tuples within tuples, too many to be read")
        self.tuples[id(items)] = levels, parts, items


def _watched(operation: bytes) -> Callable[[_Unpickler], None]:
    """Return what makes a tuple, and looks at it."""
    make = pickle._Unpickler.dispatch[operation[0]]

    def make_and_look(unpickler: _Unpickler) -> None:
        make(unpickler)
        unpickler.append_tuple()

    return make_and_look


for _operation in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
    _Unpickler.dispatch[_operation[0]] = _watched(_operation)


def _text(value: Any) -> str:
    """Return a text that may be of Python 2."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorSketch:
    """Return the sketch of a tensor; its elements must lie in its storage."""
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    numbers = (offset, *_numbers(shape), *_numbers(stride))
    if len(_numbers(shape)) != len(_numbers(stride)) or any(n < 0 for n in numbers):
        raise pickle.UnpicklingError(f"a tensor of shape {shape!r:.60} and strides {stride!r:.60}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if math.prod(shape) and last >= storage.count:
        text = f"a tensor {list(shape)!r:.60} ends at element {last:,} of the {storage.count:,}"
        raise pickle.UnpicklingError(f"{text} that are stored")
    return TensorSketch(shape=tuple(shape), elements=storage.count)


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int for value in values):
        raise pickle.UnpicklingError(f"a tensor of shape {values!r:.60}")
    return values


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _of_type(make: Callable[..., Any], kind: Any, arguments: Iterable[Any], *_: Any) -> Any:
    """Return what a subclass of torch's tensors wraps; `make` is a stand-in."""
    return make(*arguments)


def _buffer(*values: Any) -> None:
    """Return nothing for bytes; a bare number would be so many of them."""
    if values and isinstance(values[0], int):
        raise pickle.UnpicklingError(f"asks for {values[0]:,} empty bytes")
    return None


def _refused(*_: Any) -> None:
    raise pickle.UnpicklingError("a tensor that is made of a bare number or list")


_UTILS = "torch._utils"
_MADE: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "bytearray"): _buffer,
    ("__builtin__", "bytearray"): _buffer,
    (_UTILS, "_rebuild_tensor"): _tensor,
    (_UTILS, "_rebuild_tensor_v2"): _tensor,
    (_UTILS, "_rebuild_tensor_v3"): _tensor,
    (_UTILS, "_rebuild_qtensor"): _tensor,
    (_UTILS, "_rebuild_parameter"): _parameter,
    (_UTILS, "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
}
