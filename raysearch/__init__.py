"""raysearch finds fine-tuning hyperparameters of a text encoder and writes the paper's table."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from .lazy_registration import watch

__version__ = "0.2.0"

# Names are imported when they are first used: reading a study loads neither Ray nor torch.
_HOMES = {
    "InputError": "errors",
    "Lanes": "preflight",
    "RaysearchError": "errors",
    "Run": "search",
    "Standing": "results.leaderboard",
    "Study": "study",
    "load": "study",
    "parse": "study",
    "predict": "predictions.prediction",
    "resume": "api",
    "run": "api",
    "table": "results",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raysearch' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__


def _old_path(name: str, home: str) -> None:
    """Let `from raysearch.NAME import NAME` work for a public function whose module has another
    name. A submodule of the function's name would take its place here when it is imported; one
    that is known beforehand is not set here by Python's import."""

    def look_up(wanted: str) -> Any:
        if wanted != name:  # whoever goes through sys.modules asks for `__file__` and the like
            raise AttributeError(f"module '{module.__name__}' has no attribute '{wanted}'")
        return getattr(import_module(home, __name__), name)

    module = ModuleType(f"{__name__}.{name}", f"The public function `{name}` by its older path.")
    module.__getattr__ = look_up
    sys.modules[module.__name__] = module


_old_path("predict", ".predictions.prediction")
watch()
