"""The samplers that a study may name, and what holds of each.

They are apart from the search because tables and statements speak of them without Optuna.
"""

import re
from dataclasses import dataclass

from ..errors import unknown_name

_OWN = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


@dataclass(frozen=True, kw_only=True)
class SamplerFacts:
    """What holds of a sampler.

    Attributes:
        text: what it is, for a paper's statement.
        learns: whether a proposal depends on the results of earlier trials.
        objectives: how many objectives it can have.
        package: a package that it needs and that is not among raysearch's own; "" for none.
    """

    text: str
    learns: bool = True
    objectives: int = 2
    package: str = ""


SAMPLERS = {
    "tpe": SamplerFacts(
        text="Optuna's TPE sampler (multivariate, constant liar, 8 startup trials)"
    ),
    "random": SamplerFacts(text="random search (Optuna's RandomSampler)", learns=False),
    "grid": SamplerFacts(text="grid search", learns=False),
    "qmc": SamplerFacts(
        text="a scrambled Sobol sequence (Optuna's QMCSampler)", learns=False, package="scipy"
    ),
    "gp": SamplerFacts(
        text="Gaussian processes (Optuna's GPSampler, 8 startup trials)", package="scipy"
    ),
    "cmaes": SamplerFacts(text="CMA-ES (Optuna's CmaEsSampler)", objectives=1),
    "nsga2": SamplerFacts(text="NSGA-II (Optuna's NSGAIISampler, populations of 12)"),
}


def own_class(name: str) -> tuple[str, str] | None:
    """Return the module and the class of a sampler such as my_package.samplers:MySampler.

    Returns:
        None if the name has not this form.
    """
    match = _OWN.fullmatch(name)
    return None if match is None else (match["module"], match["name"])


def facts(name: str) -> SamplerFacts:
    """Return the facts of a sampler; one's own class is taken for one that learns."""
    return SAMPLERS.get(name) or SamplerFacts(text=f"the Optuna sampler {name}")


def check_name(name: str) -> str:
    """Return the name of a sampler.

    Raises:
        ValueError: it is none of SAMPLERS, and not the name of a class.
    """
    if name in SAMPLERS or own_class(name):
        return name
    raise ValueError(unknown_sampler(name))


def unknown_sampler(name: str) -> str:
    """Return the message for a sampler that does not exist."""
    return unknown_name("sampler", name, [*SAMPLERS, "package.module:Class"])
