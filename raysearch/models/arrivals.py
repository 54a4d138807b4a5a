"""Makes a family's models known to transformers' Auto classes once there is a configuration of it:
until then nothing of them is loaded, which takes seconds."""

from importlib import import_module
from typing import Any

_MODULES = {"amos": ".amos", "cross_thought": ".cross_thought"}
_known: set[str] = set()


def complete(config: Any) -> None:
    """Register the models of a configuration's family, the first time."""
    kind = config.model_type
    if kind not in _known:
        _known.add(kind)
        for auto, model in import_module(_MODULES[kind], __package__).MODELS.items():
            auto.register(type(config), model, exist_ok=True)
