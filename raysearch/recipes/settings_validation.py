"""Hyperparameters that someone else wrote: typed and within bounds, or what is wrong of them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import shorten, unknown_name
from .hyperparameters import Hyperparameters


def validate_settings(
    kind: type[Hyperparameters], settings: Mapping[str, Any]
) -> tuple[Hyperparameters | None, list[tuple[str, str]]]:
    """Return the hyperparameters that foreign settings are, or what is wrong of them.

    Args:
        kind: of a recipe.

    Returns:
        The hyperparameters, None where some are wrong; of each of those its name and a text.
    """
    try:
        return kind.model_validate(dict(settings)), []
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = ".".join(map(str, one["loc"]))
            reason = one["msg"].removeprefix("Value error, ")
            text = f"{reason}, got {shorten(repr(one['input']))}"
            if one["type"] == "extra_forbidden":
                text = unknown_name("hyperparameter", name, kind.model_fields)
            problems.append((name, text))
        return None, problems
