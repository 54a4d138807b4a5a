"""Converted checkpoints as transformers folders: the empty model that says which parameters it
takes, and the writing of the whole folder. It knows neither checkpoints nor their names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)

from ..model_folder import staged_model_folder

_CLASSES = {
    None: AutoModel,
    "masked": AutoModelForMaskedLM,
    "classify": AutoModelForSequenceClassification,
    "span": AutoModelForQuestionAnswering,
}
_BESIDE = ("pooler.", "token_type_embeddings.")  # what transformers adds to fairseq's encoders


def empty_model(kind: str, head: str | None, fields: Mapping[str, Any]) -> Any:
    """A model without values: its shapes alone take no memory.

    Args:
        kind: transformers' name of the family.
        head: masked, classify, span, or None for the encoder alone.
        fields: of the configuration.

    Raises:
        ValueError: no model can have these fields.
    """
    config = AutoConfig.for_model(kind, **fields)
    with torch.device("meta"):
        model = _CLASSES[head].from_config(config, trust_remote_code=False)
    config.architectures = [type(model).__name__]
    return model


def parameter_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Every parameter that a checkpoint must bring, under the name that its folder has for it."""
    tied = getattr(model, "_tied_weights_keys", None) or {}
    root = "" if hasattr(model, model.base_model_prefix) else model.base_model_prefix + "."
    return {
        root + name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name not in tied and not any(part in name for part in _BESIDE)
    }


def write_model_folder(
    folder: Path, model: Any, weights: Mapping[str, torch.Tensor], tokenizer: Any
) -> None:
    """Write a transformers folder, whole or not at all.

    Args:
        folder: absent, or an empty folder.
        weights: exactly those of `shapes`; written as float32.
        tokenizer: of transformers.
    """
    whole = {name: tensor.detach().float().numpy() for name, tensor in weights.items()}
    segments = f"{model.base_model_prefix}.embeddings.token_type_embeddings.weight"
    if getattr(model.config, "type_vocab_size", 0) == 1:  # a lone segment that adds nothing
        whole[segments] = np.zeros((1, model.config.hidden_size), np.float32)
    with staged_model_folder(folder, model.config, whole) as new:
        tokenizer.save_pretrained(new)
