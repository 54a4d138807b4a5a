"""The public names: the list, what each of them is, and what `import raysearch` loads."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

import raysearch

HEAVY = {"torch", "transformers", "ray", "optuna", "pyarrow", "pydantic", "numpy", "typer"}
# Public name -> what it is, and the module that defines it.
NAMES = {
    "Evaluation": ("class", "raysearch.predictions.model_evaluation"),
    "InputError": ("class", "raysearch.errors"),
    "Lanes": ("class", "raysearch.preflight.resources"),
    "RankedConfiguration": ("class", "raysearch.results.leaderboard"),
    "Ensemble": ("class", "raysearch.predictions.ensemble_prediction"),
    "RaysearchError": ("class", "raysearch.errors"),
    "Run": ("class", "raysearch.search.run_study"),
    "Study": ("class", "raysearch.study.schema"),
    "compare": ("function", "raysearch.results.comparison"),
    "evaluate": ("function", "raysearch.predictions.model_evaluation"),
    "load": ("function", "raysearch.study.loading"),
    "paper_table": ("function", "raysearch.results.paper_table"),
    "parse": ("function", "raysearch.study.loading"),
    "predict": ("function", "raysearch.predictions.prediction"),
    "predict_ensemble": ("function", "raysearch.predictions.ensemble_prediction"),
    "resume": ("function", "raysearch.api"),
    "run": ("function", "raysearch.api"),
}


def in_new_process(code: str) -> str:
    """Return what a Python process that runs this code prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_public_names_are_these() -> None:
    assert raysearch.__all__ == ["__version__", *sorted(NAMES)]
    assert dir(raysearch) == sorted(raysearch.__all__)
    starred: dict[str, object] = {}
    exec("from raysearch import *", starred)
    assert starred.keys() - {"__builtins__"} == set(raysearch.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_what_it_says_and_is_documented(name: str) -> None:
    value = getattr(raysearch, name)
    kind = "class" if inspect.isclass(value) else "function"
    assert inspect.isclass(value) or inspect.isfunction(value)
    assert (kind, value.__module__) == NAMES[name]
    assert value.__name__ == name
    assert inspect.getdoc(value)


def test_no_public_name_is_that_of_a_submodule() -> None:
    """An import of the submodule would put it in the place of the public name."""
    package = Path(raysearch.__file__).parent
    submodules = {path.stem for path in package.iterdir() if path.suffix in ("", ".py")}
    assert not submodules & set(raysearch.__all__) - {"__version__"}


@pytest.mark.slow
def test_a_public_name_is_the_same_after_every_submodule_was_imported() -> None:
    code = (
        "import importlib, pkgutil, raysearch\n"
        "for module in pkgutil.walk_packages(raysearch.__path__, 'raysearch.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "for name in raysearch.__all__[1:]:\n"
        "    value = getattr(raysearch, name)\n"
        "    print(name, value.__module__, value.__name__)\n"
        "from raysearch import predict\n"
        "assert predict is raysearch.predict\n"
    )
    lines = [line.split() for line in in_new_process(code).splitlines()]
    assert lines == [[name, NAMES[name][1], name] for name in sorted(NAMES)]


def test_an_unknown_name_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'raysearch' has no attribute 'tune'"):
        _ = raysearch.tune


def test_importing_raysearch_loads_no_large_package() -> None:
    code = "import sys, raysearch; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(in_new_process(code).split())
    assert "raysearch" in loaded
    assert not loaded & HEAVY
