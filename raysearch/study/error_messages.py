"""The schema's errors in our words. Knows fields and their types, not what fits together."""

import reprlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import Problem, nearest_name, shorten, unknown_name
from ..recipes import Hyperparameters
from ..search_space import Dimension
from .problem_lists import MOST, limit_names
from .schema import Study

_WORDS = {
    "bool_parsing": "true or false is needed",
    "bool_type": "true or false is needed",
    "dict_type": "a mapping is needed",
    "int_from_float": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "model_type": "a mapping is needed",
    "string_pattern_mismatch": "a name without slashes, spaces or dots before it is needed",
    "string_type": "text is needed",
    "too_short": "at least one value is needed",
    "tuple_type": "a list is needed",
}
_FORMS = "{choice: [...]}, {uniform: [low, high]}, {log: [low, high]}, {int: [low, high]}"


def schema_problems(errors: ValidationError, raw: Mapping[str, Any]) -> list[Problem]:
    """All of pydantic's errors but those of tasks, in our words; of many alike the first ones.

    Args:
        raw: what was validated.
    """
    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for error in errors.errors(include_url=False):
        if error["loc"][:1] != ("tasks",):
            alike.setdefault((error["loc"][:-1], error["type"]), []).append(error)
    problems: list[Problem | None] = []
    for (loc, _), group in islice(alike.items(), MOST):
        place = ".".join(map(str, loc)) or "file"
        shown, rest = limit_names(group, "of the same kind", place)
        problems += [*(_schema_problem(error, raw) for error in shown), *rest]
    return [problem for problem in problems if problem]


def _schema_problem(error: Mapping[str, Any], raw: Mapping[str, Any]) -> Problem | None:
    """One of pydantic's errors in our words; None for one that others tell already.

    Args:
        raw: what was validated, which tells names that are numbers from places in a list.
    """
    loc, here, place = error["loc"], raw, ""
    for part in loc:
        if part == "[key]":
            return Problem(location=place, text=f"a name is needed, got {error['input']}")
        listed = isinstance(here, list | tuple)
        place += f"[{part}]" if listed else f".{part}" if place else str(part)
        try:
            here = here[part]
        except (TypeError, LookupError):
            here = None
    if error["type"] == "too_short" and error["input"]:
        return None  # short of what is wrong with its values
    return Problem(location=place, text=_text(error))


def _text(error: Mapping[str, Any]) -> str:
    kind, seen = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return _extra(error["loc"], seen)
    if kind == "missing":
        if isinstance(error["loc"][-1], int):
            return f"one value more is needed, got {reprlib.repr(seen)}"
        return "this field is required"
    text = error["msg"].removeprefix("Value error, ").replace(" or None", " or none")
    text = _WORDS.get(kind, text[0].lower() + text[1:])
    if kind != "value_error":
        return f"{text}, got {reprlib.repr(seen)}"
    if _owner(error["loc"]) is Dimension and not isinstance(seen, Mapping):
        listed = isinstance(seen, list | tuple) and seen
        text += f"; did you mean {_flow('choice', seen)}?" if listed else "; or put it under fixed"
    return text


def _extra(loc: tuple[Any, ...], seen: Any) -> str:
    """A field that there is not; of a dimension, a form that there is not."""
    owner, name = _owner(loc[:-1]), str(loc[-1])
    if owner is not Dimension:
        return unknown_name("field", name, getattr(owner, "model_fields", {}))
    meant = mapping_hint(Dimension, name, seen)
    return f"no form named '{shorten(name)}'; {meant or f'there are: {_FORMS}'}"


def _owner(loc: tuple[Any, ...]) -> Any:
    """The model that stands at a place; None where there is none."""
    owner: Any = Study
    for part in loc:
        owner = _field_type(owner, part)
    return owner


def _field_type(owner: Any, part: Any) -> Any:
    """The model behind a field, through optionals and containers; None where there is none."""
    field = getattr(owner, "model_fields", {}).get(part)
    return next(_models(field.annotation if field else owner), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    stack = [annotation]
    while stack:
        kind = stack.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        stack += [a for a in getattr(kind, "__args__", ()) if a is not type(None)]


def mapping_hint(model: type[BaseModel], name: str, value: Any) -> str:
    """A hint at the {field: value} that was meant by {name: value}; empty where none is near."""
    for near in nearest_name(name, model.model_fields)[:1]:
        with suppress(ValidationError):
            model.model_validate({near: value})
            return f"did you mean {_flow(near, value)}?"
    return ""


def _flow(name: str, value: Any) -> str:
    """As YAML in one line."""
    return f"{{{name}: {reprlib.repr(value)}}}".replace("'", "")


def value_problem(
    hyper: type[Hyperparameters], name: str, value: Any, error: ValidationError
) -> str:
    """Why a value is none of a hyperparameter's, which may be a mapping such as {steps: N}."""
    form = next(_models(hyper.model_fields[name].annotation), None)
    first = error.errors()[0]
    if not isinstance(value, Mapping):
        return _text(first)
    if form is None:
        return f"{_text(first)}; it is: {hyper.model_fields[name].description}"
    (wanted,) = form.model_fields
    if set(value) == {wanted}:
        inner = [one for one in error.errors() if one["loc"][-1] == wanted]
        return _text(next(iter(inner), first))
    meant = mapping_hint(form, *next(iter(value.items()))) if len(value) == 1 else ""
    text = f"a number or {{{wanted}: N}} is needed, got {reprlib.repr(value)}"
    return f"{text}; {meant}" if meant else text
