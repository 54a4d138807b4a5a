"""Values of a field as text: its type and its bounds, read from its annotation.

The JSON schema of pydantic would not do: it lacks the bounds of numbers that may be whole or not.
"""

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WORDS = {bool: "true, false", str: "text", int: "whole number", float: "number", Any: "any value"}
_SIGNS = ((Gt, "gt", ">"), (Ge, "ge", "≥"), (Lt, "lt", "<"), (Le, "le", "≤"))


def field_values(field: FieldInfo) -> str:
    """Return the values that a field of a pydantic model takes."""
    return values_text(field.annotation, field.metadata)


def values_text(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return the values that a type allows.

    Args:
        annotation: the type.
        metadata: what its `Annotated` says beside it: bounds, others are not read.
    """
    bounds = list(_flat(metadata))
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return values_text(parts[0], [*bounds, *parts[1:]])
    if origin is Literal:
        return ", ".join(f"`{yaml_text(value)}`" for value in parts)
    if origin in (typing.Union, types.UnionType):
        return _union_text(parts, bounds)
    if origin in (tuple, list):
        items = [values_text(part) for part in parts if part is not Ellipsis]
        few = "" if any(isinstance(bound, MinLen) for bound in bounds) else ", may be empty"
        return f"list of {items[0]}{few}" if len(items) == 1 else f"[{', '.join(items)}]"
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return f"mapping of names to {values_text(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        names = list(annotation.model_fields)
        return f"`{{{names[0]}: N}}`" if len(names) == 1 else "mapping"
    return " ".join([_WORDS[annotation], ", ".join(_bound_texts(bounds))]).strip()


def yaml_text(value: Any) -> str:
    """Return a value as a study's file spells it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(yaml_text, value))}]"
    return str(value)


def _union_text(parts: tuple[Any, ...], bounds: list[Any]) -> str:
    """Return the values of a union; bounds hold for its numbers, and whole or not is one kind."""
    kinds = [part for part in parts if not (part is int and float in parts)]
    texts = [
        "none"
        if part is type(None)
        else values_text(part, bounds if part in (int, float) else [])
        if not _is_number(part)
        else values_text(part, bounds)
        for part in kinds
    ]
    return " or ".join(dict.fromkeys(texts))


def _is_number(annotation: Any) -> bool:
    """Return whether a type is an annotated number, which takes the bounds of its union."""
    inner = typing.get_args(annotation)
    return typing.get_origin(annotation) is Annotated and set(
        typing.get_args(inner[0]) or inner[:1]
    ) <= {int, float}


def _flat(metadata: Iterable[Any]) -> Iterable[Any]:
    """Yield the parts of metadata; those of a Field one by one."""
    for part in metadata:
        if isinstance(part, FieldInfo):
            yield from part.metadata
        else:
            yield part


def _bound_texts(bounds: Iterable[Any]) -> Iterable[str]:
    """Yield the bounds of a number, such as "> 0"."""
    for bound in bounds:
        for kind, name, sign in _SIGNS:
            if isinstance(bound, kind):
                yield f"{sign} {_number(getattr(bound, name))}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
