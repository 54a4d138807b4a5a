"""Check that the models of a study can be trained on its tasks with its settings.

It is apart because it reads configurations and tokenizers, and of weights the shapes alone, so a
check is quick.
"""

from collections.abc import Iterable
from pathlib import Path

from transformers import AutoConfig

from ..errors import InputError, Problem
from ..study import Study
from ..study.model_names import scratch_shape
from .folder_checks import stored_shapes
from .input_limits import task_problems, tokenizer_problems
from .pretrained import from_hub, input_limits_of, open_tokenizer
from .setting_checks import setting_problems


def suitability_problems(
    study: Study, names: Iterable[str], *, download: bool = False
) -> list[Problem]:
    """Return why the models of tasks cannot be trained on them, each problem once.

    Args:
        study: of a model from scratch only the settings can be wrong.
        names: tasks of the study.
        download: see `setting_problems`.
    """
    names = list(names)
    problems = dict.fromkeys(setting_problems(study, names, download=download))
    tasks_of_model: dict[str, list[str]] = {}
    for name in names:
        if not scratch_shape(model := study.resolve(name).model):
            tasks_of_model.setdefault(model, []).append(name)
    for model, trained in tasks_of_model.items():
        try:
            if Path(model).is_dir():
                stored_shapes(Path(model))
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
        try:
            config = from_hub(AutoConfig.from_pretrained, model)
            tokenizer = open_tokenizer(model)
            limits = input_limits_of(model, config)
            problems |= dict.fromkeys(tokenizer_problems(model, tokenizer, config, limits))
            for name in trained:
                task = study.resolve(name)
                unfit = task_problems(model, tokenizer, config, limits, task.row, task.shared)
                problems |= dict.fromkeys(unfit)
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    return list(problems)
