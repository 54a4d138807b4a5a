"""The bench of a worker: one model in memory, set back to its pretrained weights for each trial."""

import warnings
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from ..recipes import Hyper
from .pretrained import HEADS, Pretrained

_DROPOUTS = {
    "dropout": ("hidden_dropout_prob", "mlp_dropout", "embedding_dropout", "resid_pdrop"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"),
    "classifier_dropout": (
        "classifier_dropout", "classifier_dropout_prob", "cls_dropout", "summary_last_dropout",
    ),
}  # fmt: skip


class Bench:
    """Builds a model once and restores it in memory for every trial.

    Args:
        device: where the model lives.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._key: tuple[Any, ...] | None = None
        self._model: torch.nn.Module | None = None
        self._weights: dict[str, torch.Tensor] = {}

    def model(self, pretrained: Pretrained, hyper: Hyper, seed: int) -> torch.nn.Module:
        """The model at the start of a trial: pretrained weights, the rest drawn from the seed.

        What a trial gets does not depend on the trials before it.
        """
        settings = _settings(pretrained, hyper)
        key = (pretrained.digest, hyper.gradient_checkpointing, tuple(sorted(settings.items())))
        if key != self._key:
            self._key, self._model = None, None
            self._model = _build(pretrained, settings, hyper).to(self.device)
            self._weights = _views(pretrained.weights)
            self._key = key
        restore(self._model, self._weights, seed)
        return self._model


def _settings(pretrained: Pretrained, hyper: Hyper) -> dict[str, Any]:
    """Dropout fields that the configuration overrides, in the names of the architecture."""
    found = {}
    for field, names in _DROPOUTS.items():
        value = getattr(hyper, field)
        if value is not None:
            found |= {name: value for name in names if name in pretrained.config}
    return found


def _build(pretrained: Pretrained, settings: dict[str, Any], hyper: Hyper) -> torch.nn.Module:
    config = AutoConfig.for_model(**{**pretrained.config, **settings})
    with torch.random.fork_rng():
        model = HEADS[pretrained.head].from_config(config, dtype=torch.float32)
    if hyper.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def _views(weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The arrays as tensors without a copy; they may lie read-only in the object store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of read-only arrays: they are only read
        return {name: torch.from_numpy(array) for name, array in weights.items()}


@torch.no_grad()
def restore(model: torch.nn.Module, weights: dict[str, torch.Tensor], seed: int) -> None:
    """Copy the weights in; draw what they lack as the architecture does, from the seed."""
    for name, tensor in model.state_dict(keep_vars=True).items():
        known = name in weights
        if known:
            tensor.copy_(weights[name])
        tensor._is_hf_initialized = known
        tensor.grad = None
    for module in model.modules():
        if hasattr(module, "_is_hf_initialized"):
            del module._is_hf_initialized
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.initialize_weights()


def snapshot(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The model's weights as float32 arrays, copied; shared tensors once under each name."""
    return {name: x.detach().float().cpu().numpy().copy() for name, x in model.state_dict().items()}
