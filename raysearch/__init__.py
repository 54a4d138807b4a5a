"""raysearch finds fine-tuning hyperparameters of a text encoder and writes the paper's table."""

from importlib import import_module
from typing import Any

from .arrival import watch

__version__ = "0.2.0"

# Names are imported when they are first used: reading a study loads neither Ray nor torch.
_HOMES = {
    "InputError": "errors",
    "Lanes": "preflight",
    "RaysearchError": "errors",
    "Run": "search",
    "Standing": "standing",
    "Study": "study",
    "load": "study",
    "parse": "study",
    "predict": "predict",
    "resume": "api",
    "run": "api",
    "table": "export",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raysearch' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__


watch()
