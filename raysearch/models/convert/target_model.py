"""The models and folders that checkpoints are converted to.

It is apart from `weights` because it knows neither checkpoints nor their names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from ..folder_writing import staged_model_folder

_AUTO_CLASSES: dict[str | None, Any] = {
    None: AutoModel,
    "masked": AutoModelForMaskedLM,
    "classify": AutoModelForSequenceClassification,
    "choose": AutoModelForMultipleChoice,
    "span": AutoModelForQuestionAnswering,
}
# What transformers adds to fairseq's encoders. A head that chooses has the pooler as its own layer.
_TOKEN_TYPES, _POOLER = "token_type_embeddings.", "pooler."


def empty_model(kind: str, head: str | None, fields: Mapping[str, Any]) -> PreTrainedModel:
    """Return a model without values, which takes no memory.

    Args:
        kind: the family's `model_type` in transformers.
        head: "masked", "classify", "choose" or "span"; None for the encoder alone.
        fields: of the configuration.

    Raises:
        ValueError: no model can have these fields.
    """
    config = AutoConfig.for_model(kind, **fields)
    with torch.device("meta"):
        model: PreTrainedModel = _AUTO_CLASSES[head].from_config(config, trust_remote_code=False)
    config.architectures = [type(model).__name__]
    return model


def parameter_shapes(model: PreTrainedModel, head: str | None) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter that a checkpoint must hold, by its name in the folder.

    Args:
        model: of `empty_model`.
        head: as there.
    """
    added = (_TOKEN_TYPES,) if head == "choose" else (_TOKEN_TYPES, _POOLER)
    tied: Any = getattr(model, "_tied_weights_keys", None) or {}
    prefix = "" if hasattr(model, model.base_model_prefix) else model.base_model_prefix + "."
    return {
        prefix + name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name not in tied and not any(part in name for part in added)
    }


def write_model_folder(
    folder: Path,
    model: PreTrainedModel,
    weights: Mapping[str, torch.Tensor],
    tokenizer: Any,
    card: str,
) -> None:
    """Write a transformers folder, completely or not at all.

    Args:
        folder: the folder, absent or empty.
        model: of `empty_model`; its configuration is written.
        weights: exactly the parameters of `parameter_shapes`; written as float32.
        tokenizer: of transformers.
        card: the text of README.md.
    """
    arrays = {name: tensor.detach().float().numpy() for name, tensor in weights.items()}
    config: Any = model.config
    token_types = f"{model.base_model_prefix}.embeddings.token_type_embeddings.weight"
    if getattr(config, "type_vocab_size", 0) == 1:  # a single token type that adds nothing
        arrays[token_types] = np.zeros((1, config.hidden_size), np.float32)
    with staged_model_folder(folder, config, arrays) as staged:
        tokenizer.save_pretrained(staged)
        (staged / "README.md").write_text(card, encoding="utf-8")
