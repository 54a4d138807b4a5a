"""What a configuration of ours does once it has its values: it refuses those that cannot be, and
makes its family's models known to transformers' Auto classes. Until then nothing of the models is
loaded, which takes seconds."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_MODULES = {"amos": ".amos.modeling_heads", "cross_thought": ".cross_thought.modeling"}
_known: set[str] = set()


def register_auto_classes(config: Any) -> None:
    """Register the models of a configuration's family, the first time."""
    kind = config.model_type
    if kind not in _known:
        _known.add(kind)
        for auto, model in import_module(_MODULES[kind], __package__).MODELS.items():
            auto.register(type(config), model, exist_ok=True)


def refuse_values(config: Any, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Raises ValueError for the fields whose rule is broken, all together.

    Args:
        rules: field -> whether its value can be, and what would do.
    """
    broken = {name: would_do for name, (good, would_do) in rules.items() if not good}
    texts = [f"{name} is {getattr(config, name)!r}, not {broken[name]}" for name in broken]
    if texts:
        raise ValueError(f"{type(config).__name__}: {'; '.join(texts)}")
