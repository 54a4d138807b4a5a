"""Find fine-tuning hyperparameters of text encoders and write the paper's table."""

from importlib import import_module
from typing import Any

from .lazy_registration import register_when_imported

__version__ = "0.2.0"

# Public name -> the module that defines it. A module is imported when one of its names is first
# used, so that reading a study loads neither Ray nor torch.
_DEFINED_IN = {
    "Ensemble": "predictions.ensemble_prediction",
    "Evaluation": "predictions.model_evaluation",
    "InputError": "errors",
    "Lanes": "preflight",
    "RankedConfiguration": "results.leaderboard",
    "RaysearchError": "errors",
    "Run": "search",
    "Study": "study",
    "compare": "results.comparison",
    "evaluate": "predictions.model_evaluation",
    "load": "study",
    "paper_table": "results.paper_table",
    "parse": "study",
    "predict": "predictions.prediction",
    "predict_ensemble": "predictions.ensemble_prediction",
    "resume": "api",
    "run": "api",
}

__all__ = ["__version__", *sorted(_DEFINED_IN)]


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module 'raysearch' has no attribute '{name}'")
    return getattr(import_module(f".{_DEFINED_IN[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__


register_when_imported()
