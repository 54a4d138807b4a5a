"""The model classes of transformers that have a given head, and models built of them.

They also answer for families without such a class: with a class of raysearch, or with a message.
They are apart from the heads because these need no transformers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from ..errors import InputError, Problem
from ..heads import HEADS
from ..tasks import Head
from .sequence_summary import summarize_real_tokens


class Architectures:
    """One of transformers' Auto classes, with a plain error for families that it lacks.

    Args:
        task: what a model with such a head does, for messages.
        auto: the Auto class.
        fallback: the Auto class to use for a family that `auto` lacks. Its models give a score to
            each option of a row.
    """

    def __init__(self, task: str, auto: Any, fallback: Any = None) -> None:
        self.task, self.auto, self.fallback = task, auto, fallback

    def __getitem__(self, config: type[PreTrainedConfig]) -> type[PreTrainedModel]:
        """Return the model class of a configuration's class.

        Raises:
            InputError: no model of this family has such a head.
        """
        if config in self.auto._model_mapping:
            return _first_class(self.auto._model_mapping[config])
        if self.fallback is not None and config in self.fallback._model_mapping:
            classifier: Any = _first_class(self.fallback._model_mapping[config])
            return _multiple_choice_class(classifier)
        text = (
            f"transformers has no model of the family '{config.model_type}' that {self.task} "
            f"(none for {self.auto.__name__}); an encoder such as BERT, RoBERTa or ELECTRA would do"
        )
        raise InputError("model", [Problem(location="model", text=text)])

    def from_config(self, config: Any, **options: Any) -> PreTrainedModel:
        """Return the model of a configuration, its weights as constructed.

        Raises:
            InputError: no model of this family has such a head.
        """
        options.pop("trust_remote_code", None)  # these classes are transformers' or raysearch's
        build: Callable[..., PreTrainedModel] = self[type(config)]._from_config
        return build(config, **options)

    def from_pretrained(self, name: str, *, config: Any = None, **options: Any) -> Any:
        """Read a model as `PreTrainedModel.from_pretrained` does.

        Raises:
            InputError: no model of this family has such a head.
        """
        if config is None:
            local = {n: options[n] for n in ("local_files_only",) if n in options}
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, **local)
        options.pop("trust_remote_code", None)  # passed below, as False
        model_class = self[type(config)]
        return model_class.from_pretrained(name, config=config, trust_remote_code=False, **options)


def _first_class(
    classes: type[PreTrainedModel] | Sequence[type[PreTrainedModel]],
) -> type[PreTrainedModel]:
    """Return the first class of a family that has one or several."""
    return classes if isinstance(classes, type) else classes[0]


@lru_cache
def _multiple_choice_class(classifier: Any) -> type[PreTrainedModel]:
    """Return a class that scores each option by a sequence classifier with one output.

    DeBERTa's own code reads RACE so; transformers has no DebertaForMultipleChoice.

    Args:
        classifier: a class of transformers such as DebertaForSequenceClassification.
    """

    def forward(self: PreTrainedModel, **inputs: Any) -> Any:
        """Return outputs with logits [rows, options] for inputs of [rows, options, tokens]."""
        rows, options = inputs["input_ids"].shape[:2]
        flat = {
            name: value.flatten(0, 1) if torch.is_tensor(value) and value.dim() == 3 else value
            for name, value in inputs.items()
        }
        outputs = classifier.forward(self, **flat)
        outputs.logits = outputs.logits.view(rows, options)
        return outputs

    name = classifier.__name__.replace("ForSequenceClassification", "ForMultipleChoice")
    return type(name, (classifier,), {"forward": forward, "__module__": __name__})


ARCHITECTURES = {
    name: Architectures(
        head.purpose,
        *(getattr(transformers, f"AutoModel{end}") for end in head.facts.model_classes),
    )
    for name, head in HEADS.items()
}


def build_model(config: Mapping[str, Any], head: Head) -> PreTrainedModel:
    """Return the model of a configuration with a task's head, its weights as constructed.

    Args:
        config: transformers' configuration as a dict.
        head: the task's head.

    Raises:
        InputError: the family has no such head, or the configuration's variant does not fit it.
    """
    settings = AutoConfig.for_model(**config)
    model = ARCHITECTURES[head].from_config(settings, dtype=torch.float32, trust_remote_code=False)
    attach_head(model, head)
    return model


def attach_head(model: PreTrainedModel, head: Head) -> None:
    """Give a transformers model the forward pass that its head's losses and decoders need.

    Args:
        model: changed in place.
        head: the task's head; the configuration's `raysearch` selects its variant, so that a saved
            folder tells which one it holds.

    Raises:
        InputError: the variant does not fit the model.
    """
    summarize_real_tokens(model)
    HEADS[head].attach(model, getattr(model.config, "raysearch", None) or {})
