"""Samplers that are given to a run instead of named in its study."""

import sys

import optuna
import pytest

from raysearch import study
from raysearch.run_folder import Journal
from raysearch.search.sampler_choice import SamplerChoice
from raysearch.search.trial_queue import TrialQueue

RTE, MRPC = "glue/rte", "glue/mrpc"
POINT = {"LR": 1e-4, "weight_decay": 0.05}
MODULE = """
import optuna
class Lowest(optuna.samplers.RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        return distribution.low
class Bare(optuna.samplers.BaseSampler):
    def __init__(self): pass
    def infer_relative_search_space(self, study, trial): return {}
    def sample_relative(self, study, trial, space): return {}
    def sample_independent(self, study, trial, name, distribution): return distribution.low
def function(seed): return None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_samplers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_samplers"
    sys.modules.pop("my_samplers", None)


def parsed(sampler="random", tasks=(RTE,)):
    return study.parse(
        {
            "tasks": list(tasks),
            "model": "scratch",
            "space": {"LR": {"log": [1e-5, 1e-3]}, "weight_decay": {"uniform": [0, 0.1]}},
            "search": {"trials": 6, "sampler": sampler},
        }
    )


def proposed(choice, folder, count):
    """The first configurations of a run with this sampler."""
    folder.mkdir(exist_ok=True)
    content = dict.fromkeys(choice.study.tasks, "data")
    queue = TrialQueue(choice.study, Journal(folder), content, own_sampler=choice.make)
    records = []
    for _ in range(count):
        records.append(queue.next())
        queue.end(records[-1], "failed", "RuntimeError: a toy broke")
    queue.journal.close()
    return [record.configuration for record in records]


def test_a_class_is_imported_where_whoever_starts_the_run_names_it(module, tmp_path):
    choice = SamplerChoice.of(parsed(), f"{module}:Lowest")
    assert choice.problems == ()
    assert choice.study.search.sampler == f"{module}:Lowest"
    first = proposed(choice, tmp_path / "run", 1)
    assert first == [{"LR": 1e-5, "weight_decay": 0}]


def test_a_study_alone_imports_nothing(module):
    searched = parsed(sampler=f"{module}:Lowest")
    (problem,) = SamplerChoice.of(searched, None).problems
    assert problem.location == "search.sampler"
    assert f"--sampler {module}:Lowest" in problem.text
    assert module not in sys.modules


def test_one_of_optunas_samplers_works_as_it_is_and_each_task_has_a_copy(tmp_path):
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        given = optuna.samplers.PartialFixedSampler(POINT, optuna.samplers.TPESampler(seed=3))
    choice = SamplerChoice.of(parsed(tasks=(RTE, MRPC)), given)
    assert choice.study.search.sampler.endswith(":PartialFixedSampler")
    assert proposed(choice, tmp_path / "run", 1) == [POINT]
    one, two = choice.make()(1), choice.make()(1)
    assert one is not two
    assert one is not given


def test_a_name_replaces_that_of_the_study():
    choice = SamplerChoice.of(parsed("tpe"), "qmc")
    assert (choice.study.search.sampler, choice.make, choice.problems) == ("qmc", None, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_such_module:Sampler", "No module named 'no_such_module'; PYTHONPATH"),
        ("my_samplers:Nothing", "has no attribute 'Nothing'"),
        ("my_samplers:function", "a class derived from optuna.samplers.BaseSampler is needed"),
        ("my_samplers:Bare", "Bare is called with seed=N alone"),
        ("tpee", "no sampler named 'tpee'; did you mean 'tpe'?"),
        (7, "a class derived from optuna.samplers.BaseSampler is needed, got int"),
    ],
)
def test_what_is_no_sampler_is_refused(module, name, text):
    (problem,) = SamplerChoice.of(parsed(), name).problems
    assert text in problem.text
