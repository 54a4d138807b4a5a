"""The architectures of transformers that have a kind of head. Apart from the heads, as it answers
for families that have none: with one of our own, or with a message."""

from functools import lru_cache
from typing import Any

import torch
from transformers import AutoConfig

from ..errors import InputError, Problem


class Architectures:
    """Stands for one of transformers' Auto classes, and refuses configurations that it lacks.

    Args:
        task: what a model with such a head does, for messages.
        auto: the Auto class.
        instead: the Auto class whose models give a score to each option of a row, where `auto` has
            none for a family.
    """

    def __init__(self, task: str, auto: Any, instead: Any = None) -> None:
        self.task, self.auto, self.instead = task, auto, instead
        self._model_mapping = self

    def __getitem__(self, config: type) -> type[torch.nn.Module]:
        """Return the model class of a configuration's class.

        Raises:
            InputError: no model of this family has such a head.
        """
        if config in self.auto._model_mapping:
            return _only(self.auto._model_mapping[config])
        if self.instead is not None and config in self.instead._model_mapping:
            return _choosing(_only(self.instead._model_mapping[config]))
        text = (
            f"transformers has no model of the family '{config.model_type}' that {self.task} "
            f"(none for {self.auto.__name__}); an encoder such as BERT, RoBERTa or ELECTRA would do"
        )
        raise InputError("model", [Problem(location="model", text=text)])

    def from_config(self, config: Any, **options: Any) -> Any:
        """Return the model of a configuration, its weights as constructed. Raises as above."""
        options.pop("trust_remote_code", None)  # a class of transformers or ours: no other code
        return self[type(config)]._from_config(config, **options)

    def from_pretrained(self, name: str, *, config: Any = None, **options: Any) -> Any:
        """Read a model as `PreTrainedModel.from_pretrained` does. Raises as above."""
        if config is None:
            local = {n: options[n] for n in ("local_files_only",) if n in options}
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, **local)
        options.pop("trust_remote_code", None)  # False, and said so once
        kind = self[type(config)]
        return kind.from_pretrained(name, config=config, trust_remote_code=False, **options)


def _only(kinds: Any) -> Any:
    """The first of several classes of a family."""
    return kinds[0] if isinstance(kinds, tuple | list) else kinds


@lru_cache
def _choosing(kind: Any) -> Any:
    """Return a class that gives each option the score of a sequence classifier with one output.

    DeBERTa's own code reads RACE so: transformers has no DebertaForMultipleChoice.

    Args:
        kind: a class of transformers such as DebertaForSequenceClassification.
    """

    def forward(self: Any, **inputs: Any) -> Any:
        """[rows, options, tokens] -> logits [rows, options]."""
        rows, options = inputs["input_ids"].shape[:2]
        flat = {n: x.flatten(0, 1) if torch.is_tensor(x) and x.dim() == 3 else x
                for n, x in inputs.items()}  # fmt: skip
        said = kind.forward(self, **flat)
        said.logits = said.logits.view(rows, options)
        return said

    name = kind.__name__.replace("ForSequenceClassification", "ForMultipleChoice")
    return type(name, (kind,), {"forward": forward, "__module__": __name__})
