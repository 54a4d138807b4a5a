"""Transformers' models without SciPy, until a loss of object detection needs it.

Every model class imports these losses, and they import `scipy.optimize`: an eighth of the time that
it takes to import a model. It is apart because it comes before any import of a model class.
"""

import sys
from importlib import import_module
from typing import Any


def _defer_scipy() -> None:
    """Import transformers' losses now; they import SciPy when they call it."""
    if "transformers.loss.loss_utils" in sys.modules or "scipy.optimize" in sys.modules:
        return
    utils: Any = import_module("transformers.utils")
    available = utils.is_scipy_available
    if not available():
        return

    def unavailable() -> bool:
        return False

    utils.is_scipy_available = unavailable
    try:
        import_module("transformers.loss.loss_utils")
    finally:
        utils.is_scipy_available = available
        for name, module in list(sys.modules.items()):
            if name.startswith("transformers.") and (
                vars(module).get("is_scipy_available") is unavailable
            ):
                vars(module)["is_scipy_available"] = available
                vars(module)["linear_sum_assignment"] = _linear_sum_assignment


def _linear_sum_assignment(*arguments: Any, **options: Any) -> Any:
    """Return `scipy.optimize.linear_sum_assignment` of these arguments."""
    return import_module("scipy.optimize").linear_sum_assignment(*arguments, **options)


_defer_scipy()
