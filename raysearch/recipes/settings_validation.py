"""Validates hyperparameters that come from a file of another program, such as a model folder.

It is apart from the validation of studies, which also knows the locations of a study's file.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import shorten, unknown_name
from .hyperparameters import Hyperparameters


def validate_settings(
    kind: type[Hyperparameters], settings: Mapping[str, Any]
) -> tuple[Hyperparameters | None, list[tuple[str, str]]]:
    """Return the hyperparameters of some settings, and the problems of those that are invalid.

    Args:
        kind: the hyperparameters of a recipe.
        settings: name -> value.

    Returns:
        The hyperparameters, None if a setting is invalid; and the name and a message for each
        invalid setting.
    """
    try:
        return kind.model_validate(dict(settings)), []
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            name = ".".join(map(str, detail["loc"]))
            reason = detail["msg"].removeprefix("Value error, ")
            text = f"{reason}, got {shorten(repr(detail['input']))}"
            if detail["type"] == "extra_forbidden":
                text = unknown_name("hyperparameter", name, kind.model_fields)
            problems.append((name, text))
        return None, problems
