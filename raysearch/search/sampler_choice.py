"""The sampler that whoever starts a run gives to it, in place of one by name.

A class is imported, so a study's file cannot name one alone: files of strangers run no code.
"""

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Problem, printable, shorten
from ..study import Study
from ..study.samplers import SAMPLERS, own_class, unknown_sampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SamplerFactory = Callable[[int], "BaseSampler"]  # seed -> sampler


@dataclass(frozen=True, kw_only=True)
class SamplerChoice:
    """The sampler of a run.

    Attributes:
        study: the study, which names it.
        problems: why it cannot be used.
        make: returns, for a task, what makes its sampler for each trial; None for a sampler by
            name.
    """

    study: Study
    problems: tuple[Problem, ...] = ()
    make: Callable[[], SamplerFactory] | None = None

    @classmethod
    def of(cls, study: Study, sampler: Any) -> "SamplerChoice":
        """Return the sampler of a run.

        Args:
            study: what is searched.
            sampler: a name of SAMPLERS; the name of a class, package.module:Class, that is called
                with a seed for each trial; one of Optuna's samplers, of which every task gets a
                copy; None for the study's own.
        """
        if sampler is None:
            written = study.search.sampler
            text = f"'{written}' is a class, and no code is run because a file names it: whoever"
            text = f"{text} runs the study gives it, with --sampler {written}"
            wrong = (_problem(text),) if own_class(written) else ()
            return cls(study=study, problems=wrong)
        name = sampler if isinstance(sampler, str) else _class_name(type(sampler))
        search = study.search.model_copy(update={"sampler": name})
        study = study.model_copy(update={"search": search})
        if name in SAMPLERS:
            return cls(study=study)
        if own_class(name) is None:
            return cls(study=study, problems=(_problem(unknown_sampler(name)),))
        if not isinstance(sampler, str):
            text = _why_no_sampler(type(sampler))
            wrong = (_problem(text),) if text else ()
            return cls(study=study, problems=wrong, make=lambda: _copies(sampler))
        made, text = _imported(name)
        return cls(study=study, problems=(_problem(text),) if text else (), make=lambda: made)


def _copies(sampler: "BaseSampler") -> SamplerFactory:
    """Return what gives the trials of one task the same copy of a sampler, whatever the seed."""
    own = copy.deepcopy(sampler)
    return lambda seed: own


def _imported(name: str) -> tuple[SamplerFactory, str]:
    """Return what makes samplers of a class, and what is wrong with the class."""
    module, attribute = own_class(name) or ("", "")
    try:
        found = getattr(importlib.import_module(module), attribute)
        text = _why_no_sampler(found) or _why_no_seed(found)
    except Exception as error:  # the module runs whatever its author wrote
        found, reason = None, f"{type(error).__name__}: {error}"
        text = f"'{name}' cannot be imported: {printable(reason)[:300]}"
        if isinstance(error, ModuleNotFoundError):
            text = f"{text}; PYTHONPATH names the folders in which Python looks"
    return lambda seed: found(seed=seed), text


def _why_no_sampler(found: Any) -> str:
    """Return why a class makes no samplers of Optuna; "" if it does."""
    from optuna.samplers import BaseSampler

    if isinstance(found, type) and issubclass(found, BaseSampler):
        return ""
    shown = found.__name__ if isinstance(found, type) else repr(found)
    return f"a class derived from optuna.samplers.BaseSampler is needed, got {shorten(shown)}"


def _why_no_seed(found: Any) -> str:
    """Return why a class of samplers cannot be called with a seed alone; "" if it can."""
    try:
        found(seed=1)
    except TypeError as error:
        return f"{found.__name__} is called with seed=N alone: {shorten(str(error))}"
    return ""


def _class_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _problem(text: str) -> Problem:
    return Problem(location="search.sampler", text=text)
