"""Whether the models of a study can be trained on its tasks, with its settings, without reading
weights."""

from collections.abc import Iterable

from transformers import AutoConfig, AutoTokenizer

from .. import tasks
from ..errors import InputError, Problem
from ..study import Study
from .input_limits import task_problems, tokenizer_problems
from .pretrained import _from_hub, _inputs
from .setting_checks import setting_problems


def suitability_problems(study: Study, names: Iterable[str]) -> list[Problem]:
    """Return why the models of tasks cannot read or answer them, each problem once.

    Args:
        study: its models are folders or hub names.
        names: of its tasks.
    """
    names = list(names)
    problems = dict.fromkeys(setting_problems(study, names))
    by_model: dict[str, list[str]] = {}
    for name in names:
        by_model.setdefault(study.model_of(name), []).append(name)
    for model, trained in by_model.items():
        try:
            config = _from_hub(AutoConfig.from_pretrained, model)
            tokenizer = _from_hub(AutoTokenizer.from_pretrained, model)
            inputs = _inputs(model, config)
            problems |= dict.fromkeys(tokenizer_problems(model, tokenizer, config, inputs))
            for name in trained:
                task, hyper = tasks.get(name), study.hyperparameters(name, {})
                of_task = task_problems(model, tokenizer, config, inputs, task, hyper)
                problems |= dict.fromkeys(of_task)
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    return list(problems)
