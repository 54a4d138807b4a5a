"""Translates pydantic's errors into messages about a study.

It knows the fields and their types; `validation` knows what fits together.
"""

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..errors import Problem, nearest_names, shorten, unknown_name
from ..recipes import Hyperparameters
from ..search_space import Choice, IntRange, LogUniform, Uniform, WrittenDimension
from .problem_limits import MAX_PROBLEMS, limit_names
from .schema import Study

# Type of an error in pydantic -> message.
_MESSAGES = {
    "bool_parsing": "true or false is needed",
    "bool_type": "true or false is needed",
    "dict_type": "a mapping is needed",
    "int_from_float": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "model_type": "a mapping is needed",
    "string_pattern_mismatch": "a name without slashes, spaces or a leading dot is needed",
    "string_type": "text is needed",
    "too_short": "at least one value is needed",
    "tuple_type": "a list is needed",
}
_FORMS = "{choice: [...]}, {uniform: [low, high]}, {log: [low, high]}, {int: [low, high]}"
# What Ray Tune, Optuna and W&B call these forms.
_FOREIGN_FORMS = {
    "loguniform": "log", "log_uniform": "log", "log_uniform_values": "log", "randint": "int",
    "int_uniform": "int", "categorical": "choice", "grid_search": "choice", "values": "choice",
}  # fmt: skip
# What transformers and others call hyperparameters, where the names are not similar.
_FOREIGN_NAMES = {
    "learning_rate": "LR", "batch_size": "BSZ", "train_batch_size": "BSZ",
    "per_device_train_batch_size": "BSZ", "max_steps": "EPOCH", "max_grad_norm": "clip",
    "max_seq_length": "max_length", "lr_scheduler_type": "schedule",
    "hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout",
}  # fmt: skip
_FORMS_OF_DIMENSION = (Choice, Uniform, LogUniform, IntRange)

ErrorDetails = Mapping[str, Any]  # one of pydantic's errors


def schema_problems(errors: ValidationError, raw: Mapping[str, Any]) -> list[Problem]:
    """Return all of pydantic's errors as problems, except those of tasks.

    Of many similar errors the first ones are returned, and a problem that counts the rest.

    Args:
        errors: of the validation of a study.
        raw: the mapping that was validated.
    """
    groups: dict[tuple[Any, ...], list[ErrorDetails]] = {}
    for error in errors.errors(include_url=False):
        if error["loc"][:1] != ("tasks",):
            groups.setdefault((error["loc"][:-1], error["type"]), []).append(error)
    problems: list[Problem | None] = []
    for (loc, _), group in islice(groups.items(), MAX_PROBLEMS):
        location = ".".join(map(str, loc)) or "file"
        shown, rest = limit_names(group, "of the same kind", location)
        problems += [*(_schema_problem(error, raw) for error in shown), *rest]
    return [problem for problem in problems if problem]


def _schema_problem(error: ErrorDetails, raw: Mapping[str, Any]) -> Problem | None:
    """Return an error as a problem; None if other problems report it already.

    Args:
        error: one of pydantic's errors.
        raw: the mapping that was validated. It distinguishes names that are numbers from indices.
    """
    value: Any = raw
    location = ""
    for part in error["loc"]:
        if part == "[key]":
            return Problem(location=location, text=f"a name is needed, got {error['input']}")
        is_list = isinstance(value, list | tuple)
        if part != "":  # files without a name of a split
            location += f"[{part}]" if is_list else f".{part}" if location else str(part)
        try:
            value = value[part]
        except (TypeError, LookupError):
            value = None
    if error["type"] == "too_short" and error["input"]:
        return None  # it is only short of the values that have problems of their own
    return Problem(location=location, text=_message(error))


def _message(error: ErrorDetails) -> str:
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return _unknown_field(error["loc"], value)
    if kind == "missing":
        if isinstance(error["loc"][-1], int):
            return f"one more value is needed, got {reprlib.repr(value)}"
        return "this field is required"
    text: str = error["msg"].removeprefix("Value error, ").replace(" or None", " or none")
    text = _MESSAGES.get(kind, text[0].lower() + text[1:])
    if kind != "value_error":
        return f"{text}, got {reprlib.repr(value)}"
    if WrittenDimension in _models_at(error["loc"]) and not isinstance(value, Mapping):
        is_list = isinstance(value, list | tuple) and value
        hint = f"did you mean {_flow('choice', value)}?" if is_list else "or put it under fixed"
        text += f"; {hint}"
    return text


def _unknown_field(loc: tuple[Any, ...], value: Any) -> str:
    """Return the message for an unknown field, or for an unknown form of a dimension."""
    models, name = _models_at(loc[:-1]), str(loc[-1])
    if WrittenDimension not in models:
        # Of several models, such as those of the stopping rules, one without the field is meant.
        fields = [names for model in models if name not in (names := _written_fields(model))]
        return unknown_name("field", name, {field for names in fields for field in names})
    hint = mapping_hint(WrittenDimension, _FOREIGN_FORMS.get(name, name), value)
    return f"no form named '{shorten(name)}'; {hint or f'there are: {_FORMS}'}"


def _models_at(loc: tuple[Any, ...]) -> list[type[BaseModel]]:
    """Return the models that the field at a location may have."""
    models: list[type[BaseModel]] = [Study]
    for part in loc:
        models = [inner for model in models for inner in _field_models(model, part)]
    return models


def _field_models(model: type[BaseModel], part: Any) -> Iterator[type[BaseModel]]:
    """Return the models of a field, within optionals and containers.

    The part may also be a key or an index, whose model is that of the container.
    """
    field = _written_fields(model).get(part)
    return _models(field.annotation if field else model)


def _written_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by their names in a file: `from` is a word of Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation; of a dimension the model of its mapping in the file."""
    stack = [annotation]
    while stack:
        kind = stack.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield WrittenDimension if issubclass(kind, _FORMS_OF_DIMENSION) else kind
        stack += [part for part in getattr(kind, "__args__", ()) if part is not type(None)]


def mapping_hint(model: type[BaseModel], name: str, value: Any) -> str:
    """Return a hint at the {field: value} that {name: value} may mean.

    Args:
        model: has the fields.
        name: not a field.
        value: of the name.

    Returns:
        The hint; empty if no similar field takes the value.
    """
    for field in nearest_names(name, model.model_fields)[:1]:
        with suppress(ValidationError):
            model.model_validate({field: value})
            return f"did you mean {_flow(field, value)}?"
    return ""


def _flow(name: str, value: Any) -> str:
    """Return {name: value} as YAML on one line."""
    return f"{{{name}: {reprlib.repr(value)}}}".replace("'", "")


def unknown_hyperparameter(name: str, names: Iterable[str]) -> str:
    """Return the message for a name of no hyperparameter, which another library may have.

    Args:
        name: the unknown name.
        names: of all hyperparameters.
    """
    names = list(names)
    ours = _FOREIGN_NAMES.get(name.casefold())
    if ours in names:
        return f"no hyperparameter named '{shorten(name)}'; did you mean '{ours}'?"
    return unknown_name("hyperparameter", name, names)


def hyperparameter_message(
    hyper: type[Hyperparameters], name: str, value: Any, error: ValidationError
) -> str:
    """Return why a value of a hyperparameter is invalid.

    Args:
        hyper: the hyperparameters of a recipe.
        name: one of them.
        value: may be a mapping such as {steps: N}.
        error: of its validation.
    """
    form = next(_models(hyper.model_fields[name].annotation), None)
    first = error.errors()[0]
    if not isinstance(value, Mapping):
        return _message(first)
    if form is None:
        return f"{_message(first)}; it is: {hyper.description(name)}"
    (field,) = form.model_fields
    if set(value) == {field}:
        inner = (detail for detail in error.errors() if detail["loc"][-1] == field)
        return _message(next(inner, first))
    hint = mapping_hint(form, *next(iter(value.items()))) if len(value) == 1 else ""
    text = f"a number or {{{field}: N}} is needed, got {reprlib.repr(value)}"
    return f"{text}; {hint}" if hint else text
