"""Checks and registration that raysearch's own configurations run when they are made.

They are apart so that a configuration can be used without loading the models, which takes seconds.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_MODULES = {"amos": ".amos.modeling_heads", "cross_thought": ".cross_thought.modeling"}
_registered: set[str] = set()


def register_auto_classes(config: Any) -> None:
    """Register the models of a configuration's family with transformers, once per process."""
    kind = config.model_type
    if kind not in _registered:
        _registered.add(kind)
        for auto, model in import_module(_MODULES[kind], __package__).MODELS.items():
            auto.register(type(config), model, exist_ok=True)


def refuse_values(config: Any, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Check the fields of a configuration.

    Args:
        config: a configuration with all its values.
        rules: field -> whether its value is valid, and a description of the valid values.

    Raises:
        ValueError: some values are invalid; all are listed.
    """
    texts = [
        f"{name} is {getattr(config, name)!r}, not {expected}"
        for name, (valid, expected) in rules.items()
        if not valid
    ]
    if texts:
        raise ValueError(f"{type(config).__name__}: {'; '.join(texts)}")
