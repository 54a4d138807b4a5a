"""A scan of a checkpoint's pickles in which nothing is run.

It finds the classes and functions that a file names and the sizes of its tensors before torch
allocates memory. It is apart from `fairseq_checkpoint` because it only needs Python's pickle.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn

STEPS = 2_000_000  # reads of one pickle; those of the largest models need some 100,000
BYTES = 32 * 2**20  # of one pickle, without its tensors
# Levels and parts of a tuple: Python computes its hash recursively.
MAX_DEPTH, MAX_PARTS = 50, 10_000

# What weights_only unpickles. Any other operation is refused before torch sees it.
_OPERATIONS = (
    pickle.PROTO, pickle.STOP, pickle.GLOBAL, pickle.NEWOBJ, pickle.REDUCE, pickle.BUILD,
    pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS, pickle.MARK, pickle.TUPLE,
    pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.NONE, pickle.NEWFALSE, pickle.NEWTRUE,
    pickle.EMPTY_TUPLE, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.BININT,
    pickle.BININT1, pickle.BININT2, pickle.BINFLOAT, pickle.BINUNICODE, pickle.SHORT_BINSTRING,
    pickle.BINPERSID, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT, pickle.LONG_BINPUT,
    pickle.LONG1,
)  # fmt: skip
_ELEMENT_SIZES = {
    "Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4,
    "Long": 8, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16, "QInt32": 4,
}  # fmt: skip


class InertObject:
    """A stand-in for any pickled class or function; it takes all arguments and does nothing.

    Attributes:
        container: list or OrderedDict, if the file fills an object of this class like one.
    """

    container: type | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return object.__new__(cls) if cls.container is None else cls.container()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.__dict__.update((str(name), value) for name, value in part.items())

    def append(self, item: Any) -> None:
        """Note that the class is a list."""
        type(self).container = list

    def __setitem__(self, key: Any, item: Any) -> None:
        type(self).container = OrderedDict


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The place in a file that holds the values of tensors.

    Attributes:
        key: its name in the file.
        count: number of elements.
        size: bytes of an element.
    """

    key: str
    count: int
    size: int


@dataclass(frozen=True, kw_only=True)
class TensorSketch:
    """A tensor without values.

    Attributes:
        shape: its shape.
        elements: the number of elements in its storage.
    """

    shape: tuple[int, ...]
    elements: int

    @property
    def excess(self) -> str:
        """Return how many more elements it needs than are stored; empty if there are enough."""
        count = math.prod(self.shape)
        if count <= self.elements:
            return ""
        return f"{list(self.shape)} asks for {count:,} elements, and {self.elements:,} are stored"

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a tensor is changed after it was made")


@dataclass(kw_only=True)
class Contents:
    """The content of a file's pickles.

    Attributes:
        stand_ins: (module, name) -> the stand-in of a class or function.
        storages: key -> storage.
        value: the object of the last pickle.
    """

    stand_ins: dict[tuple[str, str], type] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)
    value: Any = None


def scan_pickle(file: BinaryIO, contents: Contents) -> None:
    """Scan one pickle, and add its content.

    Args:
        file: open at the beginning of the pickle; it is read up to its end.
        contents: changed in place.

    Raises:
        pickle.UnpicklingError: it is no pickle of weights, or its tensors need more elements than
            are stored.
        Exception: any error of Python's unpickler.
    """
    contents.value = _InertUnpickler(_LimitedFile(file), contents).load()


class _LimitedFile(io.RawIOBase):
    """A file that can be read up to the limits of one pickle."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file, self.steps, self.bytes = file, 0, 0

    def read(self, size: int = -1) -> bytes:
        """Read this many bytes, or the rest of the file."""
        self._count(size)
        return self.file.read(size)

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line, at most a thousand bytes of it."""
        self._count(1)
        return self.file.readline(1000)

    def _count(self, size: int) -> None:
        self.steps, self.bytes = self.steps + 1, self.bytes + size
        if self.steps > STEPS or self.bytes > BYTES:
            raise pickle.UnpicklingError("more than the pickle of a checkpoint holds")


class _AllowedOperations(dict[int, Callable[[Any], None]]):
    """A table of the functions of allowed operations; a look-up of another one is an error."""

    def __missing__(self, operation: int) -> NoReturn:
        raise pickle.UnpicklingError(f"no pickle of weights has the byte 0x{operation:02x}")


# Python's implementation: in the one in C, a number of 4 bytes makes it take 34 GB of memory.
class _InertUnpickler(pickle._Unpickler):
    """An unpickler of one pickle that runs nothing."""

    dispatch = _AllowedOperations(
        {operation[0]: pickle._Unpickler.dispatch[operation[0]] for operation in _OPERATIONS}
    )
    stack: list[Any]

    def __init__(self, file: _LimitedFile, contents: Contents) -> None:
        super().__init__(file, encoding="bytes")
        self.contents = contents
        # id of a tuple -> its levels, its parts, and itself, so that the id is not used again.
        self.tuples: dict[int, tuple[int, int, tuple[Any, ...]]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a class or function, the same for the same name."""
        stand_ins = self.contents.stand_ins
        if (module, name) not in stand_ins:
            stand_ins[module, name] = type(name, (InertObject,), {})
        if (module, name) in _REPLACEMENTS:
            return _REPLACEMENTS[module, name]
        if module.split(".")[0] == "torch" and name.endswith("Tensor"):
            return _refuse_tensor
        return stand_ins[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that an id names."""
        if not isinstance(pid, tuple) or len(pid) < 5 or _text(pid[0]) != "storage":
            return None  # the source code of a module, in old files
        _, kind, key, _, count = pid[:5]
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError(f"a storage of {count!r:.40} elements")
        name = getattr(kind, "__name__", "").removesuffix("Storage")
        storage = Storage(key=_text(key), count=count, size=_ELEMENT_SIZES.get(name, 1))
        return self.contents.storages.setdefault(storage.key, storage)

    def check_tuple(self) -> None:
        """Raise an error if Python cannot compute the hash of the tuple on top of the stack."""
        items = self.stack[-1]
        inner = [self.tuples[id(item)] for item in items if id(item) in self.tuples]
        levels = 1 + max((levels for levels, _, _ in inner), default=0)
        parts = len(items) + sum(parts for _, parts, _ in inner)
        if levels > MAX_DEPTH or parts > MAX_PARTS:
            raise pickle.UnpicklingError("tuples within tuples, too many to be read")
        self.tuples[id(items)] = levels, parts, items


def _checked_tuple(operation: bytes) -> Callable[[_InertUnpickler], None]:
    """Return an operation that makes a tuple and checks it."""
    make: Callable[[Any], None] = pickle._Unpickler.dispatch[operation[0]]

    def make_and_check(unpickler: _InertUnpickler) -> None:
        make(unpickler)
        unpickler.check_tuple()

    return make_and_check


for _operation in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
    _InertUnpickler.dispatch[_operation[0]] = _checked_tuple(_operation)


def _text(value: Any) -> str:
    """Return a text; those of Python 2 are bytes."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _sketch_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorSketch:
    """Return the sketch of a tensor; raise an error if its elements are not in its storage."""
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    numbers = (offset, *_integers(shape), *_integers(stride))
    if len(_integers(shape)) != len(_integers(stride)) or any(n < 0 for n in numbers):
        raise pickle.UnpicklingError(f"a tensor of shape {shape!r:.60} and strides {stride!r:.60}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if math.prod(shape) and last >= storage.count:
        text = f"a tensor {list(shape)!r:.60} ends at element {last:,} of the {storage.count:,}"
        raise pickle.UnpicklingError(f"{text} that are stored")
    return TensorSketch(shape=tuple(shape), elements=storage.count)


def _integers(values: Any) -> tuple[int, ...]:
    """Return a tuple of integers; raise an error for any other value."""
    if not isinstance(values, tuple) or not all(type(value) is int for value in values):
        raise pickle.UnpicklingError(f"a tensor of shape {values!r:.60}")
    return values


def _first(value: Any, *_: Any) -> Any:
    """Return the tensor of a parameter."""
    return value


def _call(make: Callable[..., Any], kind: Any, arguments: Iterable[Any], *_: Any) -> Any:
    """Return the tensor of a subclass of torch.Tensor; `make` is a stand-in."""
    return make(*arguments)


def _check_buffer(*values: Any) -> None:
    """Raise an error for bytes that are given as a number, which would allocate as many."""
    if values and isinstance(values[0], int):
        raise pickle.UnpicklingError(f"asks for {values[0]:,} empty bytes")
    return None


def _refuse_tensor(*_: Any) -> NoReturn:
    raise pickle.UnpicklingError("a tensor that is made of a bare number or list")


_UTILS = "torch._utils"
# Functions that are called in place of these classes and functions.
_REPLACEMENTS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "bytearray"): _check_buffer,
    ("__builtin__", "bytearray"): _check_buffer,
    (_UTILS, "_rebuild_tensor"): _sketch_tensor,
    (_UTILS, "_rebuild_tensor_v2"): _sketch_tensor,
    (_UTILS, "_rebuild_tensor_v3"): _sketch_tensor,
    (_UTILS, "_rebuild_qtensor"): _sketch_tensor,
    (_UTILS, "_rebuild_parameter"): _first,
    (_UTILS, "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _call,
}
